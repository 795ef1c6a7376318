// What a data path must know of the network to forward frames: the topology for the routes, and over which connection
// and in which ways each neighbour is reached. An immutable snapshot: the core makes a new one whenever routes or ways
// change, data paths read it on threads of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/peer_name.h"
#include "mesh/overlay.h"
#include "mesh/topology_view.h"
#include "wire/topology.h"

namespace weave {

// How frames can be carried to a neighbour.
enum class Way : std::uint8_t {
  kFastdp,  // by the kernel (fastdp/)
  kSleeve,  // by us (sleeve/)
};

// How a neighbour is reached.
struct ForwardingHop {
  PeerName neighbour;
  ConnectionId connection = 0;
  std::vector<Way> ways;  // the best first; the others are for frames that it cannot carry. None: not now

  friend bool operator==(const ForwardingHop&, const ForwardingHop&) = default;
};

// Peers by the short ids that the kernel's tunnels name them with. One id has one owner, and of a peer that lost its id
// to another there is none until it has picked a new one.
class ShortIdMap {
 public:
  ShortIdMap() = default;
  // In order of ids.
  explicit ShortIdMap(std::vector<std::pair<ShortId, PeerName>> owners);

  std::optional<PeerName> OwnerOf(ShortId id) const;
  std::optional<ShortId> IdOf(PeerName peer) const;

 private:
  std::vector<std::pair<ShortId, PeerName>> owners_;
  std::vector<std::pair<PeerName, ShortId>> ids_;
};

struct ForwardingSnapshot {
  PeerName self;
  std::shared_ptr<const TopologyView> topology;      // has `self`
  std::vector<ForwardingHop> hops;                   // in order of names
  std::shared_ptr<const ShortIdMap> short_ids = {};  // null: nobody has one
};

using ForwardingSnapshotPtr = std::shared_ptr<const ForwardingSnapshot>;

}  // namespace weave
