// Agreement on the first owners of the ring: basic Paxos whose state everyone gossips whole (spec/ipam.md section 5.2).
// Every node is proposer, acceptor and learner.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
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

struct AcceptedValue {
  std::vector<PeerName> peers;  // in any order, perhaps with repetitions
  ProposalId origin;            // the proposal that first had this value

  friend bool operator==(const AcceptedValue&, const AcceptedValue&) = default;
};

struct NodeClaims {
  ProposalId promise;   // the node accepts nothing older
  ProposalId accepted;  // valid: with `value`
  AcceptedValue value;

  friend bool operator==(const NodeClaims&, const NodeClaims&) = default;
};

using PaxosClaims = absl::btree_map<PaxosNodeId, NodeClaims>;

// A node that restarts must come back with the id and the claims it had: a promise forgotten could let two majorities
// agree on different rings. The caller records both before it tells anyone of a change.
class PaxosNode {
 public:
  // Claims of more nodes are not taken up, as if their message had been lost.
  static constexpr std::size_t kMaxNodes = 4096;

  // `quorum`: 1 or more nodes.
  PaxosNode(PaxosNodeId self, std::size_t quorum, PaxosClaims claims);

  const PaxosNodeId& self() const { return self_; }
  std::size_t quorum() const { return quorum_; }
  void SetQuorum(std::size_t quorum);
  const PaxosClaims& claims() const { return claims_; }
  // Nodes heard of, ourselves included once we have a claim.
  std::size_t known_count() const { return claims_.size(); }

  // A new round of our own; with a quorum of 1 it is accepted at once.
  void Propose();
  // What another node knows; true when something was new to us.
  bool Update(const PaxosClaims& theirs);
  // Acts as acceptor and proposer on what is known; true when our own claims changed.
  bool Think();
  // The value that a quorum has accepted in one and the same proposal; none yet. The reference peer counts values of
  // one origin, whichever proposals they were accepted in: two quorums can then hold different values to be agreed.
  std::optional<AcceptedValue> Consensus() const;

 private:
  // The names of all known nodes.
  AcceptedValue ChooseValue(const ProposalId& origin) const;

  PaxosNodeId self_;
  std::size_t quorum_ = 1;
  PaxosClaims claims_;
};

}  // namespace weave
