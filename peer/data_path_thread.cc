#include "peer/data_path_thread.h"

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

DataPathThread::DataPathThread(EventLoop& loop, const DataPathOptions& options, OnNotice on_notice, Logger& logger)
    : loop_(loop),
      options_(options),
      on_notice_(std::move(on_notice)),
      logger_(logger),
      forwarder_(options_.self, router_, *this),
      datapath_(loop.now().monotonic, static_cast<std::uint16_t>(options.port + 1), router_, forwarder_, *this,
                logger) {
  router_.macs().AddObserver(*this);
}

DataPathThread::~DataPathThread() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
}

absl::Status DataPathThread::Open() {
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

void DataPathThread::WatchFd(int fd) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) << errno;
}

// ---- the loop's side ----

void DataPathThread::Perform(ForwardingSnapshotPtr forwarding, const std::vector<SleeveCommand>& sleeve,
                             const std::vector<FastdpCommand>& fastdp) {
  if (forwarding == nullptr && sleeve.empty() && fastdp.empty()) return;
  {
    MutexLock lock(&mutex_);
    if (forwarding != nullptr) tasks_.emplace_back(std::move(forwarding));
    for (const SleeveCommand& command : sleeve) tasks_.emplace_back(command);
    for (const FastdpCommand& command : fastdp) tasks_.emplace_back(command);
  }
  Wake();
}

void DataPathThread::Attach(std::unique_ptr<BridgeTap> tap) {
  {
    MutexLock lock(&mutex_);
    tasks_.emplace_back(std::move(tap));
  }
  Wake();
}

void DataPathThread::Attach(std::unique_ptr<OvsDpif> dpif) {
  {
    MutexLock lock(&mutex_);
    tasks_.emplace_back(std::move(dpif));
  }
  Wake();
}

void DataPathThread::Wake() {
  const std::uint64_t one = 1;
  CHECK(write(wake_.get(), &one, sizeof one) == sizeof one || errno == EAGAIN) << errno;
}

DataPathStats DataPathThread::stats() const {
  MutexLock lock(&mutex_);
  DataPathStats stats = published_;
  stats.lost_notices = lost_notices_;
  return stats;
}

void DataPathThread::Deliver() {
  std::vector<Notice> notices;
  {
    MutexLock lock(&mutex_);
    notices.swap(notices_);
    delivery_posted_ = false;
  }
  for (const Notice& notice : notices) on_notice_(notice);
}

// ---- the thread ----

void DataPathThread::Run() {
  pthread_setname_np(pthread_self(), "datapath");
  do {
    now_ = MonotonicNow();
    router_.OnTimer(now_);
    datapath_.OnTimer(now_);
    Receive(now_);
    Publish(now_);
    Wait();
  } while (!ready_.wake || TakeTasks());
}

void DataPathThread::Wait() {
  std::optional<MonotonicTime> deadline = Earliest({router_.NextDeadline(), datapath_.NextDeadline()});
  if (unpublished_) BringForward(deadline, *published_at_ + kPublishPause);
  if (tap_ != nullptr && tap_->down()) BringForward(deadline, MonotonicNow() + kPublishPause);
  const int timeout = deadline.has_value() ? PollTimeout(*deadline - MonotonicNow()) : -1;
  std::array<epoll_event, 5> events;
  const int count = epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
  ready_ = {};
  for (int i = 0; i < count; ++i) {
    const int fd = events[i].data.fd;
    if (fd == wake_.get())
      ready_.wake = true;
    else if (fd == udp_->fd())
      ready_.udp = true;
    else if (dpif_ != nullptr && fd == dpif_->upcall_fd())
      ready_.upcalls = true;
    else if (dpif_ != nullptr && fd == dpif_->vport_fd())
      ready_.vports = true;
    else
      ready_.tap = true;
  }
}

// False: the thread ends.
bool DataPathThread::TakeTasks() {
  std::uint64_t count;
  (void)!read(wake_.get(), &count, sizeof count);
  std::vector<Task> tasks;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return false;
    tasks.swap(tasks_);
  }
  const MonotonicTime now = MonotonicNow();
  for (Task& task : tasks) Do(now, std::move(task));
  datapath_.Flush(now);
  forwarder_.Flush();
  unpublished_ = true;
  return true;
}

void DataPathThread::Do(MonotonicTime now, Task task) {
  if (auto* forwarding = std::get_if<ForwardingSnapshotPtr>(&task)) {
    router_.SetForwarding(std::move(*forwarding));
    datapath_.OnForwardingChanged(now);
  } else if (auto* command = std::get_if<SleeveCommand>(&task)) {
    forwarder_.OnCommand(*command);
  } else if (auto* tunnel = std::get_if<FastdpCommand>(&task)) {
    datapath_.OnCommand(now, *tunnel);
  } else if (auto* dpif = std::get_if<std::unique_ptr<OvsDpif>>(&task)) {
    AttachDatapath(now, std::move(*dpif));
  } else {
    tap_ = std::move(std::get<std::unique_ptr<BridgeTap>>(task));  // closing the former takes it out of epoll
    if (tap_ != nullptr) WatchFd(tap_->fd());
  }
}

