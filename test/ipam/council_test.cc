// Who takes over what a dead peer owned, and what it takes to decide that (docs/ipam.md, "The council").
#include "ipam/council.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"
#include "ipam/council_messages.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

using Index = Cluster::Index;

OperationId Remove(Cluster& c, Index by, Index dead) { return c.Do(by, TakeOverOperation{absl::StrCat("host", dead)}); }
OperationId RemoveByForce(Cluster& c, Index by, Index dead) {
  return c.Do(by, TakeOverOperation{absl::StrCat("host", dead), true});
}

bool Owns(Cluster& c, Index by, Index peer) { return c.at(by).ring().Owns(Cluster::Name(peer)); }

std::vector<PeerName> MembersAt(Cluster& c, Index i) {
  std::vector<PeerName> names;
  for (const CouncilMember& member : c.at(i).council().state().members) names.push_back(member.name);
  return names;
}

void CutOff(Cluster& c, const std::vector<Index>& some) {
  for (const Index i : some)
    for (Index other = 0; other < c.size(); ++other)
      if (std::find(some.begin(), some.end(), other) == some.end()) c.Cut(i, other);
}

std::size_t CouncilMessagesSince(Cluster& c, std::size_t first) {
  std::size_t count = 0;
  for (std::size_t i = first; i < c.sent().size(); ++i)
    if (c.sent()[i].council && c.sent()[i].kind != Cluster::Message::Kind::kGossip) ++count;
  return count;
}

// ---- what callers see ----

TEST_CASE("The ranges of a dead peer are taken over by its nickname or name, to the last address", "[ipam]") {
  Cluster c({.peers = 2, .range = "10.32.0.0/12"});
  c.Crash(1);
  const OperationId by_name = c.Do(0, TakeOverOperation{GENERATE("host1", "00:00:00:00:00:02")});
  c.RunUntilQuiet();
  CHECK(c.ReplyTo(by_name)->taken_over == 524288);
  CHECK(c.at(0).ring().CountOf(Cluster::Name(0)) == 1048576);
  const OperationId again = c.Do(0, TakeOverOperation{"host1"});
  c.RunUntilQuiet();
  CHECK(c.ReplyTo(again)->taken_over == 0);
}

TEST_CASE("Founders whose disks were erased hear at once what was decided, and do not decide it anew", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {SeedBootstrap{{Cluster::Name(0), Cluster::Name(1)}}}});
  c.RunFor(absl::Seconds(65));  // the third has asked for a vote; the next gossip is far
  REQUIRE(MembersAt(c, 2).size() == 3);
  for (const Index i : {0, 1}) c.Crash(i);
  for (const Index i : {0, 1}) c.disk(i).clear();
  for (const Index i : {0, 1}) c.Restart(i);
  c.RunFor(absl::Seconds(1));
  for (const Index i : {0, 1}) {
    REQUIRE_FALSE(c.at(i).ring().empty());
    CHECK(c.at(i).council().state() == c.at(2).council().state());
  }
}

// host1 has recorded that host2 is promised to host0, and no ring that shows it. Some seeds come to that.
bool KnowsThePromiseAlone(Cluster& c) {
  const auto& record = std::get<RingRecord>(c.disk(1).at(RingKey()));
  return record.council.has_value() && !record.council->state.takeovers.empty() &&
         std::any_of(record.entries.begin(), record.entries.end(),
                     [](const RingEntry& entry) { return entry.peer == Cluster::Name(2); });
}

