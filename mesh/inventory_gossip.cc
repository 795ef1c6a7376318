#include "mesh/inventory_gossip.h"

#include <utility>

namespace weave {

InventoryGossip InventoryGossip::Want(const Topology& topology, const std::vector<PeerName>& names) {
  InventoryGossip gossip(topology, Kind::kWant);
  gossip.wanted_.insert(names.begin(), names.end());
  return gossip;
}

InventoryGossip InventoryGossip::News(const Topology& topology, PeerName neighbour, PeerSet peers) {
  InventoryGossip gossip(topology, Kind::kNews);
  gossip.neighbour_ = neighbour;
  gossip.news_ = std::move(peers);
  return gossip;
}

void InventoryGossip::Merge(const GossipData& other) {
  const InventoryGossip& more = static_cast<const InventoryGossip&>(other);
  kinds_.insert(more.kinds_.begin(), more.kinds_.end());
  wanted_.insert(more.wanted_.begin(), more.wanted_.end());
  if (more.neighbour_.known()) neighbour_ = more.neighbour_;
  news_.Merge(more.news_);
}

std::vector<Bytes> InventoryGossip::Encode() const {
  std::vector<Bytes> payloads;
  for (const Kind kind : kinds_) {
    TopologyInventory inventory;
    inventory.kind = kind;
    if (kind == Kind::kDigest) inventory.digest = topology_.digest();
    if (kind == Kind::kOffer) inventory.offered = topology_.Inventory();
    if (kind == Kind::kWant) inventory.wanted.assign(wanted_.begin(), wanted_.end());
    if (kind == Kind::kNews) inventory.offered = topology_.InventoryFor(neighbour_, news_);
    if (kind == Kind::kNews && inventory.offered.empty()) continue;
    payloads.push_back(EncodeInventory(inventory));
  }
  return payloads;
}

}  // namespace weave
