// Allocators under random schedules: messages late and lost, partitions, disks that fail, crashes, peers that are gone
// for good. An oracle outside knows what every caller was told.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"
#include "test/support/seeds.h"

namespace weave::test {
namespace {

using Index = Cluster::Index;

struct Faults {
  bool crashes = true;
  bool disks = true;
  bool partitions = true;
  bool lost_messages = true;
};

std::vector<IpamBootstrap> DrawBootstraps(Random& random, std::size_t peers) {
  SeedBootstrap seeds;
  for (Index i = 0; i < peers; ++i) seeds.seeds.push_back(Cluster::Name(i));
  if (random.Chance(1, 4)) return {seeds};
  const std::size_t electors = random.Chance(1, 2) ? peers : 1 + random.Below(peers);
  std::vector<IpamBootstrap> bootstraps(electors, ConsensusBootstrap{electors});
  bootstraps.resize(peers, ObserverBootstrap{});
  return bootstraps;
}

ClusterOptions Draw(std::uint64_t seed, Mutant mutant) {
  Random random = Random(seed).Split("options");
  ClusterOptions options;
  options.peers = 2 + random.Below(4);
  options.seed = seed;
  options.range = random.Chance(1, 2) ? "10.0.0.0/28" : "10.0.0.0/26";
  options.bootstraps = DrawBootstraps(random, options.peers);
  options.mutant = mutant;
  return options;
}

// Callers and their faults.
class Chaos {
 public:
  Chaos(Cluster& cluster, Faults faults) : c_(cluster), random_(cluster.random().Split("chaos")), faults_(faults) {
    c_.LoseMessages(faults.lost_messages);
  }

  void Step() {
    const Index i = random_.Below(c_.size());
    const std::uint64_t what = random_.Below(100);
    if (what < 70) {
      c_.Step();
    } else if (what < 92) {
      if (c_.alive(i)) Call(i);
    } else if (what < 94) {
      c_.Gossip(i, random_.Below(c_.size()));
    } else if (what < 96 && faults_.crashes) {
      if (c_.alive(i))
        c_.Crash(i);
      else if (!gone_.contains(i))
        c_.Restart(i);
    } else if (what < 98 && faults_.partitions) {
      const Index other = random_.Below(c_.size());
      if (other == i || random_.Chance(1, 2))
        c_.Heal();
      else
        c_.Cut(i, other);
    } else if (faults_.disks) {
      if (c_.alive(i)) c_.FailDisk(i, random_.Chance(1, 2));
    }
  }

  // A host burns down. When the others have told each other all they knew of it, one of them takes over what it had.
  void TakeOverOne() {
    const Index dead = random_.Below(c_.size());
    const Index heir = (dead + 1) % c_.size();
    gone_.insert(dead);
    c_.Destroy(dead);
    c_.RunFor(absl::Seconds(65));
    c_.Do(heir, TakeOverOperation{Cluster::Name(dead).ToString()});
    c_.RunFor(absl::Seconds(35));
    for (Index i = 0; i < c_.size(); ++i)
      if (c_.alive(i)) CHECK_FALSE(c_.at(i).ring().Owns(Cluster::Name(dead)));
  }

