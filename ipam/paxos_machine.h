// Basic Paxos as one node sees it, over any kind of value and any rule of what a quorum is. Claims are what nodes say
// of themselves; whoever carries them, and how many at a time, makes no difference to safety.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/function_ref.h"
#include "base/peer_name.h"
#include "wire/topology.h"

namespace weave {

struct PaxosNodeId {
  PeerName name;
  PeerUid uid = 0;

  friend constexpr auto operator<=>(const PaxosNodeId&, const PaxosNodeId&) = default;
};

// Round 0: none. Ordered by round, then proposer.
struct ProposalId {
  std::uint64_t round = 0;
  PaxosNodeId proposer;

  bool valid() const { return round > 0; }
  friend constexpr auto operator<=>(const ProposalId&, const ProposalId&) = default;
};

template <typename Value>
struct PaxosClaim {
  ProposalId promise;   // the node accepts nothing older
  ProposalId accepted;  // valid: with `value`
  Value value;

  friend bool operator==(const PaxosClaim&, const PaxosClaim&) = default;
};

// A node that restarts must come back with the id and the claim of its own that it had told: a promise forgotten could
// let two quorums agree on different values. The caller records it before it tells anyone of a change.
template <typename Value>
class PaxosMachine {
 public:
  using Claim = PaxosClaim<Value>;
  using Claims = absl::btree_map<PaxosNodeId, Claim>;
  // Any two quorums have a node in common.
  using IsQuorum = absl::FunctionRef<bool(const std::vector<PaxosNodeId>&)>;
  using Choose = absl::FunctionRef<Value(const ProposalId&)>;

  // Claims of more nodes are not taken up, as if their message had been lost.
  static constexpr std::size_t kMaxNodes = 4096;

  PaxosMachine(PaxosNodeId self, Claims claims) : self_(self), claims_(std::move(claims)) {}

  const PaxosNodeId& self() const { return self_; }
  const Claims& claims() const { return claims_; }

  // A new round of our own. False: there is no higher one.
  bool Propose() {
    std::uint64_t highest = 0;
    for (const auto& [node, claim] : claims_) highest = std::max({highest, claim.promise.round, claim.accepted.round});
    if (highest == std::numeric_limits<std::uint64_t>::max()) return false;  // a liar's round, which nobody can outdo
    claims_[self_].promise = {highest + 1, self_};
    return true;
  }

  // What others have said; true when something was new to us.
  bool Update(const Claims& theirs) {
    bool learnt = false;
    for (const auto& [node, claim] : theirs) learnt = Update(node, claim) || learnt;
    return learnt;
  }

  // Acts as acceptor and proposer on what is known; true when our own claim changed.
  bool Think(IsQuorum is_quorum, Choose choose) {
    // Acceptor, phase 1: nothing older than the latest proposal heard of.
    ProposalId latest_promise;
    for (const auto& [node, claim] : claims_) latest_promise = std::max(latest_promise, claim.promise);
    if (!latest_promise.valid()) return false;
    Claim next = claims_[self_];
    const Claim before = next;
    next.promise = latest_promise;
    claims_[self_].promise = latest_promise;
    // Proposer, phase 2: a quorum has promised, so the value is the latest that any of them accepted, or free to
    // choose.
    if (next.promise.proposer == self_) {
      const auto [promised, latest] = Promised(next.promise);
      if (is_quorum(promised)) {
        next.accepted = next.promise;
        next.value = latest != nullptr ? latest->value : choose(next.promise);
      }
    }
    // Acceptor, phase 2: what is accepted elsewhere under the promise that we gave.
    for (const auto& [node, claim] : claims_) {
      if (claim.accepted != next.promise) continue;
      next.accepted = claim.accepted;
      next.value = claim.value;
      break;
    }
    claims_[self_] = next;
    return next != before;
  }

  // The value that a quorum has accepted in one and the same proposal; none yet.
  std::optional<Value> Agreed(IsQuorum is_quorum) const {
    absl::btree_map<ProposalId, std::vector<PaxosNodeId>> votes;
    for (const auto& [node, claim] : claims_) {
      if (!claim.accepted.valid()) continue;
      std::vector<PaxosNodeId>& voters = votes[claim.accepted];
      voters.push_back(node);
      if (is_quorum(voters)) return claim.value;
    }
    return std::nullopt;
  }

  // Who has given the promise `proposal`, and what the latest of their votes was.
  std::pair<std::vector<PaxosNodeId>, const Claim*> Promised(const ProposalId& proposal) const {
    std::vector<PaxosNodeId> promised;
    const Claim* latest = nullptr;
    for (const auto& [node, claim] : claims_) {
      if (claim.promise != proposal) continue;
      promised.push_back(node);
      if (claim.accepted.valid() && (latest == nullptr || latest->accepted < claim.accepted)) latest = &claim;
    }
    return {std::move(promised), latest};
  }

 private:
  bool Update(const PaxosNodeId& node, const Claim& claim) {
    const auto known = claims_.find(node);
    if (known == claims_.end()) {
      if (claims_.size() >= kMaxNodes) return false;
      claims_.emplace(node, claim);
      return true;
    }
    Claim& ours = known->second;
    bool learnt = false;
    if (ours.promise < claim.promise) {
      ours.promise = claim.promise;
      learnt = true;
    }
    if (ours.accepted < claim.accepted) {
      ours.accepted = claim.accepted;
      ours.value = claim.value;
      learnt = true;
    }
    return learnt;
  }

  PaxosNodeId self_;
  Claims claims_;
};

}  // namespace weave
