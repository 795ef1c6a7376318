// What addresses are in use on this host: on its own interfaces, and in the containers that its interfaces lead to.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "host/endpoint.h"
#include "host/netlink.h"

namespace weave {

struct HostSurvey {
  struct Port {
    HostEnd host;
    std::optional<ContainerEnd> container;  // none: the other end is here, or out of sight
  };

  // Of the interfaces, and where they lead; differs when any of that does.
  std::string ports_digest;
  std::vector<Port> ports;        // container interfaces in the bridge, by name
  std::set<std::string> aliases;  // of all container interfaces, in the bridge or not
  std::set<IpAddress> present;    // IPv4 addresses on any interface here or in those containers
  bool complete = true;           // no container interface leads out of sight
};

// nullopt: the ports are those of `known_ports`, and nothing else was looked at. Unless that is so, or `thorough` is
// not set, reads all of `proc_path` and asks the kernel twice about each container: not for the loop's thread.
// `netlink` is a socket in the host's namespace.
absl::StatusOr<std::optional<HostSurvey>> SurveyHost(Netlink& netlink, absl::string_view bridge,
                                                     absl::string_view known_ports, bool thorough,
                                                     absl::string_view proc_path);

}  // namespace weave
