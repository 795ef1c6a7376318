// How long to wait before something of the host that failed is tried again.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace weave {

// From 1 s, doubled with every failure, to 30 s; `last` is zero before the first.
inline Duration NextBackoff(Duration last) { return std::clamp(last * 2, absl::Seconds(1), absl::Seconds(30)); }

}  // namespace weave
