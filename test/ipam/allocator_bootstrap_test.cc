// How peers come to a ring, and what does not go together (spec/ipam.md sections 4.3 and 5).
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

using Message = Cluster::Message;

SeedBootstrap Seeds(std::vector<std::uint64_t> names) {
  SeedBootstrap seeds;
  for (const std::uint64_t name : names) seeds.seeds.push_back(PeerName(name));
  return seeds;
}

TEST_CASE("Electors are idle until somebody asks", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {Consensus(3)}});
  c.RunFor(absl::Seconds(29));
  CHECK(c.at(0).ring().empty());
  CHECK_FALSE(c.at(0).NextDeadline().has_value());
  CHECK_FALSE(c.at(0).Status().election.has_value());
  CHECK(c.disk(0).empty());
}

TEST_CASE("Electors agree on a ring when the first address is asked for", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {Consensus(3)}});
  CHECK(c.Answer(c.Allocate(1, "web")) != "");
  CHECK(c.at(0).ring().seeds().size() >= 2);
  c.RunFor(absl::Seconds(31));
  c.CheckConverged();
  CHECK(c.errors().empty());
}

TEST_CASE("Below the quorum an allocation waits, above it it goes through", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {Consensus(3)}});
  c.Cut(0, 1);
  c.Cut(0, 2);
  const OperationId web = c.Allocate(0, "web");
  c.RunFor(absl::Seconds(20));
  CHECK(c.Text(web) == "");
  const IpamStatus status = c.at(0).Status();
  REQUIRE(status.election.has_value());
  CHECK(status.election->quorum == 2);
  CHECK(status.election->known_count == 1);
  c.Heal();
  c.RunFor(absl::Seconds(6));
  CHECK(c.Text(web) != "");
  CHECK_FALSE(c.at(0).Status().election.has_value());
}

TEST_CASE("The quorum is guessed from the peers that are dialled", "[ipam]") {
  const std::size_t peers = GENERATE(1, 2, 3, 4, 5);
  Cluster c({.peers = peers, .bootstraps = {ConsensusBootstrap{}}});
  for (Cluster::Index i = 1; i < peers; ++i) c.Cut(0, i);
  c.Allocate(0, "web");
  c.RunUntilQuiet();
  if (peers == 1) {
    CHECK_FALSE(c.at(0).ring().empty());
  } else {
    CHECK(c.at(0).Status().election->quorum == peers / 2 + 1);  // (n + 1) / 2 + 1 of n others
  }
}

TEST_CASE("Who waits for the ring hears when there is one", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Consensus(2)}});
  c.Cut(0, 1);
  const OperationId ring = c.Do(0, AwaitRingOperation{});
  c.RunFor(absl::Seconds(10));
  CHECK(c.Text(ring) == "");
  c.Heal();
  c.RunFor(absl::Seconds(5));
  CHECK(c.Text(ring) == "OK");
  CHECK(c.Answer(c.Do(1, AwaitRingOperation{})) == "OK");
}

TEST_CASE("A claim outside does not wait for the ring, one inside does", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Consensus(2)}});
  c.Cut(0, 1);
  CHECK(c.Answer(c.Claim(0, "a", "192.168.0.1/24")) == "192.168.0.1/24");
  const OperationId inside = c.Claim(0, "b", "10.0.0.5/24");
  CHECK(c.Answer(inside) == "");
  CHECK(c.Answer(c.Claim(0, "c", "10.0.0.6/24", true)) == "OK");
  c.Heal();
  c.RunFor(absl::Seconds(6));
  CHECK(c.Text(inside) == "10.0.0.5/24");
  CHECK(c.AddressesOf(0, "c") == "10.0.0.6/24");
}

TEST_CASE("Claims that came first are served first when the ring is there", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Consensus(2)}});
  c.Cut(0, 1);
  c.Claim(0, "running", "10.0.0.1/24", true);
  const OperationId web = c.Allocate(0, "web");
  c.Heal();
  c.RunFor(absl::Seconds(6));
  CHECK(c.AddressesOf(0, "running") == "10.0.0.1/24");
  CHECK(c.Text(web) == "10.0.0.2/24");
}

TEST_CASE("A peer that comes late owns nothing, and asks for space", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {Consensus(3)}});
  c.Crash(2);
  c.Allocate(0, "web");
  c.RunUntilQuiet();
  CHECK(c.at(0).ring().Owners().size() == 2);
  c.Restart(2);
  CHECK(c.Answer(c.Allocate(2, "late")) != "");
  CHECK(c.at(0).ring().Owners().size() == 3);
  c.CheckAll();
}

TEST_CASE("An observer does not vote, but gets the others to", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {ObserverBootstrap{}, Consensus(2)}});
  const OperationId web = c.Allocate(0, "web");
  CHECK(c.Answer(web) != "");
  CHECK(c.at(0).ring().seeds() == std::vector<PeerName>{Cluster::Name(1), Cluster::Name(2)});
}

