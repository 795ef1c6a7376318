// Kernel messages about links, addresses and routes as our own types. Pure decoding, private to host/.
#pragma once

#include <linux/netlink.h>

#include <optional>

#include "host/netlink.h"

namespace weave {

// RTM_NEWLINK or RTM_DELLINK. nullopt: too short to be one. A bridge's event about its port (family AF_BRIDGE) gives
// index, name and hairpin only.
std::optional<LinkInfo> DecodeLink(const nlmsghdr& header);

// True when it speaks of a bridge port only: its RTM_DELLINK means that the port left the bridge, not that it is gone.
bool IsBridgePortEvent(const nlmsghdr& header);

// RTM_NEWADDR; nullopt: not a usable IPv4 address.
std::optional<InterfaceAddress> DecodeAddress(const nlmsghdr& header);

// RTM_NEWROUTE; nullopt: not an IPv4 route of the main table.
std::optional<RouteInfo> DecodeRoute(const nlmsghdr& header);

}  // namespace weave
