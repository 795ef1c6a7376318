#include "io/event_loop.h"

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <limits>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/check.h"
#include "io/mutex.h"

namespace weave {
namespace {

using boost::system::error_code;

// Zero stands for nobody: no thread of ours has that id.
std::thread::id Nobody() { return {}; }

}  // namespace

class EventLoop::Impl {
 public:
  class TimerImpl;
  class WatchImpl;

  enum Direction : std::uint8_t { kRead, kWrite };

  // What a watch shares with the asio handler that is calling it: either may go first.
  struct WatchState {
    absl::AnyInvocable<void()> callback;
    bool alive = true;
  };

  // A descriptor with the watches on it: epoll takes it once. Shared with the asio handlers.
  struct WatchedFd {
    explicit WatchedFd(boost::asio::io_context& context) : descriptor(context) {}

    struct Side {
      std::shared_ptr<WatchState> watch;  // null: none
      bool waiting = false;               // asio holds a handler; there is no taking it back for one side alone
    };

    boost::asio::posix::stream_descriptor descriptor;
    std::array<Side, 2> sides;  // by Direction
  };

  // Timers of equal deadline fire in the order they were armed.
  using TimerKey = std::pair<MonotonicTime, std::uint64_t>;

  Impl() : wakeup_(context_), now_(SampleClocks()) {}

  ~Impl() {
    // Callbacks that never ran may own timers and watches.
    end_of_turn_ = nullptr;
    {
      const MutexLock lock(&mutex_);
      posted_.clear();
    }
    CHECK(timers_.empty()) << timers_.size() << " timers outlive their loop";
    CHECK(watched_.empty()) << "watches of " << watched_.size() << " descriptors outlive their loop";
  }

  void Run() {
    CHECK(runner_.exchange(std::this_thread::get_id()) == Nobody()) << "the loop runs already";
    context_.restart();
    // Without this, asio returns at once when nothing is watched yet.
    const auto keep_running = boost::asio::make_work_guard(context_);
    do {
      RunTurn();
    } while (!stop_.exchange(false));
    runner_ = Nobody();
  }

  void Stop() {
    stop_ = true;
    boost::asio::post(context_, [this] { EnsureTurn(); });
  }

  void Post(absl::AnyInvocable<void()> task) {
    {
      const MutexLock lock(&mutex_);
      posted_.push_back(std::move(task));
      if (std::exchange(woken_, true)) return;
    }
    boost::asio::post(context_, [this] { EnsureTurn(); });
  }

  bool OnLoopThread() const {
    const std::thread::id runner = runner_;
    return runner == Nobody() || runner == std::this_thread::get_id();
  }

  void CheckThread() const { CHECK(OnLoopThread()) << "not the thread of this loop"; }

  void Watch(int fd, Direction direction, absl::AnyInvocable<void()> callback) {
    std::shared_ptr<WatchedFd>& watched = watched_[fd];
    if (watched == nullptr) {
      watched = std::make_shared<WatchedFd>(context_);
      error_code error;
      watched->descriptor.assign(fd, error);
      CHECK(!error) << "watch descriptor " << fd << ": " << error.message();
    }
    WatchedFd::Side& side = watched->sides[direction];
    CHECK(side.watch == nullptr) << "descriptor " << fd << " is watched already";
    side.watch = std::make_shared<WatchState>(WatchState{std::move(callback)});
    if (in_turn_) {
      to_rearm_.emplace_back(watched, direction);
    } else {
      StartWait(watched, direction);
    }
  }

  void Unwatch(int fd, Direction direction) {
    const auto found = watched_.find(fd);
    WatchedFd& watched = *found->second;
    watched.sides[direction].watch->alive = false;
    watched.sides[direction].watch = nullptr;
    if (watched.sides[kRead].watch != nullptr || watched.sides[kWrite].watch != nullptr) return;
    watched.descriptor.release();  // the owner closes it
    watched_.erase(found);
  }

  Now now_value() const { return now_; }

 private:
  friend class TimerImpl;
  friend class WatchImpl;
  friend class EventLoop;

  void RunTurn() {
    context_.run_one();  // sleeps; the handler that ends the sleep begins the turn
    EnsureTurn();
    context_.poll();
    RunTimers();
    RunPosted();
    if (end_of_turn_) end_of_turn_();
    for (const auto& [watched, direction] : std::exchange(to_rearm_, {})) StartWait(watched, direction);
    ArmWakeup();
    in_turn_ = false;
    if (observer_ != nullptr) observer_->OnTurnEnd();
  }

  void EnsureTurn() {
    if (std::exchange(in_turn_, true)) return;
    now_ = SampleClocks();
    if (observer_ != nullptr) observer_->OnTurnBegin(now_);
  }

  void StartWait(const std::shared_ptr<WatchedFd>& watched, Direction direction) {
    WatchedFd::Side& side = watched->sides[direction];
    if (side.watch == nullptr || std::exchange(side.waiting, true)) return;
    watched->descriptor.async_wait(direction == kRead ? boost::asio::posix::stream_descriptor::wait_read
                                                      : boost::asio::posix::stream_descriptor::wait_write,
                                   [this, watched, direction](const error_code& error) {
                                     watched->sides[direction].waiting = false;
                                     OnReady(watched, direction, error);
                                   });
  }

  void OnReady(const std::shared_ptr<WatchedFd>& watched, Direction direction, const error_code& error) {
    const std::shared_ptr<WatchState> watch = watched->sides[direction].watch;
    if (watch == nullptr) return;
    CHECK(!error) << "wait for a descriptor: " << error.message();
    EnsureTurn();
    watch->callback();
    if (watch->alive) to_rearm_.emplace_back(watched, direction);
  }

