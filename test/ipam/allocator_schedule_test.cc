// Allocators under random schedules: messages late and lost, partitions, disks that fail, crashes, peers that are gone
// for good. An oracle outside knows what every caller was told.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

using Index = Cluster::Index;

struct Faults {
  bool crashes = true;
  bool disks = true;
  bool partitions = true;
  bool lost_messages = true;
};

IpamBootstrap DrawBootstrap(Random& random, std::size_t peers) {
  if (random.Chance(1, 4)) {
    SeedBootstrap seeds;
    for (Index i = 0; i < peers; ++i) seeds.seeds.push_back(Cluster::Name(i));
    return seeds;
  }
  return ConsensusBootstrap{peers};
}

ClusterOptions Draw(std::uint64_t seed, Mutant mutant) {
  Random random = Random(seed).Split("options");
  ClusterOptions options;
  options.peers = 2 + random.Below(3);
  options.seed = seed;
  options.range = random.Chance(1, 2) ? "10.0.0.0/28" : "10.0.0.0/26";
  options.bootstraps = {DrawBootstrap(random, options.peers)};
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
        c_.Claim(i, ident, address);
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

constexpr int kSteps = 600;

void Run(std::uint64_t seed, Faults faults) {
  INFO("seed " << seed);
  Cluster c(Draw(seed, Mutant::kNone));
  Chaos chaos(c, faults);
  for (int step = 0; step < kSteps; ++step) {
    chaos.Step();
    for (Index i = 0; i < c.size(); ++i)
      if (c.alive(i)) REQUIRE(c.at(i).CheckInvariants() == absl::OkStatus());
    REQUIRE(c.violations().empty());
  }
  chaos.Calm();
  REQUIRE(c.errors().empty());
  c.CheckAll();
  c.CheckConverged();
}

TEST_CASE("Whatever fails, no address has two holders, and all agree when it is over", "[ipam]") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) Run(seed, {});
}

}  // namespace
}  // namespace weave::test
