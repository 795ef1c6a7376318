// The part of the packet filter that belongs to ESP between peers (spec/overlay.md section 4.3): what carries our mark
// and why nothing passes in clear. Pure; a part of the RuleSet of firewall_rules.h.
//
// A VXLAN packet to a peer that is not on its way into ESP yet is marked on its way out. The mark takes it into the
// policy for marked packets (fastdp/os/esp.h); without one it is dropped. An ESP packet under an index of ours is
// marked on its way in, and what comes out of it keeps the mark; VXLAN from the peer that has no mark is dropped. Names
// and rules are 2.8's, but that 2.8 marks every packet, which the kernel then routes a second time. Ours stand at the
// top of the built-in chains: below `-p udp --dport 6784 -j ACCEPT`, which many hosts need to let VXLAN in, they would
// not be reached.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ip.h"
#include "host/firewall_dump.h"
#include "host/firewall_rules.h"

namespace weave {

// An inbound association and the pair whose clear traffic is refused, both ways. Several may be of one pair.
struct IpsecPath {
  IpAddress local;
  IpAddress remote;
  std::uint32_t spi = 0;          // of what we receive; 0x100 at least
  std::uint16_t local_port = 0;   // UDP, where we receive VXLAN
  std::uint16_t remote_port = 0;  // and the other end

  friend bool operator==(const IpsecPath&, const IpsecPath&) = default;
  friend bool operator<(const IpsecPath& a, const IpsecPath& b) {
    return std::tie(a.local, a.remote, a.spi, a.local_port, a.remote_port) <
           std::tie(b.local, b.remote, b.spi, b.local_port, b.remote_port);
  }
};

// Adds chains and rules for these paths, in their order. No paths: adds nothing. InvalidArgument for an address that is
// not IPv4, a reserved index or port 0.
absl::Status AddIpsecRules(const std::vector<IpsecPath>& paths, RuleSet& rules);

// The paths of which the dump holds rules, sorted. A port that no rule tells is 0.
std::vector<IpsecPath> FindIpsecPaths(const FirewallDump& dump);

}  // namespace weave
