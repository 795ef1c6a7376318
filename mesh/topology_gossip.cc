#include "mesh/topology_gossip.h"

namespace weave {

void TopologyGossip::Merge(const GossipData& other) {
  const TopologyGossip& more = static_cast<const TopologyGossip&>(other);
  if (!peers_.has_value()) return;
  if (more.peers_.has_value())
    peers_->Merge(*more.peers_);
  else
    peers_.reset();
}

std::vector<Bytes> TopologyGossip::Encode() const {
  std::vector<Bytes> payloads;
  Bytes update = peers_.has_value() ? topology_.EncodeFor(neighbour_, *peers_) : topology_.EncodeAllFor(neighbour_);
  if (!update.empty()) payloads.push_back(std::move(update));
  return payloads;
}

}  // namespace weave
