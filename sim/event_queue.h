// Virtual time: events in order of time, equal times in order of scheduling. The whole simulation runs on one queue.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/random.h"
#include "base/time.h"

namespace weave::sim {

// Uniform in [low, high].
Duration Draw(Random& random, Duration low, Duration high);

class EventQueue {
 public:
  using Action = absl::AnyInvocable<void()>;

  // Both clocks; the wall clock starts at a fixed date.
  Now now() const;
  MonotonicTime time() const { return time_; }

  void After(Duration delay, Action action) { At(time_ + delay, std::move(action)); }
  // A time that has passed means now, after what is already due.
  void At(MonotonicTime time, Action action);

  // The same for what goes on for ever (heartbeats, periodic gossip): it is no work that a peer at rest has left.
  void AfterInBackground(Duration delay, Action action) { AtInBackground(time_ + delay, std::move(action)); }
  void AtInBackground(MonotonicTime time, Action action);

  // Goes to the next event and runs it. False: there is none.
  bool RunNext();

  std::optional<MonotonicTime> next_time() const;
  bool has_work() const { return work_count_ != 0; }
  std::uint64_t step_count() const { return steps_; }

 private:
  struct Entry {
    MonotonicTime time;
    std::uint64_t sequence;
    bool background;
    Action action;

    friend bool operator<(const Entry& a, const Entry& b) {
      return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;  // std heaps have the greatest on top
    }
  };

  void Push(MonotonicTime time, bool background, Action action);

  MonotonicTime time_;
  std::uint64_t sequence_ = 0;
  std::uint64_t steps_ = 0;
  std::size_t work_count_ = 0;  // entries that are not background
  std::vector<Entry> heap_;
};

}  // namespace weave::sim
