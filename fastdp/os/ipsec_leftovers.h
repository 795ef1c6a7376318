// What an earlier run, or 2.8, left of encrypted paths in the kernel. A start goes on with it (ipsec_keeper.h).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ip.h"
#include "fastdp/os/esp.h"
#include "host/firewall_ipsec.h"
#include "host/packet_filter.h"

namespace weave {

// Of a pair, one direction or both.
struct IpsecLeftover {
  IpAddress local;
  IpAddress remote;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  std::optional<Spi> inbound;
  std::optional<Spi> outbound;  // of its policies; where these differ, a leftover for each

  friend bool operator==(const IpsecLeftover&, const IpsecLeftover&) = default;
};

struct IpsecLeftovers {
  std::vector<IpsecLeftover> in_use;   // may carry traffic now
  std::vector<EspAssociation> unused;  // no rule and no policy leads to them: the run ended between two steps
};

// An association is inbound if a rule marks what comes by it or a policy has the other direction of its pair. Rules
// count without an association too: they refuse clear packets, which must not end before the flows have. `port`: of our
// VXLAN, where no rule tells one. Pure.
IpsecLeftovers SortLeftovers(const EspState& state, const std::vector<IpsecPath>& rules, std::uint16_t port);

// Blocks for as long as a program takes to list the rules: for a start, before the loop runs.
absl::StatusOr<IpsecLeftovers> FindIpsecLeftovers(EspKernel& esp, const PacketFilter& filter, std::uint16_t port);

}  // namespace weave
