// How messages reach one, some and all, on networks of routers (spec/mesh.md sections 7, 8).
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/mesh/mesh_world.h"
#include "test/mesh/records.h"
#include "test/mesh/scripted_peer.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

// Connects each to some before it, so that all are connected, and waits until they agree.
void ConnectAtRandom(MeshWorld& world, std::uint64_t seed) {
  Random random(seed);
  for (sim::HostId id = 1; id < world.hosts.size(); ++id) {
    for (int i = 0; i < 2; ++i) world.host(id).Connect(static_cast<sim::HostId>(random.Below(id)));
  }
  REQUIRE(world.RunUntil([&] { return world.Agreed() && world.AllEstablished(); }, absl::Minutes(2)));
  world.RunFor(absl::Seconds(1));  // routes follow
}

TEST_CASE("A message to one peer is relayed along a chain, in both protocol versions", "[mesh]") {
  MeshConfig config = NoDiscovery();
  config.versions = GENERATE(VersionRange{1, 2}, VersionRange{1, 1});
  config.password = "secret";
  MeshWorld world(6, 3, config);
  world.ConnectChain();
  REQUIRE(world.RunUntil([&] { return world.Agreed(); }));
  world.RunFor(absl::Seconds(1));
  const auto send = [&](PeerName to) {
    absl::Status status;
    world.host(0).Do(
        [&](MeshOutput& out) { status = world.router(0).Unicast(world.queue.now(), "counter", to, Bytes{9}, out); });
    return status;
  };
  CHECK(send(PeerName(6)).ok());
  world.RunFor(absl::Seconds(5));
  REQUIRE(world.host(5).counter.unicasts.size() == 1);
  CHECK(world.host(5).counter.unicasts[0] == std::pair<PeerName, Bytes>(PeerName(1), Bytes{9}));
  for (std::size_t i = 1; i < 5; ++i) CHECK(world.host(i).counter.unicasts.empty());
  CHECK(send(PeerName(99)).code() == absl::StatusCode::kNotFound);
  CHECK(send(PeerName(1)).code() == absl::StatusCode::kNotFound);  // ourselves
}

TEST_CASE("A broadcast reaches each peer exactly once, whoever sends it", "[mesh]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    MeshWorld world(9, seed, NoDiscovery());
    ConnectAtRandom(world, seed);
    for (std::size_t source = 0; source < 9; ++source) {
      world.host(source).Do([&](MeshOutput& out) {
        world.router(source).Broadcast(world.queue.now(), "counter", CounterGossiper::Data(1), out);
      });
      world.RunFor(absl::Seconds(2));
      for (std::size_t i = 0; i < 9; ++i) {
        CAPTURE(source, i);
        const std::vector<PeerName> heard = std::exchange(world.host(i).counter.broadcasts, {});
        CHECK(heard == (i == source ? std::vector<PeerName>()
                                    : std::vector<PeerName>{MeshHost::NameOf(static_cast<sim::HostId>(source))}));
      }
    }
  }
}

TEST_CASE("News spread to everybody by gossip, and the old is not passed on", "[mesh]") {
  MeshWorld world(12, 5, NoDiscovery());
  ConnectAtRandom(world, 5);
  world.host(3).counter.value = 42;
  world.host(3).Do(
      [&](MeshOutput& out) { world.router(3).Gossip(world.queue.now(), "counter", CounterGossiper::Data(42), out); });
  const auto all_know = [&] {
    return std::all_of(world.hosts.begin(), world.hosts.end(), [](const auto& h) { return h->counter.value == 42; });
  };
  CHECK(world.RunUntil(all_know, absl::Seconds(10)));
}

TEST_CASE("Whoever joins is told everything on all channels at once", "[mesh]") {
  MeshWorld world(4, 6, NoDiscovery());
  world.host(0).counter.value = 7;
  world.host(0).Connect(1);
  world.host(1).Connect(2);
  REQUIRE(world.RunUntil([&] { return world.host(2).counter.value == 7; }, absl::Seconds(5)));
  world.host(3).Connect(2);
  CHECK(world.RunUntil([&] { return world.host(3).counter.value == 7 && world.Agreed(); }, absl::Seconds(5)));
}

