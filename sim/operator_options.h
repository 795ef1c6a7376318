// How often the people of a network whose hosts share a ring do what (sim/ring_operators.h).
#pragma once

#include <cstdint>

#include "base/time.h"

namespace weave::sim {

// Mean times are those of the whole network; zero: never.
struct OperatorOptions {
  std::uint32_t late = 0;        // hosts that join later: the last ones
  std::uint32_t max_absent = 2;  // hosts that are not there at a time
  Duration burn = absl::ZeroDuration();
  Duration reset = absl::ZeroDuration();
  Duration join = absl::ZeroDuration();
  Duration come_back = absl::ZeroDuration();  // of hosts that nobody was to remove
  Duration remove = absl::Seconds(10);
  // What a dead peer had sent has arrived everywhere or is lost.
  Duration burial = absl::Minutes(1);

  bool always_force = false;  // mutant: nobody asks the council
};

}  // namespace weave::sim