TEST_CASE("Who forgot its disk gives nothing that the council has promised to another, whatever old rings say",
          "[ipam]") {
  int count = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Cluster c({.peers = 3, .seed = seed});
    CHECK(c.Answer(c.Allocate(2, "old")) == "10.0.0.192/24");
    c.RunFor(absl::Seconds(31));
    c.Destroy(2);
    c.disk(2).clear();
    Remove(c, 0, 2);
    for (int i = 0; i < 1000 && !KnowsThePromiseAlone(c); ++i) c.Step();
    c.HoldDisk(1, true);
    if (!KnowsThePromiseAlone(c) || c.Answer(c.Claim(0, "web", "10.0.0.192/24")) != "10.0.0.192/24") continue;
    ++count;

    c.Cut(0, 2);
    c.Cut(0, 1);
    c.Restart(2);
    c.Gossip(1, 2);
    c.RunFor(absl::Seconds(5));
    CHECK(c.at(2).ring().OwnerOf(IpAddress::V4(0x0a0000c0)) == Cluster::Name(2));
    const OperationId claim = c.Claim(2, "claimer", "10.0.0.193/24");
    const OperationId waits = c.Allocate(2, "new");
    c.RunFor(absl::Seconds(10));
    CHECK(c.Text(waits) == "");
    c.HoldDisk(1, false);
    c.Heal();
    c.RunFor(absl::Seconds(40));
    CHECK(c.Text(claim) == "10.0.0.193/24");
    CHECK(c.AddressesOf(2, "new") != "");
    c.CheckAll();
    c.CheckConverged();
  }
  CHECK(count > 0);
}

TEST_CASE("What is in use and promised to another is its holder's until it is known to be taken", "[ipam]") {
  int count = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Cluster c({.peers = 3, .seed = seed});
    CHECK(c.Answer(c.Allocate(2, "old")) == "10.0.0.192/24");
    c.RunFor(absl::Seconds(31));
    c.Crash(2);
    Remove(c, 0, 2);
    for (int i = 0; i < 1000 && !KnowsThePromiseAlone(c); ++i) c.Step();
    c.HoldDisk(1, true);
    if (!KnowsThePromiseAlone(c)) continue;

    c.Cut(0, 2);
    c.Cut(0, 1);
    c.Restart(2);
    c.Gossip(1, 2);
    c.RunFor(absl::Seconds(5));
    if (c.at(2).council().PromiseOf(Cluster::Name(2)) == nullptr) continue;
    ++count;
    CHECK(c.at(2).stray_count() == 0);
    CHECK(c.AddressesOf(2, "old") == "10.0.0.192/24");
    c.HoldDisk(1, false);
    c.Heal();
    c.RunFor(absl::Seconds(40));
    CHECK(c.at(2).stray_count() == 0);
    CHECK(c.AddressesOf(2, "old") == "10.0.0.192/24");
    c.CheckAll();
    c.CheckConverged();
  }
  CHECK(count > 0);
}

TEST_CASE("Nothing is taken over from strangers, from ourselves, or from the living", "[ipam]") {
  Cluster c({.peers = 2});
  for (const char* peer : {"nosuch", "host0", "00:00:00:00:00:01", "00:00:00:00:00:09"}) {
    const OperationId id = c.Do(0, TakeOverOperation{peer});
    CHECK(c.Answer(id) == "OK");
    CHECK(c.ReplyTo(id)->taken_over == 0);
  }
  CHECK(absl::StrContains(c.Answer(c.Do(0, TakeOverOperation{"host1"})), "00:00:00:00:00:02 (host1) is connected"));
  CHECK(c.at(0).ring().Owns(Cluster::Name(1)));
}

