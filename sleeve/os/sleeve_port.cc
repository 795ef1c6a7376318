#include "sleeve/os/sleeve_port.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "io/clock.h"

namespace weave {
namespace {

// Notices that may wait for the loop. Special frames are few; a flood of them must not fill the memory.
constexpr std::size_t kMaxNoticeCount = 4096;
constexpr Duration kPublishPause = absl::Milliseconds(500);

}  // namespace

SleevePort::SleevePort(EventLoop& loop, const SleevePortOptions& options, OnNotice on_notice, Logger& logger)
    : loop_(loop),
      options_(options),
      on_notice_(std::move(on_notice)),
      logger_(logger),
      forwarder_(options_.self, router_, *this) {
  router_.macs().AddObserver(*this);
}

SleevePort::~SleevePort() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
}

absl::Status SleevePort::Open() {
  ASSIGN_OR_RETURN(udp_, UdpPort::Open(options_.host, options_.port));
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_.valid() || !wake_.valid()) return ErrnoError(errno, "make the data path's thread");
  WatchFd(wake_.get());
  WatchFd(udp_->fd());
  // Signals are the loop's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return absl::OkStatus();
}

void SleevePort::WatchFd(int fd) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) << errno;
}

// ---- the loop's side ----

void SleevePort::Perform(ForwardingSnapshotPtr forwarding, const std::vector<SleeveCommand>& commands) {
  if (forwarding == nullptr && commands.empty()) return;
  {
    MutexLock lock(&mutex_);
    if (forwarding != nullptr) tasks_.emplace_back(std::move(forwarding));
    for (const SleeveCommand& command : commands) tasks_.emplace_back(command);
  }
  Wake();
}

void SleevePort::Attach(std::unique_ptr<BridgeTap> tap) {
  {
    MutexLock lock(&mutex_);
    tasks_.emplace_back(std::move(tap));
  }
  Wake();
}

void SleevePort::Wake() {
  const std::uint64_t one = 1;
  CHECK(write(wake_.get(), &one, sizeof one) == sizeof one || errno == EAGAIN) << errno;
}

SleeveStats SleevePort::stats() const {
  MutexLock lock(&mutex_);
  SleeveStats stats = published_;
  stats.lost_notices = lost_notices_;
  return stats;
}

void SleevePort::Deliver() {
  std::vector<Notice> notices;
  {
    MutexLock lock(&mutex_);
    notices.swap(notices_);
    delivery_posted_ = false;
  }
  for (const Notice& notice : notices) on_notice_(notice);
}

// ---- the thread ----

void SleevePort::Run() {
  pthread_setname_np(pthread_self(), "sleeve");
  do {
    const MonotonicTime now = SampleClocks().monotonic;
    router_.OnTimer(now);
    Receive(now);
    Publish(now);
    Wait();
  } while (!ready_.wake || TakeTasks());
}

void SleevePort::Wait() {
  std::optional<MonotonicTime> deadline = router_.NextDeadline();
  if (unpublished_) BringForward(deadline, *published_at_ + kPublishPause);
  if (tap_ != nullptr && tap_->down()) BringForward(deadline, SampleClocks().monotonic + kPublishPause);
  const int timeout = deadline.has_value() ? PollTimeout(*deadline - SampleClocks().monotonic) : -1;
  std::array<epoll_event, 4> events;
  const int count = epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
  ready_ = {};
  for (int i = 0; i < count; ++i) {
    const int fd = events[i].data.fd;
    if (fd == wake_.get())
      ready_.wake = true;
    else if (fd == udp_->fd())
      ready_.udp = true;
    else
      ready_.tap = true;
  }
}

// False: the thread ends.
bool SleevePort::TakeTasks() {
  std::uint64_t count;
  (void)!read(wake_.get(), &count, sizeof count);
  std::vector<Task> tasks;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return false;
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) Do(std::move(task));
  unpublished_ = true;
  return true;
}

void SleevePort::Do(Task task) {
  if (auto* forwarding = std::get_if<ForwardingSnapshotPtr>(&task)) {
    router_.SetForwarding(std::move(*forwarding));
  } else if (auto* command = std::get_if<SleeveCommand>(&task)) {
    forwarder_.OnCommand(*command);
  } else {
    tap_ = std::move(std::get<std::unique_ptr<BridgeTap>>(task));  // closing the former takes it out of epoll
    if (tap_ != nullptr) WatchFd(tap_->fd());
  }
}

// A batch from each side, so that tasks have their turn; what is left keeps the descriptors readable.
void SleevePort::Receive(MonotonicTime now) {
  if (ready_.udp) {
    udp_->Receive([&](const IpAddress& local, const SocketAddress& remote, ByteView bytes) {
      forwarder_.OnDatagram(now, local, remote, bytes);
    });
  }
  if (ready_.tap && tap_ != nullptr) {
    tap_->Receive([&](const Frame& frame) {
      if (options_.packet_debug) LogFrame("frame captured", frame.bytes);
      forwarder_.OnCaptured(now, frame);
    });
  }
  forwarder_.Flush();
  unpublished_ |= ready_.udp || ready_.tap;
  if (tap_ != nullptr && tap_->dead()) {
    logger_.Warning("frames of this host are not captured any more: the interface is gone",
                    {{"interface", tap_->interface()}});
    tap_.reset();
    Tell(TapLost{});
  }
}

void SleevePort::Publish(MonotonicTime now) {
  if (published_at_.has_value() && (!unpublished_ || now - *published_at_ < kPublishPause)) return;
  published_at_ = now;
  unpublished_ = false;
  SleeveStats stats;
  stats.forwarder = forwarder_.counters();
  stats.router = router_.counters();
  stats.udp = udp_->stats();
  if (tap_ != nullptr) {
    stats.interface = tap_->interface();
    stats.tap = tap_->stats();
  }
  stats.macs = router_.macs().List();
  MutexLock lock(&mutex_);
  published_ = std::move(stats);
}

void SleevePort::Tell(const Notice& notice) {
  MutexLock lock(&mutex_);
  if (notices_.size() >= kMaxNoticeCount) {
    ++lost_notices_;
    return;
  }
  notices_.push_back(notice);
  if (std::exchange(delivery_posted_, true)) return;
  loop_.Post([this, alive = std::weak_ptr<Alive>(alive_)] {
    if (!alive.expired()) Deliver();
  });
}

void SleevePort::LogFrame(absl::string_view what, ByteView frame) {
  std::array<std::uint8_t, 6> to, from;
  std::copy_n(frame.begin(), 6, to.begin());
  std::copy_n(frame.begin() + 6, 6, from.begin());
  logger_.Info(what, {{"from", MacAddress(from).ToString()},
                      {"to", MacAddress(to).ToString()},
                      {"type", absl::StrCat("0x", absl::Hex(frame[12] << 8 | frame[13], absl::kZeroPad4))},
                      {"bytes", frame.size()}});
}

void SleevePort::Send(DatagramBatch& batch) {
  udp_->Send(batch, [this](const SocketAddress& remote, std::size_t path_mtu) {
    Tell(SleeveTooBig{remote, path_mtu});
  });
}

void SleevePort::Inject(const FrameBatch& batch) {
  if (options_.packet_debug)
    for (const Frame& frame : batch.frames()) LogFrame("frame injected", frame.bytes);
  if (tap_ != nullptr) tap_->Inject(batch);
}

void SleevePort::OnMacMoved(const MacAddress& mac, PeerName to) {
  logger_.Info("a MAC address moved", {{"mac", mac.ToString()}, {"peer", to.ToString()}});
}

}  // namespace weave
