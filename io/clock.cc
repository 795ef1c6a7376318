#include "io/clock.h"

#include <algorithm>
#include <ctime>

namespace weave {
namespace {

std::int64_t NanosecondsOf(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Now SampleClocks() { return {MonotonicNow(), absl::FromUnixNanos(NanosecondsOf(CLOCK_REALTIME))}; }

MonotonicTime MonotonicNow() { return MonotonicTime(NanosecondsOf(CLOCK_MONOTONIC)); }

int PollTimeout(Duration left) {
  const Duration bounded = std::clamp(absl::Ceil(left, absl::Milliseconds(1)), absl::ZeroDuration(), absl::Hours(1));
  return static_cast<int>(absl::ToInt64Milliseconds(bounded));
}

}  // namespace weave
