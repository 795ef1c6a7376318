// The kernel's table of tracked flows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"

namespace weave {

// Makes the kernel of the calling thread's namespace forget the IPv4 UDP flows that were opened towards `port`, here or
// anywhere; says how many there were. What was decided about the first packet of such a flow, address translation
// above all, is decided anew then. Errors are the kernel's: it does not track flows, or does not show them.
absl::StatusOr<std::size_t> ForgetUdpFlowsTo(std::uint16_t port);

}  // namespace weave
