// The council: the peers that decide together who takes over what a dead one owned, so that two sides of a broken
// network cannot both do it (docs/ipam.md, "The council").
//
// Each decision makes a new CouncilState of the one before, agreed by Paxos among the members that the one before
// names. Proposers speak to all, the others answer the proposer alone: a decision costs a few messages a member. Part
// of Allocator, which records Memory() in the row of the ring before any of TakeSends() leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "base/time.h"
#include "ipam/allocator_types.h"
#include "ipam/council_messages.h"
#include "ipam/council_state.h"
#include "ipam/ring.h"

namespace weave {

class Council {
 public:
  static constexpr Duration kRetry = absl::Seconds(2);         // a proposal is told again
  static constexpr Duration kJoinDelay = absl::Seconds(10);    // before asking for a vote; doubled each time
  static constexpr Duration kMaxJoinDelay = absl::Minutes(2);  // no more until the topology changes
  static constexpr Duration kMaxDelay = absl::Minutes(10);     // between refreshes that fail
  static constexpr Duration kBatch = absl::Seconds(2);         // those who ask meanwhile join by the same decision
  static constexpr Duration kAbsence = absl::Minutes(10);      // after it who owns nothing loses its vote
  static constexpr Duration kRefreshTime = absl::Seconds(10);  // how long members are tried to be agreed on

  // References outlive the council; `ring` is the allocator's own, at any time.
  Council(PeerName self, const PeerDirectory& peers, const Ring& ring, Random random, Logger& logger);

  // There is a ring. `uid` is this node's if there is no memory of a former life.
  void Start(Now now, PeerUid uid, const std::optional<CouncilMemory>& memory);
  bool started() const { return started_; }
  // The ring has changed.
  void OnRing(Now now);
  // The ring is others', so they may have decided something: who does not know it could vote on it once more.
  void AskNeighbours();

  // ---- what this peer wants; Pursue() goes after it ----

  // Whose ranges callers here want, from now on.
  void Want(absl::btree_set<PeerName> victims) { wanted_ = std::move(victims); }
  // This peer goes and owns nothing any more; `heir` has what it had.
  void Leave(PeerName heir) { leaving_for_ = heir; }
  void Pursue(Now now);
  // Decides alone, whatever others think of it.
  void Force(Now now, PeerName victim);
  void MarkApplied(const CouncilTakeover& takeover, std::optional<RingWitness> witness);

  // ---- events ----
  enum class Way { kGossip, kBroadcast, kUnicast };
  void Hear(Now now, PeerName source, const CouncilMessage& message, Way way);
  void OnTopologyChange(Now now);
  void OnTimer(Now now);
  std::optional<MonotonicTime> NextDeadline() const;

  // ---- reading ----
  const CouncilState& state() const { return state_; }
  CouncilMemory Memory() const;
  std::uint64_t network() const { return network_; }
  CouncilDigest Digest() const;
  // The decision that promises to somebody what `victim` owns; null: none, or our ring shows it carried out.
  const CouncilTakeover* PromiseOf(PeerName victim) const;
  bool IsOpen(const CouncilTakeover& takeover) const;
  // Somebody who is there knows a later decision, and has not told it yet.
  bool IsBehind() const;
  // Somebody else's open promise: what `heir` would be given.
  bool IsPromised(PeerName heir) const;

  // Who has been heard about the next decision. Nobody votes against one: who is silent is what it lacks.
  struct Ballot {
    std::size_t member_count = 0;
    std::size_t needed = 0;
    std::vector<PeerName> voters;
    std::vector<PeerName> silent;
  };
  Ballot CurrentBallot() const;

  // ---- effects ----
  struct Sends {
    std::vector<CouncilSend> messages;
    std::vector<PeerName> rings;  // who is to get our ring before them
  };
  bool HasSends() const;
  Sends TakeSends();
  // Memory() has changed since the last call.
  bool TakeChanged() { return std::exchange(changed_, false); }

 private:
  using Machine = PaxosMachine<CouncilState>;

  void On(PeerName, std::monostate, Way) {}
  void On(PeerName source, const CouncilDigest& digest, Way way);
  void On(PeerName source, const CouncilState& state, Way way);
  void On(PeerName source, const CouncilClaim& message, Way way);
  void On(PeerName source, const CouncilApplication& application, Way way);

  void AskForState(PeerName source, const CouncilId& later);

  PaxosNodeId self() const { return machine_.self(); }
  // None: we have said nothing since the last decision.
  const PaxosClaim<CouncilState>* OwnClaim() const;
  bool IsQuorum(const std::vector<PaxosNodeId>& nodes) const { return state_.IsQuorum(nodes); }
  // The next state, with takeovers of `victims`.
  CouncilState Compose(const absl::btree_set<PeerName>& victims) const;
  absl::btree_set<PeerName> Available() const;
  void AddTakeover(PeerName victim, CouncilState& next) const;
  bool WantsSomething() const {
    return !wanted_.empty() || refreshing_ || (leaving_for_.has_value() && state_.IsMember(self()));
  }
  void Propose();
  void Deliberate();
  void Enter(CouncilState next);
  void Review();
  void ReviewAbsent();
  void Apply();
  void Refresh();
  void GiveUpRefresh();
  CouncilMessage Message(CouncilBody body) const { return {network_, std::move(body)}; }
  CouncilClaim ComposeClaim(std::optional<PeerName> to) const;

  const PeerDirectory& peers_;
  const Ring& ring_;
  Random random_;
  Logger& logger_;
  Now now_;  // of the event at hand
  bool started_ = false;
  std::uint64_t network_ = 0;
  std::vector<PeerName> seeds_;  // of which `network_` is made

  CouncilState state_;
  Machine machine_;  // about the decision behind `state_`
  bool changed_ = false;

  std::optional<std::pair<PeerName, CouncilId>> later_;  // who said last that it knows that one

  absl::btree_set<PeerName> wanted_;
  std::optional<PeerName> leaving_for_;
  bool preempted_ = false;                 // somebody else's proposal came between
  std::optional<MonotonicTime> retry_at_;  // of a proposal under way

  // ---- who is a member ----
  absl::btree_map<PeerName, PeerUid> applicants_;
  absl::btree_map<PeerName, MonotonicTime> absent_;  // members that own nothing, and since when; ours to drop
  bool refreshing_ = false;
  std::optional<MonotonicTime> refresh_at_;
  std::optional<MonotonicTime> refresh_until_;
  Duration refresh_delay_ = absl::Minutes(1);
  std::optional<MonotonicTime> apply_at_;
  Duration apply_delay_ = kJoinDelay;
  std::uint64_t applications_ = 0;

  // ---- the output in the making ----
  bool tell_state_ = false;
  bool tell_claim_ = false;
  absl::btree_set<PeerName> states_to_;
  absl::btree_set<PeerName> digests_to_;
  absl::btree_set<PeerName> claims_to_;
  absl::btree_set<PeerName> rings_to_;
  std::optional<PeerName> apply_to_;
};

}  // namespace weave
