#include "mesh/topology_gossip.h"

namespace weave {

void TopologyGossip::Merge(const GossipData& other) {
  const TopologyGossip& more = static_cast<const TopologyGossip&>(other);
  if (!names_.has_value()) return;
  if (more.names_.has_value())
    names_->insert(more.names_->begin(), more.names_->end());
  else
    names_.reset();
}

std::vector<Bytes> TopologyGossip::Encode() const {
  std::vector<Bytes> payloads;
  Bytes update = names_.has_value() ? topology_.Encode(*names_) : topology_.EncodeAll();
  if (!update.empty()) payloads.push_back(std::move(update));
  return payloads;
}

}  // namespace weave
