// Allocator: what other peers say, and what they are told (spec/ipam.md sections 2 to 6).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "ipam/allocator.h"
#include "ipam/ipam_gossip.h"

namespace weave {
namespace {

// What a broken peer could say and no other: it would become the owner of addresses, or nobody would.
absl::Status CheckClaims(const PaxosClaims& claims) {
  for (const auto& [node, said] : claims) {
    if (!node.name.known()) return absl::InvalidArgumentError("IP allocation: claims of a node without a name");
    if (!said.accepted.valid()) continue;
    if (said.value.peers.size() > PaxosNode::kMaxNodes)
      return absl::InvalidArgumentError(absl::StrCat("IP allocation: node ", node.name.ToString(), " accepted ",
                                                     said.value.peers.size(), " peers, want at most ",
                                                     PaxosNode::kMaxNodes));
    if (said.value.peers.empty())
      return absl::InvalidArgumentError(
          absl::StrCat("IP allocation: node ", node.name.ToString(), " accepted no peers"));
    for (const PeerName peer : said.value.peers)
      if (!peer.known())
        return absl::InvalidArgumentError(
            absl::StrCat("IP allocation: node ", node.name.ToString(), " accepted a peer without a name"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Allocator::OnUnicast(Now now, PeerName source, ByteView payload) {
  CHECK(started_);
  now_ = now;
  ASSIGN_OR_RETURN(const IpamUnicast unicast, DecodeIpamUnicast(payload));
  absl::Status status;
  switch (unicast.kind) {
    case IpamUnicastKind::kSpaceRequest:
      OnSpaceRequest(source, unicast.range);
      break;
    case IpamUnicastKind::kRingUpdate:
      status = HandleState(source, *unicast.state, Way::kUnicast);
      break;
    case IpamUnicastKind::kSpaceRequestDenied:
      OnDenied(source, unicast.range);
      break;
  }
  Settle();
  return status;
}

absl::StatusOr<std::unique_ptr<GossipData>> Allocator::OnBroadcast(Now now, PeerName source, ByteView payload) {
  CHECK(started_);
  now_ = now;
  ASSIGN_OR_RETURN(const IpamState state, DecodeIpamState(payload));
  const absl::Status status = HandleState(source, state, Way::kBroadcast);
  Settle();
  RETURN_IF_ERROR(status);
  // What we learnt by it is not on disk yet, so it is passed on as what it is: theirs. Who still asks for a ring gets
  // ours, and so do all behind us.
  if (!state.ring.has_value() && told_ != nullptr && told_->ring.has_value()) return FullState(now);
  return std::make_unique<IpamGossip>(source, ++gossip_count_, Bytes(payload.begin(), payload.end()));
}

absl::StatusOr<std::unique_ptr<GossipData>> Allocator::OnGossip(Now now, PeerName sender, ByteView payload) {
  CHECK(started_);
  now_ = now;
  ASSIGN_OR_RETURN(const IpamState state, DecodeIpamState(payload));
  const absl::Status status = HandleState(sender, state, Way::kGossip);
  Settle();
  RETURN_IF_ERROR(status);
  return nullptr;  // section 4.4
}

std::unique_ptr<GossipData> Allocator::FullState(Now now) {
  if (told_ == nullptr) return nullptr;
  if (told_->nicknames != nicknames_) {
    IpamState state = *told_;
    state.nicknames = nicknames_;
    told_ = std::make_shared<const IpamState>(std::move(state));
  }
  return std::make_unique<IpamGossip>(config_.self, ++gossip_count_, told_, now.wall);
}

// Section 5.1. On an error nothing has changed.
absl::Status Allocator::HandleState(PeerName source, const IpamState& state, Way way) {
  if (state.ring.has_value()) {
    RETURN_IF_ERROR(MergeRing(*state.ring));
    LearnNicknames(state.nicknames);
    return absl::OkStatus();
  }
  if (seed_wait_.has_value() && way == Way::kGossip) {
    seed_wait_->heard.insert(source);
    seed_wait_->look_at = now_.monotonic;
  }
  if (state.paxos.has_value()) RETURN_IF_ERROR(CheckClaims(*state.paxos));
  LearnNicknames(state.nicknames);
  if (!ring_.empty()) {
    if (way != Way::kGossip) ring_updates_.insert(source);
  } else if (state.paxos.has_value()) {
    HearClaims(*state.paxos);
  } else if (IsElector() && way != Way::kGossip) {
    Establish();
  }
  return absl::OkStatus();
}

absl::Status Allocator::MergeRing(const Ring& theirs) {
  const Ring before = ring_;
  ASSIGN_OR_RETURN(const bool updated, ring_.Merge(config_.self, theirs));
  if (updated) {
    if (before.empty() && !VotedForRing()) RestWhatWasOurs();
    OnRingChanged(before.empty());
    if (before.empty()) council_.AskNeighbours();
  } else if (ring_ != before) {
    state_changed_ = true;
  }
  return absl::OkStatus();
}

void Allocator::HearClaims(const PaxosClaims& theirs) {
  if (!IsElector() || !paxos_->Update(theirs)) return;
  state_changed_ = true;
  paxos_->SetQuorum(Quorum());
  if (paxos_->Think()) broadcast_ = true;
  CreateRingWhenAgreed();
}

// Section 6, item 3.
void Allocator::OnSpaceRequest(PeerName source, const AddressRange& range) {
  if (ring_.empty() || source == config_.self || !source.known()) return;
  if (const std::optional<AddressRange> donation = space_.Donation(range)) {
    ring_.Grant(config_.self, *donation, source);
    logger_.Debug("space given", {{"peer", Describe(source)}, {"from", donation->start.ToString()}});
    broadcast_ = true;
    OnRingChanged(/*was_empty=*/false);
  } else if (range.size > 1 || ring_.OwnerOf(range.start) == config_.self) {
    output_.telling.unicasts.push_back({source, EncodeSpaceRequestDenied(range)});
  }  // a single address of somebody else, or of the asker by now: our ring says so, and a denial would end the claim
  ring_updates_.insert(source);
}

void Allocator::LearnNicknames(const absl::btree_map<PeerName, std::string>& theirs) {
  for (const auto& [peer, nickname] : theirs) {
    if (peer == config_.self || !peer.known() || nickname.size() > kMaxNicknameSize) continue;
    const auto known = nicknames_.find(peer);
    if (known != nicknames_.end() && known->second == nickname) continue;
    if (known == nicknames_.end() && nicknames_.size() >= kMaxNicknames) continue;
    nicknames_[peer] = nickname;
    report_is_stale_ = report_is_stale_ || ring_.Owns(peer);
  }
}

// Only of owners and of those in the network they are of use.
void Allocator::ForgetNicknames() {
  const std::vector<PeerName> owners = ring_.Owners();
  absl::erase_if(nicknames_, [&](const auto& known) {
    const PeerName peer = known.first;
    return peer != config_.self && !peers_.IsKnown(peer) && !std::binary_search(owners.begin(), owners.end(), peer);
  });
}

IpamStatus::Named Allocator::Name(PeerName peer) const {
  const auto nickname = nicknames_.find(peer);
  return {peer, nickname == nicknames_.end() ? "" : nickname->second};
}

std::string Allocator::Describe(PeerName peer) const {
  const auto nickname = nicknames_.find(peer);
  if (nickname == nicknames_.end()) return peer.ToString();
  return absl::StrCat(peer.ToString(), " (", nickname->second, ")");
}

}  // namespace weave
