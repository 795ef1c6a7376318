// The channel "topology inventory" on its way to a neighbour that has it: what waits is told of the topology as it is
// when the connection can take it.
#pragma once

#include <memory>
#include <vector>

#include "absl/container/btree_set.h"
#include "base/gossiper.h"
#include "base/peer_name.h"
#include "mesh/topology.h"
#include "wire/topology_inventory.h"

namespace weave {

class InventoryGossip final : public GossipData {
 public:
  // `topology` outlives this.
  static InventoryGossip Digest(const Topology& topology) { return {topology, Kind::kDigest}; }
  static InventoryGossip Offer(const Topology& topology) { return {topology, Kind::kOffer}; }
  static InventoryGossip Want(const Topology& topology, const std::vector<PeerName>& names);
  // Without what `neighbour` is known to have.
  static InventoryGossip News(const Topology& topology, PeerName neighbour, PeerSet peers);

  void Merge(const GossipData& other) override;
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override { return std::make_unique<InventoryGossip>(*this); }

 private:
  using Kind = TopologyInventory::Kind;

  InventoryGossip(const Topology& topology, Kind kind) : topology_(topology), kinds_({kind}) {}

  const Topology& topology_;
  absl::btree_set<Kind> kinds_;  // what is to be told
  absl::btree_set<PeerName> wanted_;
  PeerName neighbour_;
  PeerSet news_;
};

}  // namespace weave
