// Neighbours that compare their topologies instead of telling them (docs/mesh.md), and neighbours that cannot.
#include "test/mesh/mesh_world.h"
#include "test/mesh/records.h"
#include "test/mesh/scripted_peer.h"
#include "test/support/catch.h"
#include "wire/topology_inventory.h"

namespace weave::test {
namespace {

TEST_CASE("At rest our own peers send each other no records", "[mesh]") {
  MeshWorld world(6, 1, NoDiscovery());
  world.ConnectChain();
  REQUIRE(world.RunUntil([&] { return world.Agreed() && world.AllEstablished(); }, absl::Minutes(1)));
  world.RunFor(absl::Seconds(35));
  const std::uint64_t before = world.router(3).stats().bytes_sent;
  world.RunFor(absl::Minutes(10));
  // To each of two neighbours and each 30 s: a heartbeat and a digest.
  CHECK(world.router(3).stats().bytes_sent - before < 10 * 2 * 2 * 150);
  CHECK(world.Agreed());
}

TEST_CASE("A peer that does not know of inventories gets all records each 30 s, and no inventory", "[mesh]") {
  MeshWorld world(2, 1, NoDiscovery());
  world.host(0).Connect(1);
  ScriptedPeer old(world, 20);
  old.Join(0);
  world.RunFor(absl::Seconds(15));
  const std::size_t before = old.CountOf(MessageTag::kGossip, "topology");
  old.Say(EncodeHeartbeat());
  world.RunFor(absl::Seconds(45));
  old.Say(EncodeHeartbeat());
  world.RunFor(absl::Seconds(45));
  CHECK(old.CountOf(MessageTag::kGossip, "topology") == before + 3);
  CHECK(old.CountOf(MessageTag::kGossip, "topology inventory") == 0);
}

TEST_CASE("Peers with and without inventories make one network", "[mesh]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    MeshWorld world(0, seed);
    for (std::uint64_t i = 0; i < 9; ++i) {
      MeshConfig config = NoDiscovery();
      config.inventory = (seed + i) % 2 == 0;
      world.Add(config, seed);
    }
    world.ConnectChain();
    world.host(2).Connect(7);
    REQUIRE(world.RunUntil([&] { return world.Agreed() && world.AllEstablished(); }, absl::Minutes(2)));
    world.host(4).Crash();
    world.RunFor(absl::Seconds(20));
    world.host(4).Start();
    CHECK(world.RunUntil([&] { return world.Agreed() && world.AllEstablished(); }, absl::Minutes(5)));
  }
}

TEST_CASE("What one of two neighbours lacks the next digest brings, in either direction", "[mesh]") {
  Topology a(Peer(1), "a", 11, Random(1));
  Topology b(Peer(2), "b", 22, Random(2));
  a.Apply(b.EncodeAll()).value();
  b.Apply(a.EncodeAll()).value();
  CHECK(a.digest() == b.digest());
  a.Apply(Update({Record(Peer(2), 1, 22, b.self_short_id(), {To(Peer(5))}), Record(Peer(5), 3, 5, std::nullopt, {})}))
      .value();
  b.Apply(Update({Record(Peer(6), 4, 6, std::nullopt, {})})).value();
  CHECK(a.digest() != b.digest());
  const Topology::Comparison comparison = a.CompareWith(Peer(2), b.Inventory());
  CHECK(comparison.theirs == std::vector<PeerName>{Peer(6)});
  CHECK(a.InventoryFor(Peer(99), comparison.ours).size() == 2);  // peer 2, of which b has an older record, and 5
  b.Apply(a.EncodeFor(Peer(2), comparison.ours)).value();
  a.Apply(b.Encode(b.Want(Peer(1), comparison.theirs))).value();
  CHECK(a.Find(Peer(6)) != nullptr);
  CHECK(b.Find(Peer(5)) != nullptr);
}

// A number that is compared, and wanted where it differs.
class NumberGossiper final : public ComparingGossiper {
 public:
  explicit NumberGossiper(std::uint8_t value) : value_(value) {}

  absl::Status OnUnicast(Now, PeerName, ByteView) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now, PeerName, ByteView) override { return nullptr; }
  absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now, PeerName, ByteView payload) override {
    ++told;
    value_ = std::max(value_, payload.at(0));
    return nullptr;
  }
  std::unique_ptr<GossipData> FullState(Now) override { return Say(); }
  std::unique_ptr<GossipData> Digest(Now, PeerName) override { return Say(); }
  std::unique_ptr<GossipData> Greeting(Now, PeerName) override { return nullptr; }
  absl::StatusOr<Answer> OnComparison(Now, PeerName, ByteView payload) override {
    if (payload.size() != 1) return absl::InvalidArgumentError("bad comparison");
    return payload[0] == value_ ? Answer{} : Answer{payload[0] > value_ ? Say() : nullptr, Say()};
  }

  std::uint8_t value() const { return value_; }
  int told = 0;

 private:
  std::unique_ptr<GossipData> Say() const { return std::make_unique<CounterGossiper::Data>(value_); }

  std::uint8_t value_;
};

TEST_CASE("A channel that can be compared is told where it differs, and whole to whoever cannot compare", "[mesh]") {
  MeshWorld world(3, 1, NoDiscovery());
  NumberGossiper numbers[] = {NumberGossiper(7), NumberGossiper(9), NumberGossiper(0)};
  world.router(0).AddComparingChannel("number", numbers[0]);
  world.router(1).AddComparingChannel("number", numbers[1]);
  world.router(2).AddChannel("number", numbers[2]);
  world.ConnectChain();
  ScriptedPeer old(world, 20), young(world, 21, {.name = PeerName(0xbae), .compared_channels = "other number"});
  old.Join(0);
  young.Join(0);
  world.RunFor(absl::Seconds(20));
  CHECK(numbers[0].value() == 9);
  CHECK(numbers[2].value() == 9);
  const int told = numbers[0].told, told_whole = numbers[2].told;
  world.RunFor(absl::Seconds(30));
  CHECK(numbers[0].told == told);
  CHECK(numbers[2].told == told_whole + 1);
  CHECK(old.CountOf(MessageTag::kGossip, "number") == 2);
  CHECK(old.CountOf(MessageTag::kGossip, "number comparison") == 0);
  CHECK(young.CountOf(MessageTag::kGossip, "number") == 0);
  CHECK(young.CountOf(MessageTag::kGossip, "number comparison") == 2);
  young.SayGossip(MessageTag::kGossip, "number comparison", Bytes{1, 2}, PeerName(0xbae));
  world.RunFor(absl::Seconds(1));
  CHECK(young.closed);
}

TEST_CASE("A malformed inventory ends the connection", "[mesh]") {
  MeshWorld world(1);
  ScriptedPeer peer(world, 20, {.inventory = true});
  peer.Join(0);
  world.RunFor(absl::Seconds(1));
  CHECK(peer.CountOf(MessageTag::kGossip, "topology inventory") > 0);
  peer.SayGossip(MessageTag::kGossip, "topology inventory", Bytes{1, 2, 3}, PeerName(0xbad));
  world.RunFor(absl::Seconds(1));
  CHECK(peer.closed);
}

}  // namespace
}  // namespace weave::test
