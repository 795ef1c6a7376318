#include "fastdp/os/ipsec_leftovers.h"

#include <algorithm>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/status.h"

namespace weave {
namespace {

using Pair = std::pair<IpAddress, IpAddress>;  // local, remote

struct Ports {
  std::uint16_t local = 0;
  std::uint16_t remote = 0;
};

}  // namespace

IpsecLeftovers SortLeftovers(const EspState& state, const std::vector<IpsecPath>& rules, std::uint16_t port) {
  // A run that ended while it changed the policies of a pair left two indexes.
  absl::btree_set<std::pair<Pair, Spi>> outbound;
  absl::btree_set<Pair> sending;
  for (const auto& [association, port_of_policy] : state.policies) {
    const Pair pair(association.source, association.destination);
    outbound.insert({pair, association.spi});
    sending.insert(pair);
  }
  absl::btree_map<Pair, Ports> ports;
  absl::btree_set<std::pair<Pair, Spi>> inbound;
  for (const IpsecPath& rule : rules) {
    ports[{rule.local, rule.remote}] = {rule.local_port, rule.remote_port};
    inbound.insert({{rule.local, rule.remote}, rule.spi});
  }

  IpsecLeftovers leftovers;
  for (const EspAssociation& association : state.associations) {
    const Pair receiving(association.destination, association.source);
    if (inbound.contains({receiving, association.spi})) continue;
    if (sending.contains(receiving)) {
      inbound.insert({receiving, association.spi});
    } else if (!outbound.contains({{association.source, association.destination}, association.spi})) {
      leftovers.unused.push_back(association);
    }
  }
  const auto make = [&](const Pair& pair) {
    const auto told = ports.find(pair);
    const Ports found = told == ports.end() ? Ports{} : told->second;
    return IpsecLeftover{
        pair.first,   pair.second, found.local != 0 ? found.local : port, found.remote != 0 ? found.remote : port,
        std::nullopt, std::nullopt};
  };
  for (const auto& [pair, spi] : inbound) {
    leftovers.in_use.push_back(make(pair));
    leftovers.in_use.back().inbound = spi;
  }
  for (const auto& [pair, spi] : outbound) {
    leftovers.in_use.push_back(make(pair));
    leftovers.in_use.back().outbound = spi;
  }
  return leftovers;
}

absl::StatusOr<IpsecLeftovers> FindIpsecLeftovers(EspKernel& esp, const PacketFilter& filter, std::uint16_t port) {
  ASSIGN_OR_RETURN(const EspState state, esp.List());
  ASSIGN_OR_RETURN(const std::vector<IpsecPath> rules, filter.ListIpsecPaths());
  return SortLeftovers(state, rules, port);
}

}  // namespace weave
