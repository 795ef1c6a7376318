// What happens to a mesh whose links and peers fail: stalled readers, half-open links, partitions, crashes.
#include <string>
#include <vector>

#include "test/mesh/mesh_world.h"
#include "test/mesh/scripted_peer.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

bool Whole(const MeshWorld& world) { return world.Agreed() && world.AllEstablished(); }

TEST_CASE("A silent but live network stays connected, by heartbeats alone", "[mesh]") {
  MeshWorld world(2);
  world.host(0).Connect(1);
  world.RunFor(absl::Hours(2));
  CHECK(world.Established(0, 1));
  CHECK(world.router(0).stats().terminations == 0);
  CHECK(world.router(1).stats().terminations == 0);
  CHECK(world.host(0).dial_count == 1);
}

TEST_CASE("A heartbeat goes out every 30 s; after 60 s of silence the connection ends", "[mesh]") {
  MeshConfig config;
  config.password = GENERATE(std::optional<std::string>(), std::optional<std::string>("secret"));
  MeshWorld world(1, 1, config);
  ScriptedPeer::Options options;
  options.password = config.password;
  ScriptedPeer peer(world, 20, options);
  peer.Join(0);
  world.RunFor(absl::Seconds(29));
  CHECK(peer.CountOf(MessageTag::kHeartbeat) == 0);
  world.RunFor(absl::Seconds(2));
  CHECK(peer.CountOf(MessageTag::kHeartbeat) == 1);
  peer.Say(EncodeHeartbeat());
  world.RunFor(absl::Seconds(58));
  CHECK(peer.CountOf(MessageTag::kHeartbeat) == 2);
  CHECK_FALSE(peer.closed);
  world.RunFor(absl::Seconds(4));
  CHECK(peer.closed);
  CHECK(world.router(0).connection_count() == 0);
  CHECK(world.host(0).logger.Count("nothing received for ") == 1);
}

TEST_CASE("Whoever connects and does not introduce itself is dropped in time", "[mesh]") {
  MeshWorld world(1);
  ScriptedPeer silent(world, 20, {.introduces_itself = false});
  silent.Dial(0);
  SECTION("without a header: after 10 s") {
    world.RunFor(absl::Seconds(9));
    CHECK_FALSE(silent.closed);
    world.RunFor(absl::Seconds(2));
    CHECK(silent.closed);
    CHECK(world.host(0).logger.Count("no protocol header within 10s") == 1);
  }
  SECTION("with nothing but a header: after 60 s") {
    world.RunFor(absl::Seconds(5));
    silent.SayRaw(EncodeVersionHeader({1, 2}));
    world.RunFor(absl::Seconds(50));
    CHECK_FALSE(silent.closed);
    world.RunFor(absl::Seconds(6));
    CHECK(silent.closed);
  }
  SECTION("with a byte now and then: after 60 s as well") {
    silent.SayRaw(EncodeVersionHeader({1, 2}));
    silent.SayRaw(Bytes{0, 0, 0, 200});
    for (int i = 0; i < 70 && !silent.closed; ++i) {
      silent.SayRaw(Bytes{1});
      world.RunFor(absl::Seconds(1));
    }
    CHECK(silent.closed);
  }
  CHECK(world.router(0).topology().peer_count() == 1);
}

TEST_CASE("A neighbour that does not read costs a bounded amount, and others nothing", "[mesh]") {
  MeshWorld world(3, 1, NoDiscovery());
  world.host(1).Connect(0);
  world.host(2).Connect(0);
  REQUIRE(world.RunUntil([&] { return Whole(world); }, absl::Seconds(10)));
  world.RunFor(absl::Seconds(1));
  // An accepted connection has the id of its end in the transport.
  world.transport.Stall(*world.router(0).ConnectionTo(PeerName(2)), absl::Seconds(50));
  const auto unicast = [&](PeerName to, const Bytes& payload) {
    absl::Status status;
    world.host(0).Do(
        [&](MeshOutput& out) { status = world.router(0).Unicast(world.queue.now(), "counter", to, payload, out); });
    return status;
  };
  // Gossip merges while it waits.
  for (std::uint8_t i = 1; i <= 200; ++i) {
    world.host(0).counter.value = i;
    world.host(0).Do(
        [&](MeshOutput& out) { world.router(0).Gossip(world.queue.now(), "counter", CounterGossiper::Data(i), out); });
  }
  // Messages to one peer cannot merge: they are refused at some point, and the connection survives it.
  const Bytes large(1024 * 1024);
  std::size_t taken = 0;
  while (taken < 100 && unicast(PeerName(2), large).ok()) ++taken;
  CHECK(taken >= 10);
  CHECK(taken <= 20);
  CHECK(unicast(PeerName(2), large).code() == absl::StatusCode::kResourceExhausted);
  CHECK(unicast(PeerName(3), Bytes{1}).ok());
  world.RunFor(absl::Seconds(1));
  CHECK(world.host(2).counter.unicasts.size() == 1);
  CHECK(world.host(2).counter.value == 200);
  CHECK(world.host(1).counter.unicasts.empty());
  REQUIRE(world.RunUntil([&] { return world.host(1).counter.unicasts.size() == taken; }, absl::Minutes(2)));
  CHECK(world.host(1).counter.value == 200);
  CHECK(world.router(0).stats().terminations == 0);
}

