// How a message reaches one, some or all peers: next hops and fan-outs, equal to those of any peer with the same topology
// (spec/mesh.md section 7). Recomputed when asked for after a change.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/peer_name.h"
#include "base/random.h"
#include "mesh/topology.h"

namespace weave {

// Which links a walk takes.
enum class Links : std::uint8_t {
  kEstablished,  // established on both sides: data frames
  kAll,          // any connection record: gossip
};

class RouteTable {
 public:
  // `topology` outlives the table.
  explicit RouteTable(const Topology& topology);
  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // Takes the topology as it is now; until then all answers are those of the last call. Cheap when nothing changed.
  void Update();

  // The neighbour to which a message for `destination` goes; none when it is unreachable. The unknown name for ourselves.
  std::optional<PeerName> NextHop(Links links, PeerName destination) const;

  // Reachable peers with their next hop, ourselves with the unknown name; in order of names.
  struct UnicastRoute {
    PeerName destination;
    PeerName via;
  };
  std::vector<UnicastRoute> UnicastRoutes(Links links) const;

  // The neighbours to which we pass on what `source` broadcasts; in order of names.
  const std::vector<PeerName>& Broadcast(Links links, PeerName source) const;

  // Neighbours for one round of gossip, `except` left out (section 7.3).
  std::vector<PeerName> RandomNeighbours(PeerName except, Random& random) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
