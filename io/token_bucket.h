// Limits how often something happens: bursts up to a capacity, then one each interval.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace weave {

class TokenBucket {
 public:
  // Full at first. `capacity` at least 1, `interval` positive.
  TokenBucket(int capacity, Duration interval) : interval_(interval), depth_(capacity * interval) {}

  // True, and a token less, if there is one.
  bool Take(MonotonicTime now) {
    if (now < NextToken()) return false;
    full_at_ = std::max(full_at_, now) + interval_;
    return true;
  }

  // From when on Take succeeds; in the past when it does already.
  MonotonicTime NextToken() const { return full_at_ + (interval_ - depth_); }

 private:
  const Duration interval_;
  const Duration depth_;     // how long an empty bucket takes to fill
  MonotonicTime full_at_{};  // from when on it is full if nobody takes any more
};

}  // namespace weave
