#include "ipam/council_gossip.h"

namespace weave {

CouncilGossip::CouncilGossip(PeerName peer, std::uint64_t order, std::shared_ptr<const Bytes> payload) {
  const std::uint8_t kind = payload->front();
  said_[{peer, kind}] = {order, std::move(payload)};
}

void CouncilGossip::Merge(const GossipData& other) {
  for (const auto& [key, theirs] : static_cast<const CouncilGossip&>(other).said_) {
    Said& ours = said_[key];
    if (ours.order < theirs.order) ours = theirs;
  }
}

std::vector<Bytes> CouncilGossip::Encode() const {
  std::vector<Bytes> payloads;
  for (const auto& [key, said] : said_) payloads.push_back(*said.payload);
  return payloads;
}

std::unique_ptr<GossipData> CouncilGossip::Clone() const { return std::make_unique<CouncilGossip>(*this); }

}  // namespace weave
