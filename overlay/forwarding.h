// What a data path must know of the network to forward frames: the topology for the routes, and over which connection
// and in which ways each neighbour is reached. An immutable snapshot: the core makes a new one whenever routes or ways
// change, data paths read it on threads of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/peer_name.h"
#include "mesh/overlay.h"
#include "mesh/topology_view.h"

namespace weave {

// A sub-overlay by its position among those of this peer (sleeve, fastdp).
using WayIndex = std::uint8_t;

// How a neighbour is reached.
struct ForwardingHop {
  PeerName neighbour;
  ConnectionId connection = 0;
  std::vector<WayIndex> ways;  // the best first; the others are for frames that it cannot carry. None: not now

  friend bool operator==(const ForwardingHop&, const ForwardingHop&) = default;
};

struct ForwardingSnapshot {
  PeerName self;
  std::shared_ptr<const TopologyView> topology;  // has `self`
  std::vector<ForwardingHop> hops;               // in order of names
};

using ForwardingSnapshotPtr = std::shared_ptr<const ForwardingSnapshot>;

}  // namespace weave