  // It gives away what it has, and is switched off.
  void ShutDownOne() {
    Index leaver = random_.Below(c_.size());
    while (!c_.alive(leaver)) leaver = (leaver + 1) % c_.size();
    c_.Do(leaver, ShutdownOperation{});
    c_.RunFor(absl::Seconds(1));
    gone_.insert(leaver);
    c_.Destroy(leaver);
    c_.RunFor(absl::Seconds(35));
    for (Index i = 0; i < c_.size(); ++i)
      if (c_.alive(i)) CHECK_FALSE(c_.at(i).ring().Owns(Cluster::Name(leaver)));
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

 private:
  void Call(Index i) {
    const std::string ident(1, static_cast<char>('a' + random_.Below(8)));
    const std::string address = absl::StrCat("10.0.0.", random_.Below(16), "/28");
    switch (random_.Below(8)) {
      case 0:
      case 1:
      case 2:
        waiting_.emplace_back(i, c_.Allocate(i, ident, random_.Chance(1, 3) ? "10.0.0.0/28" : ""));
        break;
      case 3:
        c_.Allocate(i, "_");
        break;
      case 4:
        c_.Claim(i, random_.Chance(1, 4) ? "_" : ident, address, random_.Chance(1, 3));
        break;
      case 5:
      case 6:
        c_.Release(i, ident);
        break;
      case 7:
        if (waiting_.empty()) break;
        const auto [peer, id] = waiting_[random_.Below(waiting_.size())];
        if (c_.alive(peer)) c_.Cancel(peer, id);
        break;
    }
  }

  Cluster& c_;
  Random random_;
  const Faults faults_;
  std::set<Index> gone_;
  std::vector<std::pair<Index, OperationId>> waiting_;
};

void Survive(Cluster& c, Chaos& chaos, int steps) {
  for (int step = 0; step < steps; ++step) {
    chaos.Step();
    REQUIRE(c.violations().empty());
    c.CheckHoldings();
  }
  chaos.Calm();
  REQUIRE(c.errors().empty());
  c.CheckAll();
  c.CheckConverged();
}

// Who asks when all is well gets an address, as long as one of the living owns a free one.
void CheckLiveness(Cluster& c) {
  for (Index i = 0; i < c.size(); ++i) {
    if (!c.alive(i)) continue;
    INFO("peer " << i);
    const OperationId probe = c.Allocate(i, "probe");
    c.RunFor(absl::Seconds(45));  // what is free is reported on the tick, and travels with the next gossip
    INFO(c.Describe());
    if (c.Text(probe).empty()) CHECK_FALSE(c.HasFreeAddress());
    c.Release(i, "probe");
    if (c.Text(probe).empty()) c.Cancel(i, probe);
    c.RunUntilQuiet();
  }
}

constexpr int kSteps = 500;

TEST_CASE("Whatever fails, no address has two holders, and all agree when it is over", "[ipam]") {
  for (const std::uint64_t seed : SeedsToRun(60)) {
    INFO("seed " << seed);
    Cluster c(Draw(seed, Mutant::kNone));
    Chaos chaos(c, {});
    Survive(c, chaos, kSteps);
    CheckLiveness(c);
    if (c.size() < 3 || c.at(0).ring().empty()) continue;
    if (c.random().Chance(1, 2))
      chaos.TakeOverOne();
    else
      chaos.ShutDownOne();
    c.CheckAll();
    Survive(c, chaos, kSteps / 4);
    CheckLiveness(c);
  }
}

// One of the seeds ends with an address given twice, or in use at one peer and owned by another.
bool FailsWithin(std::uint64_t seeds, Mutant mutant) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Cluster c(Draw(seed, mutant));
    Chaos chaos(c, {});
    for (int step = 0; step < kSteps; ++step) chaos.Step();
    chaos.Calm();
    for (Index i = 0; i < c.size(); ++i)
      if (c.alive(i) && c.at(i).stray_count() > 0) return true;
    if (!c.violations().empty() || !c.errors().empty()) return true;
  }
  return false;
}

TEST_CASE("The oracle notices who answers callers before the record is on disk", "[ipam]") {
  CHECK(FailsWithin(60, Mutant::kReplyBeforeDisk));
}

TEST_CASE("The oracle notices who tells others before the record is on disk", "[ipam]") {
  CHECK(FailsWithin(60, Mutant::kTellBeforeDisk));
}

// Only the election, with many crashes in the middle of it.
TEST_CASE("The oracle notices who forgets promises in a restart", "[ipam]") {
  const auto rings = [](std::uint64_t seed, Mutant mutant) {
    Cluster c(
        {.peers = 3 + seed % 3, .seed = seed, .bootstraps = {ConsensusBootstrap{3 + seed % 3}}, .mutant = mutant});
    c.LoseMessages(true);
    std::set<std::vector<PeerName>> seeds;
    for (int step = 0; step < kSteps; ++step) {
      const Index i = c.random().Below(c.size());
      const std::uint64_t what = c.random().Below(40);
      if (what == 0 && c.alive(i)) c.Crash(i);
      if (!c.alive(i) && what < 10) c.Restart(i);
      if (what == 10 && c.alive(i)) c.Do(i, AwaitRingOperation{});
      if (what > 10) c.Step();
      for (Index each = 0; each < c.size(); ++each)
        if (c.alive(each) && !c.at(each).ring().empty()) seeds.insert(c.at(each).ring().seeds());
    }
    return seeds.size();
  };
  bool noticed = false;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    CHECK(rings(seed, Mutant::kNone) <= 1);
    noticed = noticed || rings(seed, Mutant::kForgetPromises) > 1;
  }
  CHECK(noticed);
}

}  // namespace
}  // namespace weave::test
