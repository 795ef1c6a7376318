// Council: what is wanted becomes a proposal, proposals become decisions. Who is a member stands in
// council_members.cc.
#include "ipam/council.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "wire/digest.h"

namespace weave {
namespace {

std::uint64_t ShortDigest(const std::string& text) {
  const Digest digest = DigestOf(AsBytes(text));
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof(number); ++i) number = number << 8 | digest[i];
  return number;
}

std::string TextOf(const AddressRange& range) {
  return absl::StrCat(range.start.ToString(), "+", absl::Uint128High64(range.size), ":", absl::Uint128Low64(range.size),
                      " ");
}

std::uint64_t NetworkDigest(const Ring& ring) {
  std::string text = TextOf(ring.universe());
  for (const PeerName seed : ring.seeds()) absl::StrAppend(&text, seed.ToString(), " ");
  return ShortDigest(text);
}

std::uint64_t RangesDigest(const Ring& ring, PeerName peer) {
  std::string text;
  for (const AddressRange& range : ring.RangesOf(peer)) absl::StrAppend(&text, TextOf(range));
  return ShortDigest(text);
}

std::uint8_t OneMore(std::uint8_t steps) { return std::min<std::uint8_t>(steps, CouncilVictim::kMaxSteps - 1) + 1; }

// What a dead heir was promised comes along. Whether it has taken it, nobody here can know.
void Inherit(const CouncilTakeover& promise, CouncilTakeover& takeover) {
  for (const CouncilVictim& promised : promise.victims) {
    if (promised.name == takeover.heir || takeover.Concerns(promised.name)) continue;
    if (takeover.victims.size() >= CouncilState::kMaxVictims) return;
    takeover.victims.push_back({promised.name, OneMore(promised.steps)});
  }
}

// By force: the one who was promised it has it no more, or has taken it unheard.
void TakeFrom(CouncilTakeover& promise, CouncilVictim& victim) {
  for (const CouncilVictim& promised : promise.victims)
    if (promised.name == victim.name) victim.steps = std::max(victim.steps, OneMore(promised.steps));
  std::erase_if(promise.victims, [&](const CouncilVictim& promised) { return promised.name == victim.name; });
}

}  // namespace

Council::Council(PeerName self, const PeerDirectory& peers, const Ring& ring, Random random, Logger& logger)
    : peers_(peers), ring_(ring), random_(random), logger_(logger), machine_({self, 0}, {}) {}

void Council::Start(Now now, PeerUid uid, const std::optional<CouncilMemory>& memory) {
  CHECK(!started_ && !ring_.empty());
  started_ = true;
  PaxosNodeId self = machine_.self();
  self.uid = memory.has_value() ? memory->uid : uid;
  Machine::Claims claims;
  if (memory.has_value()) {
    state_ = memory->state;
    if (memory->claim.promise.valid()) claims[self] = memory->claim;
  }
  machine_ = Machine(self, std::move(claims));
  changed_ = !memory.has_value();
  OnRing(now);
}

void Council::OnRing(Now now) {
  now_ = now;
  if (network_ == 0 || seeds_ != ring_.seeds()) {
    seeds_ = ring_.seeds();
    network_ = NetworkDigest(ring_);
    if (state_.id == CouncilId()) {
      state_.members.clear();
      for (const PeerName seed : seeds_) state_.SetMember({seed, 0});
      changed_ = true;
    }
  }
  Review();
}

void Council::AskNeighbours() {
  for (const PeerName neighbour : peers_.Neighbours()) digests_to_.insert(neighbour);
}

CouncilMemory Council::Memory() const {
  const PaxosClaim<CouncilState>* own = OwnClaim();
  return {self().uid, state_, own == nullptr ? PaxosClaim<CouncilState>() : *own};
}

const PaxosClaim<CouncilState>* Council::OwnClaim() const {
  const auto own = machine_.claims().find(self());
  return own == machine_.claims().end() ? nullptr : &own->second;
}

// ---- proposing ----

void Council::Pursue(Now now) {
  now_ = now;
  if (!started_) return;
  if (!WantsSomething())
    retry_at_.reset();
  else if (!retry_at_.has_value())
    Propose();
}

