// How a message reaches one, some or all peers: next hops and fan-outs, equal to those of any peer with the same
// topology (spec/mesh.md section 7). Recomputed when asked for after a change. The mesh has one for gossip, the data
// path another for frames.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/peer_name.h"
#include "base/random.h"
#include "mesh/topology_view.h"

namespace weave {

// Answers are of one moment and consistent with each other. The walks are made when first asked for, one for each kind
// of links and, for broadcasts, each source; their results are kept until the topology differs: some bytes per peer.
// One thread, also for const calls.
class RouteTable {
 public:
  // Of the peer `self`, which `view` contains.
  RouteTable(PeerName self, std::shared_ptr<const TopologyView> view);
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // From now on answers are those of `view`. Cheap when it is the one it has.
  void Update(std::shared_ptr<const TopologyView> view);
  const std::shared_ptr<const TopologyView>& view() const { return view_; }

  // The neighbour to which a message for `destination` goes; none when it is unreachable. The unknown name for
  // ourselves.
  std::optional<PeerName> NextHop(Links links, PeerName destination) const;

  // Reachable peers with their next hop, ourselves with the unknown name; in order of names.
  struct UnicastRoute {
    PeerName destination;
    PeerName via;
  };
  std::vector<UnicastRoute> UnicastRoutes(Links links) const;

  // The neighbours to which we pass on what `source` broadcasts; in order of names. None when the source is unknown or
  // its messages cannot come to us by its own record (spec/mesh.md section 7.2, trap). Valid until the next Update.
  const std::vector<PeerName>& Broadcast(Links links, PeerName source) const;

  // The neighbour from which what `source` broadcasts comes to us, if all have the same topology. None when it does not
  // come to us, or is our own.
  std::optional<PeerName> BroadcastFrom(Links links, PeerName source) const;

  // How many neighbours hear of one round of gossip (section 7.3): 2 * log2(n), rounded down. `peer_count`: at least 1.
  static std::size_t GossipFanOut(std::uint64_t peer_count);

  // Neighbours for one round of gossip, `except` left out: about twice the logarithm of the network's size, at random,
  // those through which more peers are reached with greater probability (section 7.3). In order of names.
  std::vector<PeerName> RandomNeighbours(PeerName except, Random& random) const;

 private:
  struct Neighbour {
    PeerName name;
    std::uint64_t reaches = 0;  // peers whose next hop it is, itself included
  };

  // What becomes of one source's broadcasts.
  struct Relay {
    PeerIndex from = kNoPeer;                   // kNoPeer: they do not come to us, or are our own
    const std::vector<PeerName>* to = nullptr;  // into `fan_outs_`; null: not computed yet
  };

  // What is known so far of one kind of links.
  struct Table {
    std::vector<PeerIndex> via;         // by destination; kNoPeer: unreachable. Empty: not computed yet
    std::vector<Neighbour> neighbours;  // in order of names
    std::size_t reachable_count = 0;    // ourselves included
    std::vector<Relay> relays;          // by source
  };

  Table& TableOf(Links links) const { return tables_[links == Links::kAll ? 1 : 0]; }
  const Table& Unicast(Links links) const;
  const Relay& RelayOf(Links links, PeerIndex source) const;

  const PeerName self_name_;
  std::shared_ptr<const TopologyView> view_;
  PeerIndex self_ = 0;
  mutable std::array<Table, 2> tables_;
  mutable std::set<std::vector<PeerName>> fan_outs_;  // distinct ones: most sources share a few
  const std::vector<PeerName> nobody_;
  mutable TopologyWalk walk_;
};

}  // namespace weave