void DataPathThread::AttachDatapath(MonotonicTime now, std::unique_ptr<OvsDpif> dpif) {
  datapath_.Detach();
  forwarder_.SetKernel(nullptr);
  dpif_ = std::move(dpif);  // closing the former takes it out of epoll
  datapath_gone_ = false;
  if (dpif_ == nullptr) return;
  if (const absl::Status attached = datapath_.Attach(now, *dpif_); !attached.ok())
    logger_.Error("the kernel's datapath cannot be used yet", {{"reason", attached.message()}});
  forwarder_.SetKernel(&datapath_);
  WatchFd(dpif_->upcall_fd());
  WatchFd(dpif_->vport_fd());
}

// A batch from each side, so that tasks have their turn; what is left keeps the descriptors readable.
void DataPathThread::Receive(MonotonicTime now) {
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
  if (ready_.vports && dpif_ != nullptr) dpif_->ReceiveChanges(*this);
  if (ready_.upcalls && dpif_ != nullptr) dpif_->ReceiveUpcalls(*this);
  datapath_.Flush(now);
  forwarder_.Flush();
  unpublished_ |= ready_.udp || ready_.tap || ready_.vports || ready_.upcalls;
  if (tap_ != nullptr && tap_->dead()) LoseTap();
  if (datapath_gone_) LoseDatapath();
}

void DataPathThread::LoseTap() {
  logger_.Warning("frames of this host are not captured any more: the interface is gone",
                  {{"interface", tap_->interface()}});
  tap_.reset();
  Tell(BridgePortLost{});
}

void DataPathThread::LoseDatapath() {
  logger_.Warning("the kernel's datapath is gone: somebody deleted it");
  AttachDatapath(now_, nullptr);
  Tell(BridgePortLost{});
}

void DataPathThread::OnUpcall(const Upcall& upcall) {
  if (options_.packet_debug && upcall.frame.size() >= kEthernetHeaderSize) LogFrame("packet missed", upcall.frame);
  datapath_.OnMiss(now_, upcall);
}

void DataPathThread::Publish(MonotonicTime now) {
  if (published_at_.has_value() && (!unpublished_ || now - *published_at_ < kPublishPause)) return;
  published_at_ = now;
  unpublished_ = false;
  DataPathStats stats;
  stats.sleeve = forwarder_.counters();
  stats.router = router_.counters();
  stats.udp = udp_->stats();
  if (tap_ != nullptr) {
    stats.interface = tap_->interface();
    stats.tap = tap_->stats();
  }
  if (dpif_ != nullptr) {
    stats.has_datapath = true;
    stats.upcalls = dpif_->stats();
  }
  stats.datapath = datapath_.counters();
  stats.flow_count = datapath_.flows().size();
  stats.macs = router_.macs().List();
  MutexLock lock(&mutex_);
  published_ = std::move(stats);
}

void DataPathThread::Tell(Notice notice) {
  MutexLock lock(&mutex_);
  if (notices_.size() >= kMaxNoticeCount) {
    ++lost_notices_;
    return;
  }
  notices_.push_back(std::move(notice));
  if (std::exchange(delivery_posted_, true)) return;
  loop_.Post([this, alive = std::weak_ptr<Alive>(alive_)] {
    if (!alive.expired()) Deliver();
  });
}

void DataPathThread::LogFrame(absl::string_view what, ByteView frame) {
  logger_.Info(what, {{"from", SourceOf(frame).ToString()},
                      {"to", DestinationOf(frame).ToString()},
                      {"type", absl::StrCat("0x", absl::Hex(frame[12] << 8 | frame[13], absl::kZeroPad4))},
                      {"bytes", frame.size()}});
}

void DataPathThread::Send(DatagramBatch& batch) {
  udp_->Send(batch, [this](const SocketAddress& remote, std::size_t path_mtu) {
    Tell(NetworkEvent(DatagramTooBig{remote, path_mtu}));
  });
}

void DataPathThread::Inject(const FrameBatch& batch) {
  if (options_.packet_debug)
    for (const Frame& frame : batch.frames()) LogFrame("frame injected", frame.bytes);
  if (tap_ != nullptr) tap_->Inject(batch);
}

void DataPathThread::OnMacMoved(const MacAddress& mac, PeerName to) {
  logger_.Info("a MAC address moved", {{"mac", mac.ToString()}, {"peer", to.ToString()}});
}

}  // namespace weave