TEST_CASE("What a peer does not consume it carries for others, each payload once in a while", "[mesh]") {
  MeshConfig without = NoDiscovery();
  without.name = PeerName(MeshHost::kWithoutCounter);
  MeshWorld world(0);
  world.Add(without);
  ScriptedPeer a(world, 20, {.name = PeerName(100)});
  ScriptedPeer b(world, 21, {.name = PeerName(101)});
  const auto tell_links = [&](ScriptedPeer& peer, PeerName name) {
    PeerSummary record = Record(name, 5, 77, std::nullopt, {To(without.name)});
    peer.SayGossip(MessageTag::kGossip, "topology", Update({record}), name);
  };
  a.Join(0);
  b.Join(0);
  tell_links(a, PeerName(100));
  tell_links(b, PeerName(101));
  world.RunFor(absl::Seconds(1));

  SECTION("gossip") {
    for (int i = 0; i < 3; ++i) a.SayGossip(MessageTag::kGossip, "counter", Bytes{1}, PeerName(100));
    a.SayGossip(MessageTag::kGossip, "counter", Bytes{2}, PeerName(100));
    world.RunFor(absl::Seconds(1));
    CHECK(b.CountOf(MessageTag::kGossip, "counter") == 2);
    CHECK(a.CountOf(MessageTag::kGossip, "counter") == 0);
    // The sender of gossip is whoever passes it on.
    CHECK(DecodeGossip(b.messages.back()).value().source == without.name);
    world.RunFor(absl::Seconds(25));
    a.Say(EncodeHeartbeat());
    b.Say(EncodeHeartbeat());
    world.RunFor(absl::Seconds(10));
    a.SayGossip(MessageTag::kGossip, "counter", Bytes{1}, PeerName(100));
    world.RunFor(absl::Seconds(1));
    CHECK(b.CountOf(MessageTag::kGossip, "counter") == 3);
  }
  SECTION("broadcasts, under the name of their originator") {
    a.SayGossip(MessageTag::kGossipBroadcast, "counter", Bytes{1}, PeerName(100));
    a.SayGossip(MessageTag::kGossipBroadcast, "counter", Bytes{1}, PeerName(100));
    world.RunFor(absl::Seconds(1));
    CHECK(b.CountOf(MessageTag::kGossipBroadcast, "counter") == 2);
    CHECK(DecodeGossip(b.messages.back()).value().source == PeerName(100));
  }
  SECTION("messages to one peer, as they are") {
    a.SayGossip(MessageTag::kGossipUnicast, "counter", Bytes{1}, PeerName(100), PeerName(101));
    a.SayGossip(MessageTag::kGossipUnicast, "counter", Bytes{1}, PeerName(100), without.name);
    a.SayGossip(MessageTag::kGossipUnicast, "counter", Bytes{1}, PeerName(100), PeerName(102));
    world.RunFor(absl::Seconds(1));
    CHECK(b.CountOf(MessageTag::kGossipUnicast, "counter") == 1);
    CHECK(world.router(0).stats().dropped_unicasts == 1);
  }
  SECTION("more channels than any network has") {
    for (int i = 0; i < 100; ++i)
      a.SayGossip(MessageTag::kGossipBroadcast, absl::StrCat("channel ", i), Bytes{1}, PeerName(100));
    a.SayGossip(MessageTag::kGossipBroadcast, std::string(300, 'x'), Bytes{1}, PeerName(100));
    world.RunFor(absl::Seconds(1));
    CHECK(b.CountOf(MessageTag::kGossipBroadcast) == 64);
    CHECK(world.router(0).stats().ignored_messages == 37);
  }
  CHECK_FALSE(a.closed);
  CHECK_FALSE(b.closed);
}

TEST_CASE("A message that comes back from where it should go is dropped", "[mesh]") {
  MeshWorld world(1, 1, NoDiscovery());
  ScriptedPeer a(world, 20, {.name = PeerName(100)});
  a.Join(0);
  a.SayGossip(MessageTag::kGossipUnicast, "counter", Bytes{1}, PeerName(100), PeerName(100));
  world.RunFor(absl::Seconds(1));
  CHECK(a.CountOf(MessageTag::kGossipUnicast) == 0);
  CHECK(world.router(0).stats().dropped_unicasts == 1);
}

}  // namespace
}  // namespace weave::test
