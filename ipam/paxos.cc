#include "ipam/paxos.h"

#include <utility>

#include "base/check.h"

namespace weave {

PaxosNode::PaxosNode(PaxosNodeId self, std::size_t quorum, PaxosClaims claims) : machine_(self, std::move(claims)) {
  SetQuorum(quorum);
}

void PaxosNode::SetQuorum(std::size_t quorum) {
  CHECK(quorum > 0);
  quorum_ = quorum;
}

void PaxosNode::Propose() {
  if (machine_.Propose() && quorum_ == 1) Think();
}

bool PaxosNode::Think() {
  return machine_.Think([this](const auto& nodes) { return nodes.size() >= quorum_; },
                        [this](const ProposalId& origin) { return ChooseValue(origin); });
}

AcceptedValue PaxosNode::ChooseValue(const ProposalId& origin) const {
  AcceptedValue value;
  value.origin = origin;
  for (const auto& [node, claims] : claims()) value.peers.push_back(node.name);
  return value;
}

std::optional<AcceptedValue> PaxosNode::Consensus() const {
  return machine_.Agreed([this](const auto& nodes) { return nodes.size() >= quorum_; });
}

}  // namespace weave
