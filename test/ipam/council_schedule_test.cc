// Takeovers under random schedules: hosts that are gone for good, a network in pieces, operators who remove the dead on
// every side at once, crashes and failing disks in between. The oracle outside knows what every caller was told.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"
#include "test/support/seeds.h"

namespace weave::test {
namespace {

using Index = Cluster::Index;

ClusterOptions DrawCouncil(std::uint64_t seed, Mutant mutant) {
  Random random = Random(seed).Split("council");
  ClusterOptions options;
  options.peers = 3 + random.Below(4);
  options.seed = seed;
  options.range = random.Chance(1, 2) ? "10.0.0.0/28" : "10.0.0.0/26";
  const std::size_t electors = random.Chance(1, 2) ? options.peers : 1 + random.Below(options.peers);
  if (random.Chance(1, 2)) {
    options.bootstraps.assign(electors, ConsensusBootstrap{electors});
    options.bootstraps.resize(options.peers, ObserverBootstrap{});
  }
  options.mutant = mutant;
  return options;
}

class Operators {
 public:
  explicit Operators(Cluster& cluster) : c_(cluster), random_(cluster.random().Split("operators")) {}

  // Everybody owns something and has a vote.
  void Begin() {
    for (Index i = 0; i < c_.size(); ++i) c_.Allocate(i, absl::StrCat("first", i));
    c_.RunFor(absl::Seconds(60));
  }

  // A host burns down, with its containers, and the others tell each other all they knew of it.
  void BurnDown() {
    std::vector<Index> living;
    for (Index i = 0; i < c_.size(); ++i)
      if (!gone_.contains(i)) living.push_back(i);
    if (living.size() < 3) return;
    const Index dead = living[random_.Below(living.size())];
    if (!c_.alive(dead)) c_.Restart(dead);
    c_.Destroy(dead);
    gone_.insert(dead);
    removable_.push_back(dead);
    c_.RunFor(absl::Seconds(65));
  }

  void Step() {
    const Index i = random_.Below(c_.size());
    const std::uint64_t what = random_.Below(1000);
    if (what < 860) {
      c_.Step();
    } else if (what < 910) {
      if (c_.alive(i)) Call(i);
    } else if (what < 945) {
      if (c_.alive(i)) Remove(i);
    } else if (what < 955) {
      c_.Gossip(i, random_.Below(c_.size()));
    } else if (what < 970) {
      if (c_.alive(i))
        c_.Crash(i);
      else if (!gone_.contains(i))
        c_.Restart(i);
    } else if (what < 980) {
      if (c_.alive(i)) c_.FailDisk(i, random_.Chance(1, 2));
    } else {
      Partition();
    }
  }

  void Calm() {
    c_.LoseMessages(false);
    for (Index i = 0; i < c_.size(); ++i) {
      c_.FailDisk(i, false);
      if (!c_.alive(i) && !gone_.contains(i)) c_.Restart(i);
    }
    c_.Heal();
    c_.RunFor(absl::Seconds(130));
  }

  // All is well: whoever is asked can finish what others began. What was promised to a dead heir comes with the heir's.
  void RemoveAll() {
    for (const Index dead : removable_) {
      for (Index i = 0; i < c_.size(); ++i)
        if (c_.alive(i)) last_ = Remove(i, dead);
      c_.RunFor(absl::Seconds(12));
      // With half of the voters dead, somebody must insist.
      if (absl::StrContains(c_.Text(last_), "must; not heard")) RemoveByForce(dead);
    }
    for (const Index dead : removable_)
      for (Index i = 0; i < c_.size(); ++i)
        if (c_.alive(i)) CHECK_FALSE(c_.at(i).ring().Owns(Cluster::Name(dead)));
    for (const Index dead : removable_) Return(dead);
    removable_.clear();
  }

 private:
  void Call(Index i) {
    const std::string ident(1, static_cast<char>('a' + random_.Below(8)));
    if (random_.Chance(2, 3))
      c_.Allocate(i, ident, random_.Chance(1, 3) ? "10.0.0.0/28" : "");
    else
      c_.Release(i, ident);
  }

  OperationId Remove(Index by, Index dead) { return c_.Do(by, TakeOverOperation{Cluster::Name(dead).ToString()}); }
  void RemoveByForce(Index dead) {
    Index by = 0;
    while (!c_.alive(by)) ++by;
    last_ = c_.Do(by, TakeOverOperation{Cluster::Name(dead).ToString(), true});
    c_.RunFor(absl::Seconds(35));
  }
  void Remove(Index by) {
    if (!removable_.empty()) Remove(by, removable_[random_.Below(removable_.size())]);
  }

