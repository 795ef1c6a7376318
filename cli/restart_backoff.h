// How long to wait before a program that ended is started again: 100 ms, doubling to a minute, and from the start again
// once it has lived for 10 s. Docker's restart policy, which Weave Net 2.8 relied on.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace weave {

class RestartBackoff {
 public:
  static constexpr Duration kShortest = absl::Milliseconds(100);
  static constexpr Duration kLongest = absl::Minutes(1);
  static constexpr Duration kStable = absl::Seconds(10);

  // The wait after a life of `lifetime`.
  Duration Next(Duration lifetime) {
    if (lifetime >= kStable) next_ = kShortest;
    const Duration wait = next_;
    next_ = std::min(next_ * 2, kLongest);
    return wait;
  }

 private:
  Duration next_ = kShortest;
};

}  // namespace weave
