// What keeps a container to its own network: a filter at the host's end of its interface, where the container cannot
// reach it. It is the kernel's, so it needs no process of ours, and goes with the interface.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "base/ip.h"
#include "host/netlink.h"

namespace weave {

inline constexpr std::size_t kMaxGateSubnetCount = 4;

// Lets pass, either way, what is between two addresses of `subnets` (IPv4, 1 to kMaxGateSubnetCount), and what goes
// from one of them to everybody or to a multicast group; of ARP likewise. Everything else is dropped: other protocols,
// tagged frames, IPv6.
std::vector<sock_filter> BuildFrameGate(const std::vector<Cidr>& subnets);

// InvalidArgument: not so many subnets, one that is not IPv4, or one of all addresses.
absl::Status CheckGateSubnets(const std::vector<Cidr>& subnets);

// Sets the filter on a link, in place of one that it has; subnets that CheckGateSubnets refuses are refused. NotFound:
// no such link, or a kernel without what it takes, which the text names.
absl::Status SetFrameGate(Netlink& netlink, int link_index, const std::vector<Cidr>& subnets);

}  // namespace weave