void Council::Propose() {
  if (!machine_.Propose()) return;
  preempted_ = false;
  changed_ = tell_claim_ = true;
  retry_at_ = now_.monotonic + kRetry;
  Deliberate();
}

// What has been heard may be enough for a promise, a vote, a decision.
void Council::Deliberate() {
  const auto is_quorum = [this](const std::vector<PaxosNodeId>& nodes) { return IsQuorum(nodes); };
  const bool moved = machine_.Think(is_quorum, [this](const ProposalId&) { return Compose(Available()); });
  changed_ = changed_ || moved;
  if (std::optional<CouncilState> agreed = machine_.Agreed(is_quorum)) {
    tell_state_ = true;
    return Enter(*std::move(agreed));
  }
  const PaxosClaim<CouncilState>* own = OwnClaim();
  if (own == nullptr) return;
  if (own->promise.proposer == self()) {
    tell_claim_ = tell_claim_ || moved;
  } else if (WantsSomething() && !preempted_) {
    // Whose turn it is comes to an end sooner than two would that outdo each other.
    preempted_ = true;
    retry_at_ = now_.monotonic + absl::Milliseconds(100 + random_.Below(500));
  }
}

// Of those wanted, nobody has been promised anything.
absl::btree_set<PeerName> Council::Available() const {
  absl::btree_set<PeerName> available;
  for (const PeerName victim : wanted_)
    if (PromiseOf(victim) == nullptr) available.insert(victim);
  return available;
}

CouncilState Council::Compose(const absl::btree_set<PeerName>& victims) const {
  CouncilState next = state_;
  ++next.id.epoch;
  // From now on a vote under this name is that of the node that used it first, and of no other that forgot its own.
  for (const auto& [node, claim] : machine_.claims())
    if (const CouncilMember* member = next.FindMember(node.name); member != nullptr && member->uid == 0)
      next.SetMember({node.name, node.uid});
  for (const auto& [peer, uid] : applicants_)
    if (next.members.size() < CouncilState::kMaxMembers) next.SetMember({peer, uid});
  for (const auto& [peer, since] : absent_)
    if (now_.monotonic >= since + kAbsence) next.RemoveMember(peer);
  for (const PeerName victim : victims) AddTakeover(victim, next);
  if (leaving_for_.has_value()) next.RemoveMember(self().name);
  if (next.members.empty())
    next.SetMember(leaving_for_.has_value() ? CouncilMember{*leaving_for_, 0} : CouncilMember{self().name, self().uid});
  return next;
}

void Council::AddTakeover(PeerName victim, CouncilState& next) const {
  CouncilTakeover takeover{next.NextNumber(), self().name, {{victim, 1}}, false, std::nullopt};
  std::vector<CouncilTakeover> others;
  for (CouncilTakeover other : next.takeovers) {
    if (IsOpen(other) && other.heir == victim) {
      Inherit(other, takeover);
      continue;
    }
    if (IsOpen(other) && other.Concerns(victim)) TakeFrom(other, takeover.victims.front());
    if (!other.victims.empty()) others.push_back(std::move(other));
  }
  if (others.size() >= CouncilState::kMaxTakeovers) {
    const auto done = std::find_if(others.begin(), others.end(), [](const CouncilTakeover& t) { return t.applied; });
    if (done == others.end()) return;  // every heir is dead: these come first
    others.erase(done);
  }
  for (const CouncilVictim& each : takeover.victims) next.RemoveMember(each.name);
  others.push_back(std::move(takeover));
  next.takeovers = std::move(others);
}

void Council::Force(Now now, PeerName victim) {
  now_ = now;
  CHECK(started_);
  CouncilState next = Compose({victim});
  ++next.id.generation;
  next.id.forcer = self().name;
  // Those who are there and are known to vote. Others of our kind will apply.
  std::erase_if(next.members, [&](const CouncilMember& member) {
    return member.uid == 0 || (member.name != self().name && !peers_.IsReachable(member.name));
  });
  next.SetMember({self().name, self().uid});
  tell_state_ = true;
  Enter(std::move(next));
}

