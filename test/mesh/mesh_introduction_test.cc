// Who is let in, and what the user reads about those who are not (spec/mesh.md sections 2, 3, 5.2).
#include <string>
#include <vector>

#include "test/mesh/mesh_world.h"
#include "test/mesh/records.h"
#include "test/mesh/scripted_peer.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

MeshConfig Config(std::optional<std::string> password, VersionRange versions = {}) {
  MeshConfig config;
  config.password = std::move(password);
  config.versions = versions;
  return config;
}

MeshConfig Trusting(std::vector<Cidr> subnets, VersionRange versions = {}) {
  MeshConfig config = Config("secret", versions);
  config.trusted_subnets = std::move(subnets);
  return config;
}

const Cidr kAllHosts = Cidr::Parse("10.128.0.0/16").value();
const Cidr kElsewhere = Cidr::Parse("192.0.2.0/24").value();

TEST_CASE("Peers that do not fit together stay apart, and both say why", "[mesh]") {
  struct Row {
    MeshConfig dials;
    MeshConfig listens;
    std::string said;  // in the log of at least one side
  };
  const Row row = GENERATE(values<Row>({
      {Config("one"), Config("another"), "cannot be decrypted"},
      {Config("one"), Config(std::nullopt), "password is set here"},
      {Config(std::nullopt), Config("one"), "password is set here"},
      {Config("one", {1, 1}), Config("another", {1, 1}), "cannot be decrypted"},
      {Config("one", {1, 1}), Config(std::nullopt, {1, 1}), "password is set here"},
      {Config(std::nullopt, {1, 1}), Config(std::nullopt, {2, 2}), "version"},
      {Config(std::nullopt, {2, 2}), Config(std::nullopt, {1, 1}), "version"},
  }));
  MeshWorld world(0);
  world.Add(row.dials);
  world.Add(row.listens);
  world.host(0).Connect(1);
  world.RunFor(absl::Minutes(5));
  CHECK(world.router(0).connection_count() == 0);
  CHECK(world.router(1).connection_count() == 0);
  // In version 1 the features are in clear, so that a wrong password shows in the first message after them.
  CHECK(world.router(0).topology().peer_count() == 1);
  CHECK(world.router(1).topology().peer_count() == 1);
  CAPTURE(row.said);
  CHECK(world.host(0).logger.Count(row.said) + world.host(1).logger.Count(row.said) > 0);
  REQUIRE(world.host(0).StatusOf(1).has_value());
  CHECK_FALSE(world.host(0).StatusOf(1)->error.ok());
  CHECK(world.router(0).stats().terminations > 2);
}

TEST_CASE("Version ranges that overlap meet in the highest version of both", "[mesh]") {
  struct Row {
    VersionRange dials;
    VersionRange listens;
    int version;
  };
  const Row row = GENERATE(values<Row>({{{1, 2}, {1, 1}, 1}, {{1, 1}, {1, 2}, 1}, {{2, 2}, {1, 2}, 2}}));
  MeshWorld world(0);
  world.Add(Config("secret", row.dials));
  world.Add(Config("secret", row.listens));
  world.host(0).Connect(1);
  REQUIRE(world.RunUntil([&] { return world.Agreed() && world.Established(0, 1) && world.Established(1, 0); }));
  CHECK(world.host(1).logger.Count(absl::StrCat("protocol_version=", row.version)) == 1);
}

TEST_CASE("A peer that dials itself gives up on that address for good, and keeps it in its list", "[mesh]") {
  MeshWorld world(2);
  world.host(0).Connect(0);
  world.host(0).Connect(1);
  world.RunFor(absl::Minutes(30));
  CHECK(world.host(0).dial_count == 2);
  // Of the two ends one finds out, and the other sees a reset.
  CHECK(world.router(0).stats().terminations <= 1);
  CHECK(world.router(0).DirectPeers().size() == 2);
  CHECK(world.router(0).connection_count() == 1);
  REQUIRE(world.host(0).StatusOf(0).has_value());
  CHECK(world.host(0).StatusOf(0)->error.message() == "cannot connect to ourself");
  CHECK_FALSE(world.host(0).StatusOf(0)->retry_at.has_value());
}

