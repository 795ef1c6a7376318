// Offload settings of a link, which rtnetlink does not offer. Private to host/.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace weave {

// Switches transmit checksum offload off, so that a packet captured on its way has its checksum filled in. `interface`
// is one of the calling thread's namespace; a device that cannot do without is Unimplemented.
absl::Status DisableTxChecksumOffload(absl::string_view interface);

}  // namespace weave