TEST_CASE("Observers among themselves wait, and say that they have asked", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {ObserverBootstrap{}}});
  const OperationId web = c.Allocate(0, "web");
  c.RunFor(absl::Seconds(60));
  CHECK(c.Text(web) == "");
  CHECK(c.at(0).Status().priming);
  CHECK(c.at(1).ring().empty());
}

TEST_CASE("An observer that comes late is answered with the ring", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Consensus(1), ObserverBootstrap{}}});
  c.Cut(0, 1);
  c.Allocate(0, "first");
  c.RunUntilQuiet();
  c.Allocate(1, "web");
  c.RunFor(absl::Seconds(11));
  CHECK(c.at(1).ring().empty());
  // The link is back, and nothing is said of it: the plea alone must do.
  c.Heal();
  CHECK(c.AddressesOf(1, "web") == "");
  c.RunFor(absl::Seconds(6));
  CHECK(c.AddressesOf(1, "web") != "");
}

TEST_CASE("Peers with the same seeds start alone and agree when they meet", "[ipam]") {
  Cluster c({.peers = 2, .range = "10.0.0.0/24", .bootstraps = {Seeds({2, 1, 2})}});
  c.Cut(0, 1);
  CHECK(c.Answer(c.Allocate(0, "a")) == "10.0.0.1/24");
  CHECK(c.Answer(c.Allocate(1, "b")) == "10.0.0.128/24");
  c.Heal();
  c.RunFor(absl::Seconds(31));
  CHECK(c.errors().empty());
  c.CheckConverged();
}

TEST_CASE("Other seeds are refused with a reason, and both go on", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Seeds({1}), Seeds({2})}});
  REQUIRE_FALSE(c.errors().empty());
  CHECK(c.errors()[0] ==
        "1: IP allocation was seeded by different peers (received: 00:00:00:00:00:01, ours: 00:00:00:00:00:02)");
  CHECK(c.Answer(c.Allocate(0, "a")) == "10.0.0.1/24");
  CHECK(c.at(1).ring().CountOf(Cluster::Name(1)) == 256);
}

TEST_CASE("A seed whose disk is new gives nothing before it has heard what others own by now", "[ipam]") {
  Cluster c({.peers = 3});
  CHECK(c.Answer(c.Allocate(2, "old")) == "10.0.0.192/24");
  c.Destroy(2);
  c.disk(2).clear();
  REQUIRE(c.Answer(c.Do(0, TakeOverOperation{"host2"})) == "OK");
  REQUIRE(c.Answer(c.Claim(0, "web", "10.0.0.192/24")) == "10.0.0.192/24");

  c.SetDialling(2, true);
  c.Cut(0, 2);
  c.Cut(1, 2);
  c.Restart(2);
  const OperationId late = c.Allocate(2, "late");
  c.RunFor(absl::Seconds(9));
  CHECK(c.Text(late) == "");
  CHECK(c.at(2).Status().priming);
  c.Heal();
  c.SetDialling(2, false);
  c.RunFor(absl::Seconds(5));
  CHECK(c.Text(late) != "");
  CHECK(c.errors().empty());
  c.CheckAll();
  c.RunFor(absl::Seconds(31));
  c.CheckConverged();
}

TEST_CASE("A seed that nobody answers makes its ring after 10 s, one that has been answered by all at once", "[ipam]") {
  Cluster c({.peers = 2});
  c.Destroy(0);
  c.disk(0).clear();
  c.Destroy(1);
  c.SetDialling(0, true);
  c.Restart(0);
  const OperationId web = c.Allocate(0, "web");
  c.RunFor(Allocator::kSeedPatience - absl::Milliseconds(1));
  CHECK(c.Text(web) == "");
  c.RunFor(absl::Milliseconds(1));
  CHECK(c.Text(web) == "10.0.0.1/24");

  c.Destroy(0);
  c.disk(0).clear();
  c.Restart(0);
  const OperationId again = c.Allocate(0, "web");
  c.RunFor(absl::Seconds(1));
  CHECK(c.Text(again) == "");
  c.SetDialling(0, false);
  c.RunFor(Allocator::kSeedPause);
  CHECK(c.Text(again) == "10.0.0.1/24");
}

TEST_CASE("A seed without a ring refuses a ring of other seeds", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Seeds({1}), Seeds({1, 2})}});
  c.Destroy(1);
  c.disk(1).clear();
  c.SetDialling(1, true);
  c.Restart(1);
  c.RunUntilQuiet();
  CHECK(c.at(1).ring().empty());
  REQUIRE_FALSE(c.errors().empty());
  CHECK(absl::StrContains(c.errors().back(), "seeded by different peers"));
}

TEST_CASE("Status says whether those who are there could agree on a takeover", "[ipam]") {
  Cluster waiting({.peers = 3, .bootstraps = {Consensus(3)}});
  CHECK(waiting.at(0).Status().reachable_voter_count == 0);
  CHECK_FALSE(waiting.at(0).Status().quorum);

  Cluster c({.peers = 3});
  CHECK(c.at(1).Status().reachable_voter_count == 3);
  CHECK(c.at(1).Status().quorum);
  c.Cut(1, 0);
  CHECK(c.at(1).Status().unreachable_voter_count == 1);
  CHECK(c.at(1).Status().quorum);
  c.Cut(1, 2);
  CHECK(c.at(1).Status().reachable_voter_count == 1);
  CHECK_FALSE(c.at(1).Status().quorum);
}