TEST_CASE("Two peers of one name refuse each other, and go on serving the rest", "[mesh]") {
  MeshConfig twin;
  twin.name = MeshHost::NameOf(0);
  MeshWorld world(2);
  world.Add(twin);
  world.host(0).Connect(1);
  world.host(0).Connect(2);
  world.RunFor(absl::Minutes(10));
  CHECK(world.router(0).connection_count() == 1);
  CHECK(world.router(2).connection_count() == 0);
  // Whoever reads the other's name second sees a reset only, and tries again until it is first.
  CHECK(world.host(0).dial_count < 20);
  const std::size_t dials = world.host(0).dial_count;
  world.RunFor(absl::Hours(1));
  CHECK(world.host(0).dial_count == dials);
  REQUIRE(world.host(0).StatusOf(2).has_value());
  CHECK(world.host(0).StatusOf(2)->error.message() ==
        "local \"00:00:00:00:00:01(host0)\" and remote \"00:00:00:00:00:01(host2)\" peer names collision");
}

TEST_CASE("Frames go in clear only where both ends trust each other", "[mesh]") {
  struct Row {
    std::vector<Cidr> dials;
    std::vector<Cidr> listens;
    VersionRange versions;
    bool clear;
  };
  const Row row = GENERATE(values<Row>({
      {{kAllHosts}, {kElsewhere, kAllHosts}, {1, 2}, true},
      {{kAllHosts}, {}, {1, 2}, false},
      {{}, {kAllHosts}, {1, 2}, false},
      {{kElsewhere}, {kElsewhere}, {1, 2}, false},
      {{kAllHosts}, {kAllHosts}, {1, 1}, false},  // nobody can say so in version 1
  }));
  MeshWorld world(0);
  world.Add(Trusting(row.dials, row.versions));
  world.Add(Trusting(row.listens, row.versions));
  world.host(0).Connect(1);
  REQUIRE(world.RunUntil([&] { return world.Established(0, 1) && world.Established(1, 0); }));
  for (std::size_t i = 0; i < 2; ++i) {
    REQUIRE(world.host(i).overlay.connections.size() == 1);
    CHECK(world.host(i).overlay.connections.begin()->second.key.has_value() != row.clear);
    CHECK(world.router(i).Status(world.queue.now()).connections.front().encrypted != row.clear);
  }
}

TEST_CASE("Of two connections between the same peers both ends keep the same one", "[mesh]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    MeshWorld world(2, seed);
    world.host(0).Connect(1);
    world.host(1).Connect(0);
    const auto settled = [&] {
      const auto& ours = world.host(0).overlay.connections;
      const auto& theirs = world.host(1).overlay.connections;
      return world.Agreed() && world.Established(0, 1) && world.Established(1, 0) && ours.size() == 1 &&
             theirs.size() == 1 && ours.begin()->second.uid == theirs.begin()->second.uid;
    };
    REQUIRE(world.RunUntil(settled, absl::Minutes(1)));
    world.RunFor(absl::Minutes(20));
    CHECK(world.RunUntil(settled, absl::Minutes(1)));
    CHECK(world.router(0).connection_count() == 1);
    CHECK(world.router(1).connection_count() == 1);
  }
}

TEST_CASE("A connection that replaces another brings what lies behind it, though nobody gossips meanwhile", "[mesh]") {
  std::size_t replaced = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    MeshWorld world(4, seed, NoDiscovery());
    world.host(0).Connect(1);
    world.host(2).Connect(0);
    world.host(3).Connect(1);
    REQUIRE(world.RunUntil([&] { return world.Agreed() && world.Established(1, 0); }, absl::Minutes(1)));
    world.RunFor(absl::Seconds(5));
    CHECK(world.router(0).routes().NextHop(Links::kEstablished, PeerName(4)) == PeerName(2));
    CHECK(world.router(1).routes().NextHop(Links::kEstablished, PeerName(3)) == PeerName(1));
    world.host(1).Connect(0);
    if (!world.RunUntil([&] { return world.host(1).logger.Count("Multiple connections") != 0; }, absl::Seconds(5)))
      continue;
    ++replaced;
    world.RunFor(absl::Seconds(5));
    CHECK(world.Agreed());
    CHECK(world.router(2).routes().NextHop(Links::kEstablished, PeerName(4)) == PeerName(1));
  }
  CHECK(replaced > 10);
}