  // Only those due at the start: a timer armed by another's callback waits for the next turn.
  void RunTimers() {
    const std::uint64_t end = next_sequence_;
    for (auto next = timers_.begin(); next != timers_.end() && next->first.first <= now_.monotonic;) {
      if (next->first.second >= end) {
        ++next;
        continue;
      }
      Fire(next);
      next = timers_.begin();
    }
  }

  void Fire(std::map<TimerKey, TimerImpl*>::iterator due);

  void RunPosted() {
    std::deque<absl::AnyInvocable<void()>> tasks;
    {
      const MutexLock lock(&mutex_);
      tasks.swap(posted_);
      woken_ = false;
    }
    for (; !tasks.empty(); tasks.pop_front()) tasks.front()();
  }

  void ArmWakeup() {
    const MonotonicTime earliest = timers_.empty() ? kNever : timers_.begin()->first.first;
    if (earliest == wakeup_at_ && earliest > now_.monotonic) return;
    wakeup_at_ = earliest;
    if (earliest == kNever) {
      wakeup_.cancel();
      return;
    }
    wakeup_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(earliest.nanoseconds())));
    wakeup_.async_wait([this](const error_code& error) {
      if (error) return;
      wakeup_at_ = kNever;  // spent, even if this turn began too early to fire what it was set for
      EnsureTurn();
    });
  }

  static constexpr MonotonicTime kNever{std::numeric_limits<std::int64_t>::max()};

  boost::asio::io_context context_{1};
  boost::asio::steady_timer wakeup_;
  MonotonicTime wakeup_at_ = kNever;  // what wakeup_ is set to

  std::atomic<std::thread::id> runner_{};
  std::atomic<bool> stop_ = false;

  Now now_;
  bool in_turn_ = false;
  TurnObserver* observer_ = nullptr;
  absl::AnyInvocable<void()> end_of_turn_;
  std::map<TimerKey, TimerImpl*> timers_;  // the armed ones
  std::uint64_t next_sequence_ = 0;
  std::map<int, std::shared_ptr<WatchedFd>> watched_;  // by descriptor
  std::vector<std::pair<std::shared_ptr<WatchedFd>, Direction>> to_rearm_;

  Mutex mutex_;
  std::deque<absl::AnyInvocable<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;  // a turn is sure to come and take posted_
};

class EventLoop::Impl::TimerImpl final : public Timer {
 public:
  TimerImpl(Impl& loop, absl::AnyInvocable<void()> callback)
      : loop_(loop), callback_(std::make_shared<absl::AnyInvocable<void()>>(std::move(callback))) {}

  ~TimerImpl() override { Disarm(); }

  void Arm(MonotonicTime deadline) override {
    Disarm();
    key_ = {deadline, loop_.next_sequence_++};
    loop_.timers_.emplace(key_, this);
    armed_ = true;
    // Outside a turn nobody else would set the wake-up before the loop sleeps.
    if (!loop_.in_turn_) loop_.ArmWakeup();
  }

  void Disarm() override {
    loop_.CheckThread();
    if (std::exchange(armed_, false)) loop_.timers_.erase(key_);
  }

  bool armed() const override { return armed_; }

  void Fire() {
    Disarm();
    // The callback may destroy this timer and with it the callback.
    const std::shared_ptr<absl::AnyInvocable<void()>> callback = callback_;
    (*callback)();
  }

 private:
  Impl& loop_;
  std::shared_ptr<absl::AnyInvocable<void()>> callback_;
  TimerKey key_;
  bool armed_ = false;
};

void EventLoop::Impl::Fire(std::map<TimerKey, TimerImpl*>::iterator due) { due->second->Fire(); }

class EventLoop::Impl::WatchImpl final : public FdWatch {
 public:
  WatchImpl(Impl& loop, int fd, Direction direction, absl::AnyInvocable<void()> callback)
      : loop_(loop), fd_(fd), direction_(direction) {
    loop_.Watch(fd, direction, std::move(callback));
  }

  ~WatchImpl() override {
    loop_.CheckThread();
    loop_.Unwatch(fd_, direction_);
  }

 private:
  Impl& loop_;
  const int fd_;
  const Direction direction_;
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::Run() { impl_->Run(); }
void EventLoop::Stop() { impl_->Stop(); }
void EventLoop::Post(absl::AnyInvocable<void()> task) { impl_->Post(std::move(task)); }
bool EventLoop::OnLoopThread() const { return impl_->OnLoopThread(); }

Now EventLoop::now() const {
  impl_->CheckThread();
  return impl_->now_value();
}

std::unique_ptr<Timer> EventLoop::MakeTimer(absl::AnyInvocable<void()> callback) {
  impl_->CheckThread();
  return std::make_unique<Impl::TimerImpl>(*impl_, std::move(callback));
}

std::unique_ptr<FdWatch> EventLoop::WatchReadable(int fd, absl::AnyInvocable<void()> callback) {
  impl_->CheckThread();
  return std::make_unique<Impl::WatchImpl>(*impl_, fd, Impl::kRead, std::move(callback));
}

std::unique_ptr<FdWatch> EventLoop::WatchWritable(int fd, absl::AnyInvocable<void()> callback) {
  impl_->CheckThread();
  return std::make_unique<Impl::WatchImpl>(*impl_, fd, Impl::kWrite, std::move(callback));
}

void EventLoop::SetEndOfTurn(absl::AnyInvocable<void()> callback) {
  impl_->CheckThread();
  impl_->end_of_turn_ = std::move(callback);
}

void EventLoop::SetTurnObserver(TurnObserver* observer) {
  impl_->CheckThread();
  impl_->observer_ = observer;
}

}  // namespace weave
