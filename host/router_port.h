// A Linux bridge's port to the overlay: a veth pair with one end in the bridge. At the other end the router takes
// frames and puts them in, or that is a port of the datapath (spec/overlay.md section 6).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "host/bridge.h"
#include "host/netlink.h"

namespace weave {

inline constexpr absl::string_view kRouterBridgePort = "vethwe-bridge";
inline constexpr absl::string_view kRouterPcapPort = "vethwe-pcap";          // BridgeKind::kBridge
inline constexpr absl::string_view kRouterDatapathPort = "vethwe-datapath";  // BridgeKind::kBridgedFastdp

struct RouterPort {
  int router_index = 0;  // of the router's end
  bool created = false;  // by this call
};

// Makes the pair, or adopts it; puts it into the bridge, with the bridge's MTU and up. The router's end takes no part
// in this host's own networking: it answers no ARP and sends nothing by itself. A pair of these names that does not
// belong together is replaced; another kind of device with one of them is FailedPrecondition. Runs in the calling
// thread's namespace, which must be `netlink`'s, as do the others.
absl::StatusOr<RouterPort> EnsureRouterPort(Netlink& netlink, const BridgeState& bridge,
                                            absl::string_view router_end = kRouterPcapPort,
                                            const std::string& proc_path = "/proc");

// Prepares the device of a datapath that is there, and makes the router's end of the pair a port of it. That device,
// too, keeps out of this host's networking. The pair lets frames of every size through. NotFound: there is no datapath.
absl::Status ConnectDatapath(Netlink& netlink, const BridgeState& bridge, absl::string_view datapath,
                             const std::string& proc_path = "/proc");

}  // namespace weave
