// Docker's bridge on this host, and where a name server is expected for its sake.
#pragma once

#include <optional>
#include <string>

#include "cli/instance.h"

namespace weave {

// DOCKER_BRIDGE, or docker0.
std::string DockerBridge(const Environment& environment);

// Its first IPv4 address; none: there is no such interface, or it has none.
std::optional<std::string> DockerBridgeIp(const Environment& environment);

// Where `weave launch` has names served unless it is told: port 53 of Docker's bridge, which containers reach. Without
// Docker port 53 of 127.0.0.1, and where another name server has that, any free port: nobody is disturbed, and `weave
// status` and `weave dns-lookup` work all the same.
std::string DefaultDnsAddress(const Environment& environment);

}  // namespace weave
