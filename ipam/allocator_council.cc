// Allocator: taking over what a dead peer owned, when the council has agreed to it or an operator insists
// (docs/ipam.md, "The council").
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "ipam/allocator.h"
#include "ipam/council_gossip.h"

namespace weave {
namespace {

std::string AddressCountText(AddressCount count) {
  std::ostringstream text;
  text << count;
  return text.str();
}

}  // namespace

void Allocator::Begin(OperationId id, const TakeOverOperation& operation) {
  const std::optional<PeerName> peer = FindPeer(operation.peer);
  const bool owns = peer.has_value() && *peer != config_.self && ring_.Owns(*peer);
  if (!owns && !(peer.has_value() && council_.started() && *peer != config_.self && council_.IsPromised(*peer)))
    return Reply(id, absl::OkStatus());  // 0 addresses
  if (peers_.IsReachable(*peer))
    return Reply(id, absl::FailedPreconditionError(
                         absl::StrCat("peer ", Describe(*peer),
                                      " is connected and uses its addresses: `weave reset` there gives them away")));
  // Who insists may take what was promised, but not what was taken.
  const CouncilTakeover* promise = council_.PromiseOf(*peer);
  if (promise != nullptr && (promise->applied || !operation.force)) return Reply(id, PromisedError(*peer, *promise));
  takeovers_.emplace(id, Takeover{*peer, now_.monotonic + kTakeoverTime});
  if (operation.force) council_.Force(now_, *peer);
  // Settle() goes on.
}

// The end of every event: decisions for us are carried out, callers answered, wishes pursued.
void Allocator::SettleCouncil() {
  if (!council_.started()) return;
  bool decided = true;
  while (decided) {  // a member that is a quorum decides on the spot
    const std::vector<CouncilTakeover> takeovers = council_.state().takeovers;
    for (const CouncilTakeover& takeover : takeovers)
      if (takeover.heir == config_.self && !takeover.applied) CarryOut(takeover);
    AnswerTakeovers();
    absl::btree_set<PeerName> wanted;
    for (const auto& [id, takeover] : takeovers_) wanted.insert(takeover.peer);
    council_.Want(std::move(wanted));
    const CouncilId before = council_.state().id;
    council_.Pursue(now_);
    decided = council_.state().id != before;
  }
  if (promised_away_ || !ring_.Owns(config_.self) || council_.PromiseOf(config_.self) == nullptr) return;
  promised_away_ = true;
  RestWhatWasOurs();
  UpdateSpace();
}

// Once: this and the ring are one row on disk. Who is there by now keeps what it has.
void Allocator::CarryOut(const CouncilTakeover& takeover) {
  std::optional<RingWitness> witness;
  AddressCount count = 0;
  const CouncilId& decision = council_.state().id;
  const bool forced = decision.forcer == config_.self && council_.state().IsOfThisDecision(takeover);
  if (forced) rest_until_ = now_.monotonic + kTakeoverRest;
  for (const CouncilVictim& victim : takeover.victims) {
    if (victim.name == config_.self || peers_.IsReachable(victim.name) || !ring_.Owns(victim.name)) continue;
    const std::vector<RingEntry> before = ring_.entries();
    if (forced)
      for (const AddressRange& range : ring_.RangesOf(victim.name)) resting_.Add(range);
    count += ring_.Transfer(victim.name, config_.self, victim.steps);
    for (std::size_t i = 0; i < before.size(); ++i)
      if (before[i].peer == victim.name && !witness.has_value())
        witness = RingWitness{before[i].token, ring_.entries()[i].version};
    logger_.Info("ranges taken over", {{"peer", Describe(victim.name)}, {"count", AddressCountText(count)}});
  }
  council_.MarkApplied(takeover, witness);
  carried_out_[takeover.victims.front().name] = count;
  if (count == 0) return;
  broadcast_ = true;
  OnRingChanged(/*was_empty=*/false);
}

void Allocator::AnswerTakeovers() {
  for (auto waiting = takeovers_.begin(); waiting != takeovers_.end();) {
    const auto& [id, takeover] = *waiting;
    std::optional<AllocatorReply> reply = TakeoverReply(id, takeover);
    if (!reply.has_value()) {
      ++waiting;
      continue;
    }
    output_.replies.push_back(*std::move(reply));
    waiting = takeovers_.erase(waiting);
  }
  carried_out_.clear();
}

// None: the caller goes on waiting.
std::optional<AllocatorReply> Allocator::TakeoverReply(OperationId id, const Takeover& takeover) const {
  const PeerName peer = takeover.peer;
  if (peers_.IsReachable(peer))
    return AllocatorReply{id, absl::FailedPreconditionError(absl::StrCat("peer ", Describe(peer), " is back")), {}, 0};
  if (const auto done = carried_out_.find(peer); done != carried_out_.end())
    return AllocatorReply{id, absl::OkStatus(), {}, done->second};
  if (const CouncilTakeover* promise = council_.PromiseOf(peer))
    return AllocatorReply{id, PromisedError(peer, *promise), {}, 0};
  if (!ring_.Owns(peer) && !council_.IsPromised(peer)) return AllocatorReply{id, absl::OkStatus(), {}, 0};
  if (now_.monotonic >= takeover.deadline) return AllocatorReply{id, NoQuorumError(peer), {}, 0};
  return std::nullopt;
}

absl::Status Allocator::PromisedError(PeerName peer, const CouncilTakeover& promise) const {
  const std::string heir = Describe(promise.heir);
  if (promise.applied)
    return absl::FailedPreconditionError(absl::StrCat("peer ", heir, " has taken over what ", Describe(peer),
                                                      " owned, and will tell how much when it is heard"));
  return absl::FailedPreconditionError(absl::StrCat("what ", Describe(peer), " owned is promised to peer ", heir,
                                                    ": should that one be dead, too, `weave rmpeer` it"));
}

absl::Status Allocator::NoQuorumError(PeerName peer) const {
  const Council::Ballot ballot = council_.CurrentBallot();
  return absl::FailedPreconditionError(absl::StrCat(
      "peer ", Describe(peer), " is not taken over: ", ballot.voters.size(), " of ", ballot.member_count,
      " peers voted, ", ballot.needed, " must; not heard: ", absl::StrJoin(DescribeAll(ballot.silent), ", "),
      ". `weave rmpeer --force` decides without them; if they live and do the same, addresses are given twice"));
}

std::vector<std::string> Allocator::DescribeAll(const std::vector<PeerName>& peers) const {
  constexpr std::size_t kMost = 10;
  std::vector<std::string> texts;
  for (const PeerName peer : peers) {
    if (texts.size() == kMost) {
      texts.push_back(absl::StrCat(peers.size() - kMost, " more"));
      break;
    }
    texts.push_back(Describe(peer));
  }
  return texts;
}

std::vector<IpamStatus::Removal> Allocator::Removals() const {
  std::vector<IpamStatus::Removal> removals;
  if (!council_.started()) return removals;
  for (const CouncilTakeover& takeover : council_.state().takeovers)
    if (council_.IsOpen(takeover))
      for (const CouncilVictim& victim : takeover.victims)
        removals.push_back({Name(victim.name), Name(takeover.heir), 0, 0, {}});
  if (takeovers_.empty()) return removals;
  const Council::Ballot ballot = council_.CurrentBallot();
  for (const auto& [id, takeover] : takeovers_) {
    IpamStatus::Removal& removal = removals.emplace_back();
    removal.peer = Name(takeover.peer);
    removal.voter_count = ballot.voters.size();
    removal.member_count = ballot.member_count;
    for (const PeerName silent : ballot.silent) removal.silent.push_back(Name(silent));
  }
  return removals;
}

// ---- the channel ----

absl::Status Allocator::OnCouncilMessage(Now now, PeerName source, ByteView payload, Council::Way way) {
  CHECK(started_);
  now_ = now;
  ASSIGN_OR_RETURN(const CouncilMessage message, DecodeCouncilMessage(payload));
  council_.Hear(now, source, message, way);
  Settle();
  return absl::OkStatus();
}

std::unique_ptr<GossipData> Allocator::CouncilBroadcast(const Bytes& payload) {
  return std::make_unique<CouncilGossip>(config_.self, ++gossip_count_, std::make_shared<const Bytes>(payload));
}

absl::Status Allocator::CouncilChannel::OnUnicast(Now now, PeerName source, ByteView payload) {
  return allocator_.OnCouncilMessage(now, source, payload, Council::Way::kUnicast);
}

absl::StatusOr<std::unique_ptr<GossipData>> Allocator::CouncilChannel::OnBroadcast(Now now, PeerName source,
                                                                                   ByteView payload) {
  RETURN_IF_ERROR(allocator_.OnCouncilMessage(now, source, payload, Council::Way::kBroadcast));
  return std::make_unique<CouncilGossip>(source, ++allocator_.gossip_count_,
                                         std::make_shared<const Bytes>(payload.begin(), payload.end()));
}

absl::StatusOr<std::unique_ptr<GossipData>> Allocator::CouncilChannel::OnGossip(Now now, PeerName sender,
                                                                                ByteView payload) {
  RETURN_IF_ERROR(allocator_.OnCouncilMessage(now, sender, payload, Council::Way::kGossip));
  return nullptr;
}

std::unique_ptr<GossipData> Allocator::CouncilChannel::FullState(Now) {
  if (allocator_.told_digest_ == nullptr) return nullptr;
  return std::make_unique<CouncilGossip>(allocator_.config_.self, ++allocator_.gossip_count_, allocator_.told_digest_);
}

}  // namespace weave
