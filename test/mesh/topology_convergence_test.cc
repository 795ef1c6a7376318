// Topologies that tell each other: what they agree on, whatever the order, and what holds all the time.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "mesh/topology.h"
#include "test/mesh/records.h"
#include "test/mesh/topology_world.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

// The merge as spec/mesh.md section 6.3 puts it, for whoever none of the topologies is.
void MergeModel(Network& known, const PeerSummary& theirs) {
  const auto it = known.find(theirs.name);
  const auto rank = [](const PeerSummary& s) { return std::make_tuple(s.version, s.uid); };
  const bool better =
      it == known.end() || rank(theirs) > rank(it->second) ||
      (rank(theirs) == rank(it->second) && theirs.short_id.has_value() && !it->second.short_id.has_value());
  if (!better) return;
  known[theirs.name] = theirs;
  for (const ConnectionSummary& connection : theirs.connections) {
    if (!known.contains(connection.peer)) known[connection.peer].name = connection.peer;
  }
}

TEST_CASE("Topologies that hear the same in any order, once or often, believe the same", "[mesh]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    // Several versions of several lives of ten peers. A version of a life says one thing, with or without the short id.
    std::vector<PeerSummary> said;
    for (std::uint64_t peer = 100; peer < 110; ++peer) {
      for (std::uint64_t version = 0; version < 4; ++version) {
        for (PeerUid uid = 1; uid <= 2; ++uid) {
          std::vector<ConnectionSummary> connections;
          for (std::uint64_t other = 100; other < 114; ++other) {
            if (other != peer && random.Chance(1, 3)) connections.push_back(To(Peer(other), random.Chance(1, 2)));
          }
          said.push_back(Record(Peer(peer), version, uid, std::nullopt, connections));
          if (random.Chance(1, 2)) said.push_back(Record(Peer(peer), version, uid, ShortId{1}, connections));
        }
      }
    }
    Network model;
    for (const PeerSummary& summary : said) MergeModel(model, summary);

    std::vector<std::unique_ptr<Topology>> topologies;
    for (std::uint64_t i = 0; i < 5; ++i)
      topologies.push_back(std::make_unique<Topology>(Peer(i + 1), "self", kOurUid, random.Split(std::to_string(i))));
    // Everything is said to somebody, some of it to more than one, in any order; in between they tell each other.
    std::vector<PeerSummary> deck = said;
    deck.insert(deck.end(), said.begin(), said.end());
    for (std::size_t i = deck.size(); i > 1; --i) std::swap(deck[i - 1], deck[random.Below(i)]);
    while (!deck.empty()) {
      Topology& topology = *topologies[random.Below(topologies.size())];
      const std::size_t count = std::min<std::size_t>(deck.size(), 1 + random.Below(5));
      REQUIRE(topology.Apply(Update({deck.end() - static_cast<std::ptrdiff_t>(count), deck.end()})).ok());
      deck.resize(deck.size() - count);
      if (random.Chance(1, 4)) {
        const Topology& teller = *topologies[random.Below(topologies.size())];
        REQUIRE(topology.Apply(teller.EncodeAll()).ok());
      }
      REQUIRE(topology.CheckInvariants() == absl::OkStatus());
    }
    for (int round = 0; round < 2; ++round) {
      for (const auto& from : topologies) {
        for (const auto& to : topologies) REQUIRE(to->Apply(from->EncodeAll()).ok());
      }
    }

    for (const auto& [name, summary] : model) {
      INFO("peer " << name);
      for (const auto& topology : topologies) CHECK(*topology->Find(name) == summary);
    }
    for (const auto& topology : topologies) {
      CHECK(topology->peer_count() == model.size() + topologies.size());
      CHECK(topology->CheckInvariants() == absl::OkStatus());
      CHECK(topology->EncodeAll() == topologies[0]->EncodeAll());
      for (const auto& other : topologies) CHECK(topology->Apply(other->EncodeAll()).value().improved.empty());
    }
  }
}

TEST_CASE("Whatever happens to a topology, its graph is that of its records", "[mesh]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    TopologyWorld w;
    std::set<std::uint64_t> connected;
    std::multiset<std::uint64_t> held;
    for (std::uint64_t step = 1; step <= 300; ++step) {
      INFO("step " << step);
      const std::uint64_t peer = 2 + random.Below(15);
      TopologyChange change;
      const std::uint64_t generation = w.topology.generation();
      switch (random.Below(7)) {
        case 0:
          if (connected.contains(peer)) {
            connected.erase(peer);
            change = w.Disconnect(Peer(peer));
          } else {
            connected.insert(peer);
            change = w.Connect(Peer(peer));
          }
          break;
        case 1:
          if (connected.contains(peer)) w.topology.SetEstablished(Peer(peer), change);
          break;
        case 2:
          held.insert(peer);
          w.topology.Reference(Record(Peer(peer), 0, peer, std::nullopt, {}), change);
          break;
        case 3:
          if (held.contains(peer)) {
            held.erase(held.find(peer));
            w.topology.Unreference(Peer(peer));
          }
          break;
        case 4:
          change = w.CollectGarbage();
          break;
        default: {
          std::vector<ConnectionSummary> connections;
          for (std::uint64_t other = 1; other < 18; ++other) {
            if (random.Chance(1, 5)) connections.push_back(To(Peer(other), random.Chance(2, 3)));
          }
          const auto short_id = static_cast<ShortId>(random.Below(4));
          change = w.Hear({Record(Peer(peer), step, peer, short_id, connections)});
        }
      }
      REQUIRE(w.topology.CheckInvariants() == absl::OkStatus());
      if (w.topology.generation() != generation) CHECK(change.topology_changed);
      for (const PeerName name : change.removed) CHECK_FALSE(w.topology.Knows(name));
      for (const std::uint64_t name : connected) CHECK(w.topology.Knows(Peer(name)));
      for (const std::uint64_t name : held) CHECK(w.topology.Knows(Peer(name)));
    }
  }
}

// ---- sharing ----

TEST_CASE("Topologies with a pool share what they both believe, and nothing else", "[mesh]") {
  PeerRecordPool pool;
  auto one = std::make_unique<Topology>(Peer(1), "self", kOurUid, Random(1), &pool);
  Topology two(Peer(2), "self", kOurUid, Random(2), &pool);
  const PeerSummary five = Record(Peer(5), 3, 50, ShortId{7}, {To(Peer(1)), To(Peer(6))});
  PeerSummary forged = Record(Peer(7), 1, 70, std::nullopt, {});
  CHECK(one->Apply(Update({five, forged})).ok());
  forged.nickname = "another";
  CHECK(two.Apply(Update({five, forged})).ok());
  CHECK(one->Find(Peer(5)) == two.Find(Peer(5)));
  CHECK(one->Find(Peer(7))->nickname == "host7");
  CHECK(two.Find(Peer(7))->nickname == "another");
  one.reset();
  CHECK(*two.Find(Peer(5)) == five);

  // Of 20,000 records of before nothing stays.
  for (std::uint64_t version = 10; version < 20010; ++version)
    two.Apply(Update({Record(Peer(5), version, 50, std::nullopt, {})})).value();
  CHECK(pool.size() <= 1024);
}

}  // namespace
}  // namespace weave::test