TEST_CASE("A link that is dead in both directions is noticed, given up, and made again when it works", "[mesh]") {
  MeshWorld world(3, 4, NoDiscovery());
  world.ConnectChain();
  REQUIRE(world.RunUntil([&] { return Whole(world); }));
  world.Cut(1, 2);
  REQUIRE(world.RunUntil([&] { return !world.Established(1, 2) && !world.Established(2, 1); }, absl::Minutes(2)));
  // What is behind it is gone for everybody, and whoever keeps something about peers is told.
  REQUIRE(world.RunUntil([&] { return !world.router(0).topology().Knows(PeerName(3)); }, absl::Minutes(2)));
  CHECK(world.host(0).removed == std::vector<PeerName>{PeerName(3)});
  CHECK(world.host(2).removed == std::vector<PeerName>{PeerName(1), PeerName(2)});
  world.RunFor(absl::Minutes(10));
  world.transport.Heal();
  CHECK(world.RunUntil([&] { return Whole(world); }, absl::Minutes(15)));
}

TEST_CASE("A link that is dead in one direction does not stay half open", "[mesh]") {
  const auto [from, to] =
      GENERATE(std::pair<sim::HostId, sim::HostId>(0, 1), std::pair<sim::HostId, sim::HostId>(1, 0));
  MeshWorld world(3, 4, NoDiscovery());
  world.ConnectChain();
  REQUIRE(world.RunUntil([&] { return Whole(world); }));
  world.Cut(from, to, /*both=*/false);
  REQUIRE(world.RunUntil([&] { return !world.Established(0, 1) && !world.Established(1, 0); }, absl::Minutes(2)));
  CHECK(world.Established(1, 2));
  world.transport.Heal();
  CHECK(world.RunUntil([&] { return Whole(world); }, absl::Minutes(15)));
}

TEST_CASE("A mesh routes around a cut, and both halves of a split go on by themselves", "[mesh]") {
  MeshWorld world(6, 8);
  world.ConnectChain();
  REQUIRE(world.RunUntil([&] { return Whole(world); }, absl::Minutes(2)));
  SECTION("one pair of peers") {
    world.Cut(0, 5);
    REQUIRE(world.RunUntil([&] { return !world.Established(0, 5) && world.Agreed(); }, absl::Minutes(3)));
    world.RunFor(absl::Seconds(1));
    const std::optional<PeerName> hop = world.router(0).routes().NextHop(Links::kEstablished, PeerName(6));
    REQUIRE(hop.has_value());
    CHECK(*hop == PeerName(2));  // the lowest name that leads there
  }
  SECTION("two halves") {
    for (sim::HostId a = 0; a < 3; ++a)
      for (sim::HostId b = 3; b < 6; ++b) world.Cut(a, b);
    REQUIRE(world.RunUntil(
        [&] {
          return std::all_of(world.hosts.begin(), world.hosts.end(),
                             [](const auto& host) { return host->router->topology().peer_count() == 3; });
        },
        absl::Minutes(3)));
    CHECK(world.Established(0, 2));
    CHECK(world.Established(3, 5));
  }
  world.transport.Heal();
  CHECK(world.RunUntil([&] { return Whole(world); }, absl::Minutes(15)));
}

TEST_CASE("After a crash others take the new life's record, whatever version the old one had", "[mesh]") {
  const bool dials = GENERATE(true, false);  // the crashed one, or it is dialled
  MeshWorld world(4, 9, NoDiscovery());
  world.host(0).Connect(1);
  if (!dials) world.host(1).Connect(2);
  if (!dials) world.host(3).Connect(2);
  if (dials) world.host(2).Connect(1);
  if (dials) world.host(2).Connect(3);
  REQUIRE(world.RunUntil([&] { return Whole(world); }));
  const PeerUid old_uid = world.router(0).topology().Find(PeerName(3))->uid;
  world.host(0).counter.value = 5;
  world.host(0).Do(
      [&](MeshOutput& out) { world.router(0).Gossip(world.queue.now(), "counter", CounterGossiper::Data(5), out); });
  world.host(2).Crash();
  if (GENERATE(true, false)) world.RunFor(absl::Seconds(90));
  world.host(2).Start();
  if (dials) {
    world.host(2).Connect(1);
    world.host(2).Connect(3);
  }
  REQUIRE(world.RunUntil([&] { return Whole(world) && world.host(2).counter.value == 5; }, absl::Minutes(10)));
  for (std::size_t i = 0; i < 4; ++i) {
    const PeerSummary* record = world.router(i).topology().Find(PeerName(3));
    CHECK(record->uid != old_uid);
    CHECK(record->connections.size() == 2);
  }
}

TEST_CASE("A peer that ended for good is forgotten by all", "[mesh]") {
  MeshWorld world(5, 10);
  world.ConnectChain();
  REQUIRE(world.RunUntil([&] { return Whole(world); }, absl::Minutes(2)));
  SECTION("because it said so") {
    world.host(4).Do([&](MeshOutput& out) { world.router(4).Stop(world.queue.now(), "stopping", out); });
    REQUIRE(world.RunUntil([&] { return !world.router(0).topology().Knows(PeerName(5)); }, absl::Seconds(5)));
  }
  SECTION("or is just gone") {}
  world.host(4).Crash();
  CHECK(world.RunUntil([&] { return Whole(world); }, absl::Minutes(3)));
  for (std::size_t i = 0; i < 4; ++i) CHECK(world.host(i).removed == std::vector<PeerName>{PeerName(5)});
}

}  // namespace
}  // namespace weave::test
