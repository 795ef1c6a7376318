// Paxos, role by role (spec/ipam.md section 5.2).
#include "ipam/paxos.h"

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "test/support/catch.h"

namespace weave::test {
namespace {

PaxosNodeId Id(std::uint64_t name) { return {PeerName(name), name * 1000}; }
ProposalId Proposal(std::uint64_t round, std::uint64_t proposer) { return {round, Id(proposer)}; }
AcceptedValue Value(std::vector<std::uint64_t> names, ProposalId origin) {
  AcceptedValue value{{}, origin};
  for (const std::uint64_t name : names) value.peers.push_back(PeerName(name));
  return value;
}
NodeClaims Promised(ProposalId promise) { return {promise, {}, {}}; }
NodeClaims Voted(ProposalId promise, ProposalId accepted, AcceptedValue value) { return {promise, accepted, value}; }

PaxosNode Node(std::uint64_t name, std::size_t quorum, PaxosClaims claims = {}) {
  return PaxosNode(Id(name), quorum, std::move(claims));
}

TEST_CASE("Proposals are ordered by round, then by the proposer's name, then by its uid", "[ipam]") {
  CHECK(Proposal(1, 2) < Proposal(2, 1));
  CHECK(Proposal(1, 1) < Proposal(1, 2));
  CHECK(ProposalId{1, {PeerName(1), 5}} < ProposalId{1, {PeerName(1), 6}});
  CHECK(ProposalId{} < Proposal(1, 1));
  CHECK_FALSE(ProposalId{}.valid());
}

// ---- proposer ----

TEST_CASE("A proposer's round is one above every round it has heard of", "[ipam]") {
  PaxosNode node = Node(1, 2, {{Id(2), Promised(Proposal(4, 2))}, {Id(3), Voted({}, Proposal(7, 3), Value({3}, {}))}});
  node.Propose();
  CHECK(node.claims().at(Id(1)).promise == Proposal(8, 1));
}

TEST_CASE("A proposer whose rounds are used up does not start over", "[ipam]") {
  const ProposalId last = Proposal(std::numeric_limits<std::uint64_t>::max(), 2);
  PaxosNode node = Node(1, 2, {{Id(2), Promised(last)}});
  node.Propose();
  CHECK(node.claims().count(Id(1)) == 0);
}

TEST_CASE("A proposer waits for the promises of a quorum, its own counted", "[ipam]") {
  PaxosNode node = Node(1, 3);
  node.Propose();
  CHECK_FALSE(node.Think());
  node.Update({{Id(2), Promised(Proposal(1, 1))}});
  CHECK_FALSE(node.Think());
  node.Update({{Id(3), Promised(Proposal(1, 1))}});
  CHECK(node.Think());
  CHECK(node.claims().at(Id(1)).accepted == Proposal(1, 1));
  CHECK(node.claims().at(Id(1)).value == Value({1, 2, 3}, Proposal(1, 1)));
}

TEST_CASE("A promise to somebody else does not count", "[ipam]") {
  PaxosNode node = Node(2, 2);
  node.Propose();
  node.Update({{Id(1), Promised(Proposal(1, 1))}});
  CHECK_FALSE(node.Think());
  CHECK_FALSE(node.claims().at(Id(2)).accepted.valid());
}

TEST_CASE("A proposer carries on the latest value that its quorum has accepted", "[ipam]") {
  PaxosNode node = Node(1, 3, {{Id(1), Promised(Proposal(5, 1))}});
  const AcceptedValue early = Value({2}, Proposal(1, 2));
  const AcceptedValue late = Value({3}, Proposal(2, 3));
  node.Update(
      {{Id(2), Voted(Proposal(5, 1), Proposal(1, 2), early)}, {Id(3), Voted(Proposal(5, 1), Proposal(2, 3), late)}});
  CHECK(node.Think());
  CHECK(node.claims().at(Id(1)).accepted == Proposal(5, 1));
  CHECK(node.claims().at(Id(1)).value == late);
}

TEST_CASE("A value accepted by a node that did not promise is not carried on", "[ipam]") {
  PaxosNode node = Node(1, 2, {{Id(1), Promised(Proposal(5, 1))}});
  node.Update(
      {{Id(2), Promised(Proposal(5, 1))}, {Id(3), Voted(Proposal(2, 3), Proposal(2, 3), Value({3}, Proposal(2, 3)))}});
  CHECK(node.Think());
  CHECK(node.claims().at(Id(1)).value == Value({1, 2, 3}, Proposal(5, 1)));
}

TEST_CASE("With a quorum of one a proposal is agreed at once", "[ipam]") {
  PaxosNode node = Node(1, 1);
  CHECK_FALSE(node.Consensus().has_value());
  node.Propose();
  CHECK(node.Consensus() == Value({1}, Proposal(1, 1)));
}

// ---- acceptor ----

TEST_CASE("An acceptor promises the latest proposal, and says so once", "[ipam]") {
  PaxosNode node = Node(3, 2);
  CHECK(node.Update({{Id(1), Promised(Proposal(1, 1))}, {Id(2), Promised(Proposal(1, 2))}}));
  CHECK(node.Think());
  CHECK(node.claims().at(Id(3)) == Promised(Proposal(1, 2)));
  CHECK_FALSE(node.Update({{Id(1), Promised(Proposal(1, 1))}}));
  CHECK_FALSE(node.Think());
}

TEST_CASE("An acceptor keeps its promise when an older proposal is accepted elsewhere", "[ipam]") {
  PaxosNode node = Node(3, 2, {{Id(3), Promised(Proposal(2, 2))}});
  CHECK(node.Update({{Id(1), Voted(Proposal(1, 1), Proposal(1, 1), Value({1}, Proposal(1, 1)))}}));
  CHECK_FALSE(node.Think());
  CHECK(node.claims().at(Id(3)) == Promised(Proposal(2, 2)));
}

TEST_CASE("An acceptor votes for what was accepted under its promise", "[ipam]") {
  PaxosNode node = Node(3, 2, {{Id(3), Promised(Proposal(1, 1))}});
  const NodeClaims vote = Voted(Proposal(1, 1), Proposal(1, 1), Value({1, 2}, Proposal(1, 1)));
  node.Update({{Id(1), vote}});
  CHECK(node.Think());
  CHECK(node.claims().at(Id(3)) == vote);
}

TEST_CASE("A node that has heard nothing has nothing to say", "[ipam]") {
  PaxosNode node = Node(1, 1);
  CHECK_FALSE(node.Update({}));
  CHECK_FALSE(node.Think());
  CHECK(node.known_count() == 0);
}

TEST_CASE("What is older than what is known is not learnt", "[ipam]") {
  const NodeClaims vote = Voted(Proposal(3, 1), Proposal(2, 2), Value({2}, Proposal(2, 2)));
  PaxosNode node = Node(3, 2, {{Id(1), vote}});
  CHECK_FALSE(node.Update({{Id(1), Voted(Proposal(2, 2), Proposal(1, 1), Value({1}, Proposal(1, 1)))}}));
  CHECK(node.claims().at(Id(1)) == vote);
}

TEST_CASE("No more nodes are remembered than there may be", "[ipam]") {
  PaxosClaims many;
  for (std::uint64_t i = 0; i < PaxosNode::kMaxNodes + 10; ++i) many[{PeerName(7), i}] = Promised(Proposal(1, 7));
  PaxosNode node = Node(1, 2);
  node.Update(many);
  CHECK(node.known_count() == PaxosNode::kMaxNodes);
}

// ---- learner ----

TEST_CASE("A value is agreed when a quorum has accepted it", "[ipam]") {
  const AcceptedValue value = Value({2, 1, 2}, Proposal(1, 1));
  PaxosNode node = Node(9, 2);
  node.Update({{Id(1), Voted(Proposal(1, 1), Proposal(1, 1), value)}, {Id(2), Promised(Proposal(1, 1))}});
  CHECK_FALSE(node.Consensus().has_value());
  node.Update({{Id(2), Voted(Proposal(1, 1), Proposal(1, 1), value)}});
  CHECK(node.Consensus() == value);
}

TEST_CASE("Two votes for one value in different proposals are no agreement yet: the next quorum may outvote them",
          "[ipam]") {
  // 1 accepts its own value in round 1; 3, promised by 2, its own in round 2; 2 carries on the value of 1 in round 3.
  const AcceptedValue first = Value({1, 2}, Proposal(1, 1));
  const AcceptedValue second = Value({2, 3}, Proposal(2, 3));
  PaxosNode node2 = Node(2, 2, {{Id(2), Promised(Proposal(3, 2))}});
  node2.Update({{Id(1), Voted(Proposal(3, 2), Proposal(1, 1), first)}});
  CHECK(node2.Think());
  CHECK(node2.claims().at(Id(2)).value == first);
  CHECK_FALSE(node2.Consensus().has_value());

  // 3 has not heard of that. Its quorum is 1 and itself, and what it must carry on is its own value.
  PaxosNode node3 = Node(3, 2, {{Id(3), Voted(Proposal(4, 3), Proposal(2, 3), second)}});
  node3.Update({{Id(1), Voted(Proposal(4, 3), Proposal(1, 1), first)}});
  CHECK(node3.Think());
  node3.Update({{Id(1), Voted(Proposal(4, 3), Proposal(4, 3), second)}});
  CHECK(node3.Consensus() == second);
}

// The messages of ipam_paxos_gossip.json, without their bytes.
TEST_CASE("Two of three agree in four messages, as recorded", "[ipam]") {
  PaxosNode a = Node(1, 2);
  PaxosNode b = Node(2, 2);
  a.Propose();
  CHECK(a.claims() == PaxosClaims{{Id(1), Promised(Proposal(1, 1))}});

  CHECK(b.Update(a.claims()));
  CHECK(b.Think());
  CHECK(b.claims() == PaxosClaims{{Id(1), Promised(Proposal(1, 1))}, {Id(2), Promised(Proposal(1, 1))}});

  const NodeClaims vote = Voted(Proposal(1, 1), Proposal(1, 1), Value({1, 2}, Proposal(1, 1)));
  CHECK(a.Update(b.claims()));
  CHECK(a.Think());
  CHECK(a.claims() == PaxosClaims{{Id(1), vote}, {Id(2), Promised(Proposal(1, 1))}});
  CHECK_FALSE(a.Consensus().has_value());

  CHECK(b.Update(a.claims()));
  CHECK(b.Think());
  CHECK(b.claims() == PaxosClaims{{Id(1), vote}, {Id(2), vote}});
  CHECK(b.Consensus() == vote.value);

  CHECK(a.Update(b.claims()));
  CHECK_FALSE(a.Think());
  CHECK(a.Consensus() == vote.value);
}

}  // namespace
}  // namespace weave::test