TEST_CASE("Another range is refused with a reason", "[ipam]") {
  Cluster c({.peers = 2});
  c.Crash(1);
  AllocatorConfig config = c.ConfigOf(1);
  config.range = config.default_subnet = Cidr::Parse("10.0.0.0/25").value();
  c.Configure(1, config);
  c.Restart(1);
  c.RunUntilQuiet();
  REQUIRE_FALSE(c.errors().empty());
  CHECK(absl::StrContains(c.errors()[0], "Incompatible IP allocation ranges"));
}

TEST_CASE("Malformed messages are refused and change nothing", "[ipam]") {
  Cluster c({.peers = 1, .bootstraps = {Consensus(3)}});
  Allocator& a = c.at(0);
  CHECK_FALSE(a.OnUnicast(c.now(), PeerName(7), Bytes{}).ok());
  CHECK_FALSE(a.OnUnicast(c.now(), PeerName(7), Bytes{3, 1, 2}).ok());
  CHECK_FALSE(a.OnBroadcast(c.now(), PeerName(7), Bytes{1, 2, 3}).ok());
  IpamState state;
  state.nicknames[PeerName(7)] = "seven";
  const ProposalId proposal{1, {PeerName(7), 1}};
  state.paxos = PaxosClaims{{{PeerName(7), 1}, {proposal, proposal, {{}, proposal}}}};
  CHECK_FALSE(a.OnGossip(c.now(), PeerName(7), EncodeIpamState(state, PeerName(7))).ok());
  state.paxos = PaxosClaims{{{PeerName(7), 1}, {proposal, proposal, {{PeerName()}, proposal}}}};
  CHECK_FALSE(a.OnGossip(c.now(), PeerName(7), EncodeIpamState(state, PeerName(7))).ok());
  CHECK(a.TakeOutput().empty());
  CHECK(a.ring().empty());
}

TEST_CASE("Who asks for a ring by broadcast is answered, who tells by gossip is not", "[ipam]") {
  Cluster c({.peers = 2});
  IpamState plea;
  const Bytes payload = EncodeIpamState(plea, Cluster::Name(1));
  CHECK(c.at(0).OnGossip(c.now(), Cluster::Name(1), payload).value() == nullptr);
  CHECK(c.at(0).TakeOutput().empty());

  const auto onwards = c.at(0).OnBroadcast(c.now(), Cluster::Name(1), payload).value();
  const AllocatorOutput output = c.at(0).TakeOutput();
  REQUIRE(output.telling.unicasts.size() == 1);
  CHECK(output.telling.unicasts[0].to == Cluster::Name(1));
  CHECK(DecodeIpamUnicast(output.telling.unicasts[0].payload)->state->ring == c.at(0).ring());
  // Those behind us get the ring rather than the question.
  CHECK(DecodeIpamState(onwards->Encode().at(0))->ring == c.at(0).ring());
}

TEST_CASE("A broadcast is passed on as it came", "[ipam]") {
  Cluster c({.peers = 2});
  IpamState state;
  state.ring = c.at(1).ring();
  const Bytes payload = EncodeIpamState(state, Cluster::Name(1));
  const auto onwards = c.at(0).OnBroadcast(c.now(), Cluster::Name(1), payload).value();
  CHECK(onwards->Encode() == std::vector<Bytes>{payload});
  // While it waits for a connection, the latest of each peer is kept.
  const auto own = c.at(0).FullState(c.now());
  onwards->Merge(*own);
  onwards->Merge(*own);
  CHECK(onwards->Encode().size() == 2);
}

TEST_CASE("A ring alone is told, without Paxos; an elector without one tells an empty map, an observer none",
          "[ipam]") {
  Cluster rings({.peers = 1});
  const IpamState ring = DecodeIpamState(rings.at(0).FullState(rings.now())->Encode().at(0)).value();
  CHECK(ring.ring.has_value());
  CHECK_FALSE(ring.paxos.has_value());
  CHECK(ring.nicknames.at(Cluster::Name(0)) == "host0");

  Cluster electors({.peers = 1, .bootstraps = {Consensus(3)}});
  const IpamState elector = DecodeIpamState(electors.at(0).FullState(electors.now())->Encode().at(0)).value();
  CHECK_FALSE(elector.ring.has_value());
  CHECK(elector.paxos == PaxosClaims{});

  Cluster observers({.peers = 1, .bootstraps = {ObserverBootstrap{}}});
  const IpamState observer = DecodeIpamState(observers.at(0).FullState(observers.now())->Encode().at(0)).value();
  CHECK_FALSE(observer.ring.has_value());
  CHECK_FALSE(observer.paxos.has_value());
}

}  // namespace
}  // namespace weave::test
