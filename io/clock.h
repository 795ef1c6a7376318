// The clocks of this machine, for those who may ask: loops and shells. Cores are given a Now.
#pragma once

#include "base/time.h"

namespace weave {

// CLOCK_MONOTONIC and CLOCK_REALTIME as they are now. Callbacks of a loop use EventLoop::now().
Now SampleClocks();
// The first of them.
MonotonicTime MonotonicNow();

// `left` as poll(2) wants it: milliseconds, rounded up, 0 when nothing is left, at most an hour.
int PollTimeout(Duration left);

}  // namespace weave
