#include "sim/event_queue.h"

#include <algorithm>
#include <utility>

namespace weave::sim {

Duration Draw(Random& random, Duration low, Duration high) {
  return absl::Nanoseconds(random.Between(absl::ToInt64Nanoseconds(low), absl::ToInt64Nanoseconds(high)));
}

Now EventQueue::now() const {
  constexpr std::int64_t kWallStart = 1'700'000'000;  // seconds since 1970
  return {time_, absl::FromUnixSeconds(kWallStart) + absl::Nanoseconds(time_.nanoseconds())};
}

void EventQueue::At(MonotonicTime time, Action action) {
  ++work_count_;
  Push(time, /*background=*/false, std::move(action));
}

void EventQueue::AtInBackground(MonotonicTime time, Action action) {
  Push(time, /*background=*/true, std::move(action));
}

void EventQueue::Push(MonotonicTime time, bool background, Action action) {
  heap_.push_back({std::max(time, time_), sequence_++, background, std::move(action)});
  std::push_heap(heap_.begin(), heap_.end());
}

bool EventQueue::RunNext() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end());
  Entry next = std::move(heap_.back());
  heap_.pop_back();
  time_ = next.time;
  if (!next.background) --work_count_;
  ++steps_;
  next.action();
  return true;
}

std::optional<MonotonicTime> EventQueue::next_time() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().time;
}

}  // namespace weave::sim