TEST_CASE("Of peers that take over the same dead one at once, one has the ranges, and the others say who", "[ipam]") {
  Cluster c({.peers = 3, .range = "10.0.0.0/28"});
  for (Index i = 0; i < 2; ++i)
    for (int n = 0; n < 6; ++n) c.Allocate(i, absl::StrCat(i, ".", n), i == 0 ? "10.0.0.0/29" : "");
  c.RunUntilQuiet();
  c.Crash(2);
  const OperationId first = Remove(c, 0, 2);
  const OperationId second = Remove(c, 1, 2);
  const OperationId web = c.Allocate(0, "web");
  c.Allocate(1, "db");
  c.RunFor(absl::Seconds(6));
  const bool first_won = c.Text(first) == "OK";
  CHECK((first_won || c.Text(second) == "OK"));
  const std::string lost = c.Text(first_won ? second : first);
  CHECK((absl::StrContains(lost, first_won ? "promised to peer 00:00:00:00:00:01 (host0)"
                                           : "promised to peer 00:00:00:00:00:02 (host1)") ||
         absl::StrContains(lost, "has taken over what 00:00:00:00:00:03 (host2) owned") || lost == "OK"));
  CHECK(c.ReplyTo(first)->taken_over + c.ReplyTo(second)->taken_over > 0);
  CHECK(c.Text(web) != "");
  CHECK(c.errors().empty());
  c.RunFor(absl::Seconds(60));
  CHECK(c.Answer(Remove(c, 0, 2)) == "OK");
  CHECK(c.Answer(Remove(c, 1, 2)) == "OK");
  c.CheckAll();
  c.CheckConverged();
}