  void Partition() {
    c_.Heal();
    if (random_.Chance(1, 3)) return;
    std::vector<bool> side;
    for (Index i = 0; i < c_.size(); ++i) side.push_back(random_.Chance(1, 2));
    for (Index a = 0; a < c_.size(); ++a)
      for (Index b = 0; b < a; ++b)
        if (side[a] != side[b] || random_.Chance(1, 6)) c_.Cut(a, b);
  }

  // Under its old name, and with what it remembers. Its containers are no more.
  void Return(Index dead) {
    absl::erase_if(c_.disk(dead), [](const auto& row) { return IdentOfKey(row.first).has_value(); });
    gone_.erase(dead);
    c_.Restart(dead);
    c_.RunFor(absl::Seconds(35));
    CHECK_FALSE(c_.at(dead).ring().Owns(Cluster::Name(dead)));
  }

  Cluster& c_;
  Random random_;
  std::set<Index> gone_;
  std::vector<Index> removable_;
  OperationId last_ = 0;
};

constexpr int kCouncilSteps = 700;

bool IsClean(const Cluster& c) { return c.violations().empty() && c.errors().empty(); }

TEST_CASE("Whoever removes the dead, wherever and whenever, no address has two holders", "[ipam]") {
  for (const std::uint64_t seed : SeedsToRun(60)) {
    INFO("seed " << seed);
    Cluster c(DrawCouncil(seed, Mutant::kNone));
    Operators operators(c);
    operators.Begin();
    for (int round = 0; round < 3; ++round) {
      operators.BurnDown();
      c.LoseMessages(true);
      for (int step = 0; step < kCouncilSteps; ++step) {
        operators.Step();
        REQUIRE(c.violations().empty());
        c.CheckHoldings();
      }
      operators.Calm();
      REQUIRE(c.errors().empty());
      if (round == 1) operators.RemoveAll();
    }
    operators.RemoveAll();
    REQUIRE(c.errors().empty());
    c.CheckAll();
    c.CheckConverged();
  }
}

void Divide(Cluster& c, const std::vector<Index>& some, const std::vector<Index>& others) {
  for (const Index i : some)
    for (const Index other : others) c.Cut(i, other);
}

// Two sides of a broken network remove the same dead peer, and use all they have then.
bool BothSidesTake(Mutant mutant) {
  Cluster c({.peers = 5, .seed = 3, .range = "10.0.0.0/27", .mutant = mutant});
  c.Destroy(4);
  c.RunFor(absl::Seconds(65));
  Divide(c, {0, 1}, {2, 3});
  c.Do(0, TakeOverOperation{Cluster::Name(4).ToString()});
  c.Do(2, TakeOverOperation{Cluster::Name(4).ToString()});
  c.RunFor(absl::Seconds(5));
  for (int n = 0; n < 32; ++n)
    for (const Index i : {0u, 2u}) c.Allocate(i, absl::StrCat(i, ".", n));
  c.RunFor(absl::Seconds(5));
  c.Heal();
  c.RunFor(absl::Seconds(65));
  return !IsClean(c);
}

TEST_CASE("Two of five take nothing, and the oracle notices when their votes count for the silent", "[ipam]") {
  CHECK_FALSE(BothSidesTake(Mutant::kNone));
  CHECK(BothSidesTake(Mutant::kVoteForSilent));
}

// Of six, the first and any two others are a quorum. Host0 and host3 vote for host1 to take over from host5; host0
// restarts at some point of it, and is then with host2 and host4, who are after the same.
bool VotesTwice(Mutant mutant, int steps) {
  Cluster c({.peers = 6, .seed = 3, .range = "10.0.0.0/27", .mutant = mutant});
  c.Destroy(5);
  c.RunFor(absl::Seconds(65));
  Divide(c, {0, 1, 3}, {2, 4});
  c.Do(1, TakeOverOperation{Cluster::Name(5).ToString()});
  for (int step = 0; step < steps; ++step) c.Step();
  c.Crash(0);
  c.Heal();
  Divide(c, {0, 2, 4}, {1, 3});
  c.Restart(0);
  c.Do(2, TakeOverOperation{Cluster::Name(5).ToString()});
  c.RunFor(absl::Seconds(5));
  for (int n = 0; n < 32; ++n)
    for (const Index i : {1u, 2u}) c.Allocate(i, absl::StrCat(i, ".", n));
  c.RunFor(absl::Seconds(5));
  c.Heal();
  c.RunFor(absl::Seconds(65));
  return !IsClean(c);
}

TEST_CASE("A voter that restarts between two proposals votes once, or the oracle notices", "[ipam]") {
  bool noticed = false;
  for (int steps = 30; steps < 150; steps += 4) {
    INFO(steps << " steps");
    CHECK_FALSE(VotesTwice(Mutant::kNone, steps));
    noticed = noticed || VotesTwice(Mutant::kForgetVotes, steps);
  }
  CHECK(noticed);
}

}  // namespace
}  // namespace weave::test
