// Ports of an Open vSwitch datapath (spec/overlay.md section 6). To rtnetlink they look like ports of the device that
// has the datapath's name, but it cannot make them. Private to host/; JoinBridge is for the rest.
#pragma once

#include "absl/status/status.h"
#include "host/netlink.h"

namespace weave {

// The device that a datapath shows itself as.
bool IsDatapath(const LinkInfo& link);

// Makes the interface a port of the datapath; one already is success. A port of something else: AlreadyExists. Both are
// in the calling thread's namespace.
absl::Status JoinDatapath(const LinkInfo& datapath, const LinkInfo& interface);

// Nothing there is success. The interface stays.
absl::Status LeaveDatapath(const LinkInfo& datapath, const LinkInfo& interface);

}  // namespace weave
