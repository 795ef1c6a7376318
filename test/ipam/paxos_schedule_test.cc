// Paxos under random schedules: nodes that propose, crash and come back, messages that are lost, doubled and late. An
// observer outside asks all of them all the time what is agreed.
#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include "base/random.h"
#include "ipam/paxos.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

struct Faults {
  bool lose_promises = false;     // mutant: a restart comes back with the first claims it recorded
  bool tell_before_disk = false;  // mutant: others hear of a change that a crash undoes
};

class PaxosWorld {
 public:
  PaxosWorld(std::uint64_t seed, Faults faults) : faults_(faults), random_(seed) {
    const std::size_t count = 3 + random_.Below(5);
    quorum_ = count / 2 + 1;
    disks_.resize(count);
    for (std::size_t i = 0; i < count; ++i) nodes_.emplace_back(Id(i), quorum_, PaxosClaims());
  }

  void Step() {
    const std::size_t i = random_.Below(nodes_.size());
    const std::uint64_t what = random_.Below(100);
    if (what < 4) {
      nodes_[i].Propose();
      Record(i);
    } else if (what < 9) {
      nodes_[i] = PaxosNode(Id(i), quorum_, faults_.lose_promises ? PaxosClaims() : disks_[i]);
    } else if (what < 15) {
      Tell(i, disks_[i]);
    } else if (!messages_.empty()) {
      const auto message = messages_.begin() + static_cast<std::ptrdiff_t>(random_.Below(messages_.size()));
      const Message next = *message;
      if (!random_.Chance(1, 8)) messages_.erase(message);
      if (random_.Chance(1, 6)) return;
      Hear(next.to, next.claims);
    }
  }

  // No faults from here on, and one proposer at a time.
  void Heal() {
    messages_.clear();
    for (int round = 0; round < 3; ++round) {
      const std::size_t proposer = random_.Below(nodes_.size());
      nodes_[proposer].Propose();
      for (std::size_t pass = 0; pass < 4; ++pass) {
        for (const PaxosNode& from : nodes_) {
          for (PaxosNode& to : nodes_)
            if (to.Update(from.claims())) to.Think();
        }
      }
      for (const PaxosNode& node : nodes_) Observe(node);
    }
  }

  std::size_t agreed_count() const { return agreed_.size(); }
  bool EverybodyKnows() const {
    return std::all_of(nodes_.begin(), nodes_.end(),
                       [](const PaxosNode& node) { return node.Consensus().has_value(); });
  }

 private:
  struct Message {
    std::size_t to = 0;
    PaxosClaims claims;
  };

  static PaxosNodeId Id(std::size_t i) { return {PeerName(i + 1), 77}; }

  void Hear(std::size_t i, const PaxosClaims& claims) {
    if (nodes_[i].Update(claims) && nodes_[i].Think()) Record(i);
    Observe(nodes_[i]);
  }

  // What changed is on disk, then told; or the crash is quicker.
  void Record(std::size_t i) {
    if (faults_.tell_before_disk) Tell(i, nodes_[i].claims());
    if (random_.Chance(1, 10)) {
      nodes_[i] = PaxosNode(Id(i), quorum_, disks_[i]);
      return;
    }
    disks_[i] = nodes_[i].claims();
    Tell(i, disks_[i]);
  }

  void Tell(std::size_t i, const PaxosClaims& claims) {
    for (std::size_t to = 0; to < nodes_.size(); ++to)
      if (to != i && messages_.size() < 200 && random_.Chance(3, 4)) messages_.push_back({to, claims});
  }

  void Observe(const PaxosNode& node) {
    if (const std::optional<AcceptedValue> value = node.Consensus()) agreed_.insert(value->peers);
  }

  const Faults faults_;
  Random random_;
  std::size_t quorum_ = 0;
  std::vector<PaxosNode> nodes_;
  std::vector<PaxosClaims> disks_;
  std::vector<Message> messages_;
  std::set<std::vector<PeerName>> agreed_;
};

constexpr int kSteps = 400;

// How many of the seeds end with two values agreed.
int CountDisagreements(std::uint64_t seeds, Faults faults) {
  int disagreements = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    PaxosWorld world(seed, faults);
    for (int step = 0; step < kSteps; ++step) world.Step();
    world.Heal();
    if (world.agreed_count() > 1) ++disagreements;
  }
  return disagreements;
}

TEST_CASE("Whatever is lost, late or restarted, at most one value is agreed, and one is when all is well", "[ipam]") {
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    INFO("seed " << seed);
    PaxosWorld world(seed, {});
    for (int step = 0; step < kSteps; ++step) {
      world.Step();
      REQUIRE(world.agreed_count() <= 1);
    }
    world.Heal();
    REQUIRE(world.agreed_count() == 1);
    REQUIRE(world.EverybodyKnows());
  }
}

TEST_CASE("Nodes that forget their promises in a restart agree on two values sooner or later", "[ipam]") {
  CHECK(CountDisagreements(600, {.lose_promises = true}) > 0);
}

TEST_CASE("Nodes that tell before they record agree on two values sooner or later", "[ipam]") {
  CHECK(CountDisagreements(600, {.tell_before_disk = true}) > 0);
}

}  // namespace
}  // namespace weave::test