TEST_CASE("A full peer refuses further ones, which read so and try again", "[mesh]") {
  MeshConfig full;
  full.connection_limit = 2;
  MeshWorld world(0);
  world.Add(full);
  for (sim::HostId id = 1; id <= 4; ++id) world.Add(MeshConfig()).Connect(0);
  world.RunFor(absl::Minutes(10));
  CHECK(world.router(0).connection_count() == 2);
  CHECK(world.host(0).logger.Count("Connection limit reached (2)") > 2);
  CHECK(world.router(0).topology().peer_count() == 3);
  // A full peer does not dial either.
  world.host(0).Connect(9);
  world.RunFor(absl::Seconds(1));
  REQUIRE(world.host(0).StatusOf(9).has_value());
  CHECK(world.host(0).StatusOf(9)->error.message() == "Connection limit reached (2)");
}

TEST_CASE("Whoever is refused leaves no record behind", "[mesh]") {
  MeshConfig full;
  full.connection_limit = 1;
  full.discovery = false;
  MeshWorld world(1, 1, full);
  ScriptedPeer first(world, 20, {.name = PeerName(100)});
  first.Join(0);
  ScriptedPeer second(world, 21, {.name = PeerName(101)});
  second.Dial(0);
  REQUIRE(world.RunUntil([&] { return second.closed; }, absl::Seconds(10)));
  world.RunFor(absl::Seconds(2));
  CHECK_FALSE(world.router(0).topology().Knows(PeerName(101)));
  CHECK(world.router(0).topology().Knows(PeerName(100)));
}

TEST_CASE("Only the user may bring in a peer nobody has heard of", "[mesh]") {
  MeshWorld world(2);
  ScriptedPeer liar(world, 20, {.name = PeerName(100)});
  liar.Join(0);
  // It has a connection to peer 55 at the address of host 1, which is peer 2.
  const PeerSummary record = {
      .name = PeerName(100),
      .nickname = "scripted",
      .uid = 77,
      .version = 5,
      .short_id = std::nullopt,
      .connections = {
          {.peer = PeerName(1), .remote_address = "10.128.0.1:6783", .outbound = true, .established = true},
          {.peer = PeerName(55), .remote_address = "10.128.0.2:6783", .outbound = true, .established = true}}};
  liar.SayGossip(MessageTag::kGossip, "topology", Update({record}), PeerName(100));
  world.RunFor(absl::Seconds(20));
  CHECK(world.router(0).connection_count() == 1);
  CHECK(world.host(0).logger.Count("Found unknown remote name: 00:00:00:00:00:02 at 10.128.0.2:6783") >= 2);
  world.host(0).Connect(1);
  CHECK(world.RunUntil([&] { return world.Established(0, 1); }, absl::Minutes(1)));
}

TEST_CASE("What the user forgets or replaces is dialled no more; what is connected stays", "[mesh]") {
  MeshWorld world(3);
  world.host(0).Connect(1);
  world.host(0).Connect(8);  // nobody there
  world.RunFor(absl::Seconds(30));
  const std::size_t dials = world.host(0).dial_count;
  CHECK(dials > 2);
  SECTION("forget") {
    world.host(0).Forget(8);
    world.host(0).Forget(1);
    CHECK(world.router(0).DirectPeers().empty());
  }
  SECTION("replace") {
    world.host(0).Connect(2, /*replace=*/true);
    CHECK(world.router(0).DirectPeers() == std::vector<std::string>{"10.128.0.3:6783"});
    world.RunFor(absl::Seconds(10));
    CHECK(world.Established(0, 2));
  }
  world.RunFor(absl::Minutes(10));
  CHECK(world.host(0).dial_count <= dials + 1);
  CHECK_FALSE(world.host(0).StatusOf(8).has_value());
  CHECK(world.Established(0, 1));
}

}  // namespace
}  // namespace weave::test
