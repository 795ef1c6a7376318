// Agreement on the first owners of the ring: basic Paxos whose state everyone gossips whole (spec/ipam.md section 5.2).
// Every node is proposer, acceptor and learner.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/peer_name.h"
#include "ipam/paxos_machine.h"

namespace weave {

struct AcceptedValue {
  std::vector<PeerName> peers;  // in any order, perhaps with repetitions
  ProposalId origin;            // the proposal that first had this value

  friend bool operator==(const AcceptedValue&, const AcceptedValue&) = default;
};

using NodeClaims = PaxosClaim<AcceptedValue>;
using PaxosClaims = PaxosMachine<AcceptedValue>::Claims;

// The value is free to choose: the names of all known nodes. A quorum is a number of nodes, whichever they are.
class PaxosNode {
 public:
  static constexpr std::size_t kMaxNodes = PaxosMachine<AcceptedValue>::kMaxNodes;

  // `quorum`: 1 or more nodes.
  PaxosNode(PaxosNodeId self, std::size_t quorum, PaxosClaims claims);

  const PaxosNodeId& self() const { return machine_.self(); }
  std::size_t quorum() const { return quorum_; }
  void SetQuorum(std::size_t quorum);
  const PaxosClaims& claims() const { return machine_.claims(); }
  // Nodes heard of, ourselves included once we have a claim.
  std::size_t known_count() const { return claims().size(); }

  // A new round of our own; with a quorum of 1 it is accepted at once.
  void Propose();
  // What another node knows; true when something was new to us.
  bool Update(const PaxosClaims& theirs) { return machine_.Update(theirs); }
  // Acts as acceptor and proposer on what is known; true when our own claims changed.
  bool Think();
  // The value that a quorum has accepted in one and the same proposal; none yet. The reference peer counts values of
  // one origin, whichever proposals they were accepted in: two quorums can then hold different values to be agreed.
  std::optional<AcceptedValue> Consensus() const;

 private:
  AcceptedValue ChooseValue(const ProposalId& origin) const;

  PaxosMachine<AcceptedValue> machine_;
  std::size_t quorum_ = 1;
};

}  // namespace weave