// ---- deciding ----

void Council::Enter(CouncilState next) {
  next.LearnApplied(state_);
  logger_.Info("the council has decided", {{"decision", absl::StrCat(next.id.generation, "/", next.id.epoch)},
                                           {"members", absl::StrCat(next.members.size())}});
  state_ = std::move(next);
  machine_ = Machine(self(), {});
  retry_at_.reset();
  preempted_ = false;
  tell_claim_ = false;
  claims_to_.clear();
  changed_ = true;
  absl::erase_if(applicants_, [&](const auto& applicant) {
    return state_.IsMember({applicant.first, applicant.second});
  });
  absl::erase_if(absent_, [&](const auto& absent) { return state_.FindMember(absent.first) == nullptr; });
  if (refreshing_) {
    refreshing_ = false;
    refresh_until_.reset();
    refresh_delay_ = absl::Minutes(1);
  }
  if (!applicants_.empty()) refresh_at_ = now_.monotonic + kBatch;
  Review();
}

void Council::MarkApplied(const CouncilTakeover& takeover, std::optional<RingWitness> witness) {
  CouncilTakeover* ours = state_.FindTakeover(takeover.number, takeover.heir);
  CHECK(ours != nullptr);
  ours->applied = true;
  ours->witness = witness;
  changed_ = tell_state_ = true;
}

// ---- hearing ----

void Council::Hear(Now now, PeerName source, const CouncilMessage& message, Way way) {
  now_ = now;
  if (!started_ || message.network != network_ || source == self().name || !source.known()) return;
  std::visit([&](const auto& body) { On(source, body, way); }, message.body);
}

void Council::On(PeerName source, const CouncilDigest& digest, Way way) {
  if (digest.id < state_.id) states_to_.insert(source);
  if (state_.id < digest.id) AskForState(source, digest.id);
  if (digest.id != state_.id) return;
  const std::vector<std::uint64_t> open = Digest().open;
  const auto lacks = [](const std::vector<std::uint64_t>& all, const std::vector<std::uint64_t>& some) {
    return std::any_of(some.begin(), some.end(),
                       [&](std::uint64_t number) { return std::find(all.begin(), all.end(), number) == all.end(); });
  };
  if (lacks(open, digest.open)) states_to_.insert(source);  // they do not know what we know to be done
  // Nor we what they do. A question is answered, never asked back.
  if (lacks(digest.open, open) && way == Way::kGossip) digests_to_.insert(source);
}

void Council::On(PeerName source, const CouncilState& state, Way) {
  if (state.id < state_.id) {
    states_to_.insert(source);
  } else if (state_.id < state.id) {
    if (!state.members.empty()) Enter(state);
  } else {
    changed_ = state_.LearnApplied(state) || changed_;
  }
}

void Council::On(PeerName source, const CouncilClaim& message, Way way) {
  if (message.base < state_.id) states_to_.insert(source);
  if (state_.id < message.base) AskForState(source, message.base);
  if (message.base != state_.id) return;
  const PaxosNodeId node{source, message.uid};
  PaxosClaim<CouncilState> claim = message.claim;
  if (!state_.IsMember(node) && claim.promise.proposer != node) return;
  const PaxosClaim<CouncilState>* own = OwnClaim();
  if (!state_.IsMember(self()) && own == nullptr) return;  // nobody asks us
  if (message.value_omitted) {
    // Of a proposal that is not ours any more; what it is worth without its value, nobody can say.
    if (own == nullptr || own->accepted != claim.accepted) return;
    claim.value = own->value;
  }
  CouncilId next = state_.id;
  ++next.epoch;
  if (claim.accepted.valid() && (claim.value.id != next || claim.value.members.empty())) return;
  if (way == Way::kBroadcast && state_.IsMember(self())) {
    claims_to_.insert(source);
    for (const auto& [peer, ranges] : message.wanted)
      if (RangesDigest(ring_, peer) != ranges) rings_to_.insert(source);
  }
  if (machine_.Update({{node, std::move(claim)}})) Deliberate();
}

