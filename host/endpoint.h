// Container interfaces: making the veth pair between the bridge and a sandbox, giving and taking addresses, and finding
// what is there after a restart (spec/overlay.md section 6.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/mac.h"
#include "host/netlink.h"
#include "host/sandbox.h"

namespace weave {

inline constexpr absl::string_view kContainerInterface = "ethwe";
inline constexpr absl::string_view kHostIfnamePrefix = "vethwepl";

struct EndpointRoute {
  Cidr destination;                  // 0.0.0.0/0: everything else
  std::optional<IpAddress> gateway;  // none: the destination is on the link

  friend bool operator==(const EndpointRoute&, const EndpointRoute&) = default;
};

struct EndpointSpec {
  Sandbox sandbox;
  std::string bridge = "weave";
  std::string interface = std::string(kContainerInterface);  // 1..15 characters, the name inside the sandbox
  std::vector<Cidr> addresses;        // at least one, IPv4, each the address itself with its network's length
  std::uint32_t mtu_bytes = 0;        // 0: the bridge's
  std::vector<EndpointRoute> routes;  // IPv4, in this order; a gateway outside `addresses` is made reachable first
  bool multicast_route = true;        // 224.0.0.0/4 through the interface
  bool hairpin = true;                // frames may leave through the bridge port they came from; not of a datapath
  bool tx_checksum_offload = false;   // on only for the fast datapath
  std::string proc_path = "/proc";
  // Noted on the host's end of the interface: whose it is, for as long as it exists. At most
  // kMaxLinkAliasSize bytes; empty: nothing.
  std::string alias;
};

struct Endpoint {
  MacAddress mac;                     // of the interface in the sandbox
  MacAddress host_mac;                // of its other end
  std::uint32_t mtu_bytes = 0;        // of the interface in the sandbox
  std::vector<EndpointRoute> routes;  // those asked for that hold now: the sandbox's own come first
  std::string host_ifname;
  int host_index = 0;
  int container_index = 0;  // in the sandbox's namespace
  bool created = false;     // false: the interface was there and was completed
};

// Gives the sandbox an interface on the bridge with these addresses. Idempotent: an interface that already hangs on our
// bridge (or lost it) is adopted and gets the addresses and routes it lacks, unless its alias says that it is
// another's. A destination the sandbox has a route to keeps it. New addresses are announced by gratuitous ARP. Any
// failure undoes what this call made. Runs in the host's namespace, where `netlink` is. Errors: NotFound (the sandbox
// is gone, or there is no bridge); AlreadyExists (an interface of that name that is not ours, or an address on another
// interface of the sandbox); InvalidArgument (the spec). `netlink` is a socket in the host's namespace. Blocks for some
// milliseconds: not for the loop's thread.
absl::StatusOr<Endpoint> AttachSandbox(Netlink& netlink, const EndpointSpec& spec);

struct DetachSpec {
  std::string netns_path;
  std::uint64_t netns_inode = 0;
  std::string interface = std::string(kContainerInterface);
  std::vector<Cidr> addresses;
  bool remove_when_empty = true;  // the interface goes with its last address
  std::string proc_path = "/proc";
};

struct DetachResult {
  std::vector<Cidr> remaining;     // on the interface now
  bool interface_present = false;  // false: removed now, or was not there
};

// Takes the addresses away. An address, interface or sandbox that is not there is success.
absl::StatusOr<DetachResult> DetachSandbox(const DetachSpec& spec);

enum class SandboxState {
  kGone,         // the path leads nowhere, or to another namespace
  kNoInterface,  // alive, not attached
  kAttached,
};

struct SandboxInspection {
  SandboxState state = SandboxState::kGone;
  // The rest only when attached.
  MacAddress mac;
  int container_index = 0;
  int host_index = 0;  // of the host end, in the host's namespace
  std::vector<Cidr> addresses;
};

// What is inside now: for reconciliation at start, and for `weave ps`.
absl::StatusOr<SandboxInspection> InspectSandbox(absl::string_view netns_path, std::uint64_t netns_inode,
                                                 absl::string_view interface, absl::string_view proc_path);

struct EndpointEnds {
  LinkInfo container;  // in the sandbox's namespace
  LinkInfo host;
};

// The interface of that name in `ns`, and where it ends on this host; nullopt: there is none, or it is not the end of a
// container interface of this host. `netlink` is a socket in the host's namespace.
absl::StatusOr<std::optional<EndpointEnds>> FindEndpoint(Netlink& netlink, const NetNs& ns,
                                                         absl::string_view interface);

// The other end of `interface`, which is in `ns`, when that is a veth of the host that leads back to it.
absl::StatusOr<std::optional<LinkInfo>> FindHostEnd(Netlink& netlink, const NetNs& ns, const LinkInfo& interface);

struct HostEnd {
  std::string host_ifname;
  int host_index = 0;
  int container_index = 0;                 // in the container's namespace
  std::string alias;                       // EndpointSpec::alias
  std::optional<int> container_nsid = {};  // the number of that namespace; none: it is the host's own
};

// The host's end of a container's interface, in whatever bridge.
bool IsHostEnd(const LinkInfo& link);
// `link` is one.
HostEnd HostEndOf(const LinkInfo& link);

// Our container interfaces in the bridge, by name. No bridge: empty.
absl::StatusOr<std::vector<HostEnd>> ListEndpoints(Netlink& netlink, absl::string_view bridge);

struct ContainerEnd {
  std::string netns_path;  // leads there now
  std::uint64_t netns_inode = 0;
  std::string interface;
  MacAddress mac;
  std::vector<Cidr> addresses;
};

// Calls `visit` once for each network namespace that an interface of `netlink`'s leads, or led, to, with a path there.
// Ends when it returns true. Reads all of `proc_path`: not for the loop's thread.
void VisitJoinedNetNs(Netlink& netlink, absl::string_view proc_path,
                      absl::FunctionRef<bool(const NetNs& ns, const std::string& path, int nsid)> visit);

// The other ends of interfaces that nobody remembers, in the order of `ends`. NotFound: no process and no mount leads
// there. Other errors: could not look into the container. `netlink` is a socket in the host's namespace. Reads all of
// `proc_path`: not for the loop's thread.
std::vector<absl::StatusOr<ContainerEnd>> FindContainerEnds(Netlink& netlink, const std::vector<HostEnd>& ends,
                                                            absl::string_view proc_path);

// Is this the host end of a container interface (`vethwepl*`, `vethwl*`)?
bool IsHostIfname(absl::string_view name);

// Name number `variant` (0..) for an endpoint: `vethwepl` and the first 7 characters of the id. When another endpoint
// has that name (a 2.8 peer's, or an id that starts alike), variants replace the end by `-1`, `-2`, ... up to
// kHostIfnameVariants - 1.
std::string HostIfname(absl::string_view link_id, int variant = 0);
inline constexpr int kHostIfnameVariants = 100;

}  // namespace weave
