#include "ipam/paxos.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace weave {

PaxosNode::PaxosNode(PaxosNodeId self, std::size_t quorum, PaxosClaims claims)
    : self_(self), claims_(std::move(claims)) {
  SetQuorum(quorum);
}

void PaxosNode::SetQuorum(std::size_t quorum) {
  CHECK(quorum > 0);
  quorum_ = quorum;
}

void PaxosNode::Propose() {
  std::uint64_t highest = 0;
  for (const auto& [node, claims] : claims_) highest = std::max({highest, claims.promise.round, claims.accepted.round});
  if (highest == std::numeric_limits<std::uint64_t>::max()) return;  // a liar's round, which nobody can outdo
  claims_[self_].promise = {highest + 1, self_};
  if (quorum_ == 1) Think();
}

bool PaxosNode::Update(const PaxosClaims& theirs) {
  bool learnt = false;
  for (const auto& [node, claims] : theirs) {
    const auto known = claims_.find(node);
    if (known == claims_.end()) {
      if (claims_.size() >= kMaxNodes) continue;
      claims_.emplace(node, claims);
      learnt = true;
      continue;
    }
    NodeClaims& ours = known->second;
    if (ours.promise < claims.promise) {
      ours.promise = claims.promise;
      learnt = true;
    }
    if (ours.accepted < claims.accepted) {
      ours.accepted = claims.accepted;
      ours.value = claims.value;
      learnt = true;
    }
  }
  return learnt;
}

bool PaxosNode::Think() {
  // Acceptor, phase 1: nothing older than the latest proposal heard of.
  ProposalId latest_promise;
  for (const auto& [node, claims] : claims_) latest_promise = std::max(latest_promise, claims.promise);
  if (!latest_promise.valid()) return false;
  NodeClaims next = claims_[self_];
  const NodeClaims before = next;
  next.promise = latest_promise;
  claims_[self_].promise = latest_promise;

  // Proposer, phase 2: a quorum has promised, so the value is the latest that any of them accepted, or free to choose.
  if (next.promise.proposer == self_) {
    std::size_t promised = 0;
    const NodeClaims* latest = nullptr;
    for (const auto& [node, claims] : claims_) {
      if (claims.promise != next.promise) continue;
      ++promised;
      if (claims.accepted.valid() && (latest == nullptr || latest->accepted < claims.accepted)) latest = &claims;
    }
    if (promised >= quorum_) {
      next.accepted = next.promise;
      next.value = latest != nullptr ? latest->value : ChooseValue(next.promise);
    }
  }

  // Acceptor, phase 2: what is accepted elsewhere under the promise that we gave.
  for (const auto& [node, claims] : claims_) {
    if (claims.accepted != next.promise) continue;
    next.accepted = claims.accepted;
    next.value = claims.value;
    break;
  }
  claims_[self_] = next;
  return next != before;
}

AcceptedValue PaxosNode::ChooseValue(const ProposalId& origin) const {
  AcceptedValue value;
  value.origin = origin;
  for (const auto& [node, claims] : claims_) value.peers.push_back(node.name);
  return value;
}

std::optional<AcceptedValue> PaxosNode::Consensus() const {
  absl::btree_map<ProposalId, std::size_t> votes;
  for (const auto& [node, claims] : claims_)
    if (claims.accepted.valid() && ++votes[claims.accepted] >= quorum_) return claims.value;
  return std::nullopt;
}

}  // namespace weave
