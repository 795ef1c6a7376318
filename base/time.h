// Time as the cores see it: passed in, never asked for.
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "absl/time/time.h"

namespace weave {

using Duration = absl::Duration;

// Nanoseconds since an arbitrary start that never goes back. Not comparable between processes or boots.
class MonotonicTime {
 public:
  constexpr MonotonicTime() = default;
  constexpr explicit MonotonicTime(std::int64_t nanoseconds) : nanoseconds_(nanoseconds) {}

  constexpr std::int64_t nanoseconds() const { return nanoseconds_; }

  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend MonotonicTime operator+(MonotonicTime t, Duration d) {
    return MonotonicTime(t.nanoseconds_ + absl::ToInt64Nanoseconds(d));
  }
  friend Duration operator-(MonotonicTime a, MonotonicTime b) {
    return absl::Nanoseconds(a.nanoseconds_ - b.nanoseconds_);
  }

 private:
  std::int64_t nanoseconds_ = 0;
};

// The last multiple of `step` up to `time`. Deadlines of many connections that are rounded so come due in one turn.
inline MonotonicTime RoundDown(MonotonicTime time, Duration step) {
  return MonotonicTime(time.nanoseconds() - time.nanoseconds() % absl::ToInt64Nanoseconds(step));
}

// Deadlines that may be absent, which means never.

// Brings `deadline` forward to `time`; one that is earlier stays.
inline void BringForward(std::optional<MonotonicTime>& deadline, MonotonicTime time) {
  if (!deadline.has_value() || time < *deadline) deadline = time;
}

inline std::optional<MonotonicTime> Earliest(std::initializer_list<std::optional<MonotonicTime>> deadlines) {
  std::optional<MonotonicTime> earliest;
  for (const std::optional<MonotonicTime>& deadline : deadlines)
    if (deadline.has_value()) BringForward(earliest, *deadline);
  return earliest;
}

// One sample of both clocks, constant within a turn of the loop. The wall clock may jump; it is for what people and
// other peers read, never for deadlines.
struct Now {
  MonotonicTime monotonic;
  absl::Time wall;
};

}  // namespace weave
