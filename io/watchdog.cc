#include "io/watchdog.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/check.h"
#include "io/clock.h"
#include "io/mutex.h"

namespace weave {

// The loop publishes when its turn began; the thread looks every half limit. It sleeps for good once a look found no
// turn since the one before, and the next turn wakes it: an idle loop is not polled.
class Watchdog::Impl final : public TurnObserver {
  using Clock = std::chrono::steady_clock;

 public:
  Impl(EventLoop& loop, Logger& log, Options options)
      : loop_(loop), log_(log), options_(std::move(options)), answers_(std::make_shared<std::atomic<bool>>(true)) {
    CHECK(options_.limit > absl::ZeroDuration()) << options_.limit;
    loop_.SetTurnObserver(this);
    thread_ = std::thread([this] { Watch(); });
  }

  ~Impl() override {
    loop_.SetTurnObserver(nullptr);
    {
      const MutexLock lock(&mutex_);
      closing_ = true;
    }
    changed_.Signal();
    thread_.join();
  }

  void OnTurnBegin(Now now) override {
    ++turn_number_;
    turn_began_.store(now.monotonic.nanoseconds());
    if (dozing_.load()) {
      const MutexLock lock(&mutex_);
      dozing_ = false;
      changed_.Signal();
    }
  }

  void OnTurnEnd() override {
    const MonotonicTime began(turn_began_.exchange(kIdle));
    const Duration took = MonotonicNow() - began;
    if (took > longest_) longest_nanoseconds_ = absl::ToInt64Nanoseconds(longest_ = took);
    if (took <= options_.limit) return;
    CountOnce(turn_number_);
    log_.Warning("the loop was busy for too long", {{"took_ms", absl::ToInt64Milliseconds(took)},
                                                    {"limit_ms", absl::ToInt64Milliseconds(options_.limit)}});
  }

  std::uint64_t long_turn_count() const { return long_turn_count_; }
  Duration longest_turn() const { return absl::Nanoseconds(longest_nanoseconds_.load()); }

 private:
  static constexpr std::int64_t kIdle = std::numeric_limits<std::int64_t>::min();

  void Watch() {
    pthread_setname_np(pthread_self(), "watchdog");
    Clock::time_point next_ping = Clock::now() + absl::ToChronoNanoseconds(options_.ping_interval);
    std::uint64_t seen_turn = 0;
    while (true) {
      {
        const MutexLock lock(&mutex_);
        if (closing_) return;
        changed_.WaitWithTimeout(&mutex_, absl::FromChrono(WakeAt(next_ping) - Clock::now()));
        if (closing_) return;
      }
      if (pings() && Clock::now() >= next_ping) {
        Ping();
        next_ping = Clock::now() + absl::ToChronoNanoseconds(options_.ping_interval);
      }
      LookAtTurn();
      const std::uint64_t turn = turn_number_;
      dozing_ = turn == seen_turn && turn_began_ == kIdle;
      seen_turn = turn;
      // A turn that began before it could see dozing_ would go unwatched.
      if (dozing_ && turn_number_ != turn) dozing_ = false;
    }
  }

  bool pings() const { return options_.ping_interval > absl::ZeroDuration(); }

  Clock::time_point WakeAt(Clock::time_point next_ping) const {
    const Clock::time_point look =
        Clock::now() + (dozing_ ? std::chrono::hours(24) : absl::ToChronoNanoseconds(options_.limit / 2));
    return pings() ? std::min(look, next_ping) : look;
  }

  void Ping() {
    if (answers_->exchange(false)) {
      if (options_.ping) options_.ping();
      loop_.Post([answers = answers_] { *answers = true; });
    }
  }

  void LookAtTurn() {
    const std::uint64_t turn = turn_number_;
    const std::int64_t began = turn_began_;
    if (began == kIdle || turn != turn_number_) return;
    const Duration running = MonotonicNow() - MonotonicTime(began);
    if (running <= options_.limit || !CountOnce(turn)) return;
    log_.Warning("the loop is stuck in one turn", {{"for_ms", absl::ToInt64Milliseconds(running)},
                                                   {"limit_ms", absl::ToInt64Milliseconds(options_.limit)}});
  }

  // True for the first of the two threads that notices the turn.
  bool CountOnce(std::uint64_t turn) {
    if (last_counted_turn_.exchange(turn) == turn) return false;
    ++long_turn_count_;
    return true;
  }

  EventLoop& loop_;
  Logger& log_;
  Options options_;

  std::atomic<std::uint64_t> turn_number_ = 0;
  std::atomic<std::int64_t> turn_began_ = kIdle;  // monotonic nanoseconds; kIdle between turns
  std::atomic<std::uint64_t> last_counted_turn_ = 0;
  std::atomic<std::uint64_t> long_turn_count_ = 0;
  std::atomic<std::int64_t> longest_nanoseconds_ = 0;
  Duration longest_;                            // of the loop thread
  std::shared_ptr<std::atomic<bool>> answers_;  // the loop ran the task of the last ping

  std::atomic<bool> dozing_ = false;
  Mutex mutex_;
  CondVar changed_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

Watchdog::Watchdog(EventLoop& loop, Logger& log, Options options)
    : impl_(std::make_unique<Impl>(loop, log, std::move(options))) {}
Watchdog::~Watchdog() = default;

std::uint64_t Watchdog::long_turn_count() const { return impl_->long_turn_count(); }
Duration Watchdog::longest_turn() const { return impl_->longest_turn(); }

}  // namespace weave