TEST_CASE("The side with most of the peers takes over; the other says after 10 s who is missing", "[ipam]") {
  Cluster c({.peers = 5});
  c.Crash(4);
  CutOff(c, {3});
  const OperationId minority = Remove(c, 3, 4);
  const OperationId majority = Remove(c, 0, 4);
  c.RunUntilQuiet();
  CHECK(c.ReplyTo(majority)->taken_over > 0);
  CHECK(Owns(c, 3, 4));
  c.RunFor(absl::Milliseconds(9'900));
  CHECK(c.Text(minority) == "");
  REQUIRE(c.at(3).Status().removals.size() == 1);
  CHECK(c.at(3).Status().removals[0].voter_count == 1);
  c.RunFor(absl::Milliseconds(200));
  CHECK(c.Text(minority) ==
        "peer 00:00:00:00:00:05 (host4) is not taken over: 1 of 5 peers voted, 3 must; not heard: "
        "00:00:00:00:00:01 (host0), 00:00:00:00:00:02 (host1), 00:00:00:00:00:03 (host2), 00:00:00:00:00:05 (host4). "
        "`weave rmpeer --force` decides without them; if they live and do the same, addresses are given twice");
  CHECK(c.at(3).Status().removals.empty());
  c.Heal();
  c.RunFor(absl::Seconds(40));
  CHECK_FALSE(Owns(c, 3, 4));
  CHECK(c.at(3).council().state() == c.at(0).council().state());
  CHECK(c.errors().empty());
  c.CheckConverged();
}

TEST_CASE("Of two peers the lower decides alone, the higher not at all", "[ipam]") {
  Cluster c({.peers = 2});
  const Index alive = GENERATE(0u, 1u);
  c.Crash(1 - alive);
  const OperationId id = Remove(c, alive, 1 - alive);
  c.RunFor(absl::Seconds(11));
  CHECK((c.Text(id) == "OK") == (alive == 0));
  if (alive == 1) CHECK(absl::StrContains(c.Text(id), "1 of 2 peers voted, 2 must"));
}

TEST_CASE("By force one peer decides, and its decision outlives what others agree on", "[ipam]") {
  Cluster c({.peers = 3});
  c.Crash(2);
  CutOff(c, {1});
  const OperationId id = RemoveByForce(c, 1, 2);
  c.RunUntilQuiet();
  CHECK(c.ReplyTo(id)->taken_over > 0);
  CHECK_FALSE(Owns(c, 1, 2));
  CHECK(MembersAt(c, 1) == std::vector<PeerName>{Cluster::Name(1)});
  // What was taken is not given at once: others may have taken it in the same moment.
  c.RunFor(absl::Seconds(3));
  c.Heal();
  c.RunFor(absl::Seconds(90));
  CHECK(c.at(0).council().state() == c.at(1).council().state());
  CHECK(c.at(0).council().state().id.generation == 1);
  CHECK(MembersAt(c, 0) == std::vector<PeerName>{Cluster::Name(0), Cluster::Name(1)});  // 0 has applied
  c.CheckConverged();
}

TEST_CASE("A peer that is connected is not taken over, by force neither", "[ipam]") {
  Cluster c({.peers = 3});
  CHECK(absl::StrContains(c.Answer(RemoveByForce(c, 0, 1)), "is connected"));
  CHECK(Owns(c, 0, 1));
}

TEST_CASE("Who comes back before the council has decided keeps its ranges", "[ipam]") {
  Cluster c({.peers = 3});
  c.Crash(1);
  c.Crash(2);
  const OperationId id = Remove(c, 0, 2);
  c.RunFor(absl::Seconds(1));
  c.Restart(2);
  CHECK(absl::StrContains(c.Answer(id), "00:00:00:00:00:03 (host2) is back"));
  CHECK(Owns(c, 0, 2));
}

TEST_CASE("A caller that goes takes its wish back", "[ipam]") {
  Cluster c({.peers = 3});
  c.Crash(1);
  c.Crash(2);
  const OperationId id = Remove(c, 0, 2);
  c.RunFor(absl::Seconds(1));
  c.Cancel(0, id);
  CHECK(absl::StrContains(c.Answer(id), "the caller has gone"));
  c.Restart(1);
  c.RunFor(absl::Seconds(30));
  CHECK(Owns(c, 0, 2));
}

// ---- heirs that die ----

// Host0 dies some steps into taking over from host4: nothing is agreed yet, or it is and nobody knows, or all know.
TEST_CASE("Whenever an heir dies, somebody else can take over what it had and what it was promised", "[ipam]") {
  int promised = 0;
  for (int steps = 0; steps < 120; steps += 3) {
    INFO(steps << " steps");
    Cluster c({.peers = 5, .seed = 7});
    c.Crash(4);
    c.RunFor(absl::Seconds(60));
    Remove(c, 0, 4);
    for (int step = 0; step < steps; ++step) c.Step();
    c.Destroy(0);
    c.RunFor(absl::Seconds(60));
    const OperationId dead = Remove(c, 1, 4);
    c.RunFor(absl::Seconds(5));
    if (absl::StrContains(c.Text(dead), "promised to peer 00:00:00:00:00:01 (host0)"))
      ++promised;
    else
      CHECK(c.Text(dead) == "OK");
    const OperationId heir = Remove(c, 2, 0);
    c.RunFor(absl::Seconds(5));
    CHECK(c.Text(heir) == "OK");
    c.RunFor(absl::Seconds(60));
    for (Index i = 1; i < 4; ++i) CHECK((!Owns(c, i, 0) && !Owns(c, i, 4)));
    c.Restart(0);  // its containers are gone, and it remembers what it was about
    c.RunFor(absl::Seconds(60));
    CHECK(c.errors().empty());
    CHECK_FALSE(Owns(c, 1, 0));
    c.CheckConverged();
  }
  CHECK(promised > 0);
}

TEST_CASE("A takeover is carried out once: what the dead peer gets when it is back stays its own", "[ipam]") {
  Cluster c({.peers = 3});
  c.Crash(2);
  const OperationId id = Remove(c, 0, 2);
  CHECK(c.Answer(id) == "OK");
  c.Restart(2);
  c.RunFor(absl::Seconds(35));
  CHECK_FALSE(Owns(c, 2, 2));
  CHECK(c.Answer(c.Allocate(2, "web")) != "");
  c.Crash(2);
  c.Crash(0);
  c.Restart(0);
  c.RunFor(absl::Seconds(35));
  CHECK(Owns(c, 0, 2));
  c.Restart(2);
  c.RunFor(absl::Seconds(35));
  CHECK(c.AddressesOf(2, "web") != "");
  c.CheckAll();
  c.CheckConverged();
}

// ---- who has a vote ----

TEST_CASE("Peers that share the ring get a vote, once, and then nothing is said any more", "[ipam]") {
  Cluster c({.peers = 4, .bootstraps = {Consensus(1), ObserverBootstrap{}}});
  c.Allocate(0, "web");
  c.RunFor(absl::Seconds(5));
  CHECK(MembersAt(c, 0) == std::vector<PeerName>{Cluster::Name(0)});
  c.RunFor(absl::Seconds(40));
  for (Index i = 0; i < 4; ++i) CHECK(MembersAt(c, i).size() == 4);
  const std::size_t sent = c.sent().size();
  c.RunFor(absl::Minutes(5));
  CHECK(CouncilMessagesSince(c, sent) == 0);
  // The owner of nearly everything burns down: the others decide.
  c.Crash(0);
  const OperationId id = Remove(c, 2, 0);
  CHECK(c.Answer(id) == "OK");
  CHECK(c.Answer(c.Allocate(3, "db")) != "");
}

TEST_CASE("Who owns nothing and stays away loses its vote after ten minutes", "[ipam]") {
  Cluster c({.peers = 4, .bootstraps = {Consensus(1), ObserverBootstrap{}}});
  c.Allocate(0, "web");
  c.RunFor(absl::Seconds(40));
  c.Crash(3);
  c.RunFor(absl::Minutes(9));
  CHECK(MembersAt(c, 0).size() == 4);
  c.RunFor(absl::Minutes(2));
  CHECK(MembersAt(c, 0).size() == 3);
  c.Restart(3);
  c.RunFor(absl::Minutes(1));
  CHECK(MembersAt(c, 3).size() == 4);
}

TEST_CASE("A peer that is reset leaves the council, and comes back as another voter", "[ipam]") {
  Cluster c({.peers = 2});
  c.RunFor(absl::Seconds(20));
  c.Do(0, ShutdownOperation{});
  c.RunFor(absl::Seconds(1));
  CHECK(MembersAt(c, 1) == std::vector<PeerName>{Cluster::Name(1)});
  c.Destroy(0);
  c.disk(0).clear();
  AllocatorConfig config = c.ConfigOf(0);
  config.bootstrap = ObserverBootstrap{};
  c.Configure(0, config);
  c.Restart(0);
  c.RunFor(absl::Seconds(60));
  CHECK(MembersAt(c, 1).size() == 2);
  CHECK(c.at(1).council().state() == c.at(0).council().state());
}

TEST_CASE("A restarted peer remembers who it is, what is decided and what it promised", "[ipam]") {
  Cluster c({.peers = 3});
  c.Crash(1);
  c.Crash(2);
  Remove(c, 0, 2);
  c.RunFor(absl::Seconds(1));
  const CouncilMemory memory = c.at(0).council().Memory();
  CHECK(memory.claim.promise.valid());
  c.Crash(0);
  c.Restart(0);
  CHECK(c.at(0).council().Memory() == memory);
}

// ---- what is not believed ----

TEST_CASE("Another ring's council, strangers' votes and decisions out of turn change nothing", "[ipam]") {
  Cluster c({.peers = 3});
  c.RunUntilQuiet();
  const Council& council = c.at(0).council();
  const CouncilMemory before = council.Memory();
  CouncilState other = council.state();
  other.id.epoch = 5;
  CouncilMessage message{council.network() + 1, other};
  const auto hear = [&](PeerName from) {
    const Bytes payload = EncodeCouncilMessage(message);
    CHECK(c.at(0).council_channel().OnUnicast(c.now(), from, payload).ok());
    CHECK(c.at(0).council().Memory() == before);
  };
  hear(Cluster::Name(1));
  const PaxosNodeId stranger{PeerName(77), 1};
  CouncilClaim vote{council.state().id, 1, {{1, {Cluster::Name(1), 1}}, {}, {}}, false, {}};
  message = {council.network(), vote};
  hear(stranger.name);
  vote.claim.promise.proposer = {Cluster::Name(1), 1};
  vote.claim.accepted = vote.claim.promise;
  vote.claim.value = other;  // not the next
  message.body = vote;
  hear(Cluster::Name(1));
  message.body = CouncilApplication{0};
  hear(Cluster::Name(2));
}

}  // namespace
}  // namespace weave::test
