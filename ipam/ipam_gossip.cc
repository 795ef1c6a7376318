#include "ipam/ipam_gossip.h"

#include <utility>

namespace weave {

IpamGossip::IpamGossip(PeerName self, std::uint64_t order, std::shared_ptr<const IpamState> state, absl::Time now) {
  said_[self] = {order, Own{std::move(state), now}};
}

IpamGossip::IpamGossip(PeerName peer, std::uint64_t order, Bytes payload) {
  said_[peer] = {order, std::make_shared<const Bytes>(std::move(payload))};
}

void IpamGossip::Merge(const GossipData& other) {
  for (const auto& [peer, theirs] : static_cast<const IpamGossip&>(other).said_) {
    Said& ours = said_[peer];
    if (ours.order < theirs.order) ours = theirs;
  }
}

std::vector<Bytes> IpamGossip::Encode() const {
  std::vector<Bytes> payloads;
  for (const auto& [peer, said] : said_) {
    if (const auto* payload = std::get_if<std::shared_ptr<const Bytes>>(&said.what)) {
      payloads.push_back(**payload);
      continue;
    }
    const Own& own = std::get<Own>(said.what);
    IpamState state = *own.state;
    state.now = absl::ToUnixSeconds(own.now);
    payloads.push_back(EncodeIpamState(state, peer));
  }
  return payloads;
}

std::unique_ptr<GossipData> IpamGossip::Clone() const { return std::make_unique<IpamGossip>(*this); }

}  // namespace weave