void Council::AskForState(PeerName source, const CouncilId& later) {
  digests_to_.insert(source);
  later_ = {source, later};
}

// ---- what is known ----

bool Council::IsBehind() const {
  return later_.has_value() && state_.id < later_->second && peers_.IsReachable(later_->first);
}

CouncilDigest Council::Digest() const {
  CouncilDigest digest{state_.id, {}};
  for (const CouncilTakeover& takeover : state_.takeovers)
    if (!takeover.applied) digest.open.push_back(takeover.number);
  return digest;
}

bool Council::IsOpen(const CouncilTakeover& takeover) const {
  if (!takeover.applied) return true;
  if (!takeover.witness.has_value()) return false;
  const RingWitness& witness = *takeover.witness;
  return std::none_of(ring_.entries().begin(), ring_.entries().end(), [&](const RingEntry& entry) {
    return entry.token == witness.token && entry.version >= witness.version;
  });
}

const CouncilTakeover* Council::PromiseOf(PeerName victim) const {
  for (auto takeover = state_.takeovers.rbegin(); takeover != state_.takeovers.rend(); ++takeover)
    if (takeover->Concerns(victim) && IsOpen(*takeover)) return &*takeover;
  return nullptr;
}

bool Council::IsPromised(PeerName heir) const {
  return std::any_of(state_.takeovers.begin(), state_.takeovers.end(),
                     [&](const CouncilTakeover& takeover) { return takeover.heir == heir && IsOpen(takeover); });
}

Council::Ballot Council::CurrentBallot() const {
  Ballot ballot;
  absl::btree_set<PeerName> voted;
  for (const auto& [node, claim] : machine_.claims())
    if (state_.IsMember(node)) voted.insert(node.name);
  ballot.member_count = state_.members.size();
  ballot.needed = state_.SafeQuorum();
  if (ballot.member_count % 2 == 0 && !voted.empty() && *voted.begin() == state_.members.front().name) --ballot.needed;
  for (const CouncilMember& member : state_.members)
    (voted.contains(member.name) ? ballot.voters : ballot.silent).push_back(member.name);
  return ballot;
}

// ---- telling ----

bool Council::HasSends() const {
  return tell_state_ || tell_claim_ || apply_to_.has_value() || !states_to_.empty() || !digests_to_.empty() ||
         !claims_to_.empty() || !rings_to_.empty();
}

CouncilClaim Council::ComposeClaim(std::optional<PeerName> to) const {
  CouncilClaim message{state_.id, self().uid, {}, false, {}};
  if (const PaxosClaim<CouncilState>* own = OwnClaim()) message.claim = *own;
  const PaxosClaim<CouncilState>& claim = message.claim;
  if (to.has_value()) {
    message.value_omitted =
        claim.accepted.valid() && claim.accepted == claim.promise && claim.promise.proposer.name == *to;
    return message;
  }
  for (const PeerName victim : wanted_)
    if (message.wanted.size() < CouncilState::kMaxVictims)
      message.wanted.emplace_back(victim, RangesDigest(ring_, victim));
  return message;
}

Council::Sends Council::TakeSends() {
  Sends sends;
  const auto send = [&](std::optional<PeerName> to, CouncilBody body) {
    sends.messages.push_back({to, EncodeCouncilMessage(Message(std::move(body)))});
  };
  if (std::exchange(tell_state_, false)) send(std::nullopt, state_);
  if (std::exchange(tell_claim_, false)) send(std::nullopt, ComposeClaim(std::nullopt));
  for (const PeerName to : std::exchange(states_to_, {})) send(to, state_);
  for (const PeerName to : std::exchange(digests_to_, {})) send(to, Digest());
  for (const PeerName to : std::exchange(claims_to_, {})) send(to, ComposeClaim(to));
  if (const std::optional<PeerName> to = std::exchange(apply_to_, std::nullopt))
    send(to, CouncilApplication{self().uid});
  const absl::btree_set<PeerName> rings = std::exchange(rings_to_, {});
  sends.rings.assign(rings.begin(), rings.end());
  return sends;
}

}  // namespace weave
