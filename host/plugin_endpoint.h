// Interfaces of Docker networks: the veth pair between the bridge and a container, of which Docker itself moves one end
// into the container, names it and gives it addresses (spec/overlay.md section 6.1).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/mac.h"
#include "host/netlink.h"
#include "host/netns.h"

namespace weave {

struct PluginEndpointSpec {
  std::string endpoint_id;        // IsEndpointId
  std::string bridge = "weave";   // or a datapath of that name
  std::optional<MacAddress> mac;  // of the container's end; absent: the kernel's choice
  std::string proc_path = "/proc";
  std::vector<Cidr> isolated_to = {};  // whom the container is kept to (host/frame_gate.h); empty: to nobody
};

struct PluginEndpoint {
  MacAddress mac;        // of the container's end
  bool created = false;  // by this call
};

// Names are made from the first nine characters of an endpoint's id.
inline constexpr std::size_t kEndpointIdShown = 9;

// At least kEndpointIdShown letters, digits, `_`, `.` and `-`, 255 at most.
bool IsEndpointId(absl::string_view text);

// `vethwl012345678` stays on the bridge, `vethwg012345678` becomes the container's. `endpoint_id` is one.
std::string PluginHostIfname(absl::string_view endpoint_id);
std::string PluginContainerIfname(absl::string_view endpoint_id);

// Makes the pair, both ends in this namespace. Any failure removes what this call made. Runs in the calling thread's
// namespace, which must be `netlink`'s; blocks for a millisecond or two. Errors: NotFound (no bridge),
// FailedPrecondition (the bridge is another kind of device), InvalidArgument (the id), AlreadyExists (the pair is
// there; AdoptPluginEndpoint may take it over).
absl::StatusOr<PluginEndpoint> CreatePluginEndpoint(Netlink& netlink, const PluginEndpointSpec& spec);

// The pair as a call before left it, put back onto the bridge if need be. AlreadyExists: it is in use, for its
// container's end is not here any more, or its MAC is another than asked for. NotFound: there is no such pair.
absl::StatusOr<PluginEndpoint> AdoptPluginEndpoint(Netlink& netlink, const PluginEndpointSpec& spec);

// The end that stays on the host; with it the other goes. nullopt: there is none.
absl::StatusOr<std::optional<LinkInfo>> FindPluginHostEnd(Netlink& netlink, absl::string_view endpoint_id);

// Settles how the container's interfaces on our networks (`ethwe0`, ...) keep their neighbours. Other interfaces stay
// as they are.
absl::Status TunePluginInterfaces(const NetNs& container, const std::string& proc_path);

}  // namespace weave
