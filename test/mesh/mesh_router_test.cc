// Peers of a mesh on a simulated network: what they agree on and how messages reach them.
#include "mesh/mesh_router.h"

#include <string>

#include "test/mesh/mesh_world.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

MeshConfig WithPassword(const char* password) {
  MeshConfig config;
  config.password = password;
  return config;
}

TEST_CASE("Two peers connect, are established on both sides and agree on the topology", "[mesh]") {
  const MeshConfig config = GENERATE(
      MeshConfig(), WithPassword("secret"),
      [] {
        MeshConfig old;
        old.versions = {1, 1};
        return old;
      }(),
      [] {
        MeshConfig old = WithPassword("secret");
        old.versions = {1, 1};
        return old;
      }());
  MeshWorld world(2, 7, config);
  world.host(0).Connect(1);
  INFO("versions " << config.versions.max << " password " << config.password.has_value());
  REQUIRE(world.RunUntil([&] { return world.Agreed() && world.Established(0, 1) && world.Established(1, 0); },
                         absl::Seconds(10)));
  CHECK(world.router(0).connection_count() == 1);
  world.RunFor(absl::Seconds(1));  // routes are recomputed a little later
  CHECK(world.router(0).routes().NextHop(Links::kEstablished, PeerName(2)) == PeerName(2));
}

TEST_CASE("A chain of peers becomes a full mesh by discovery, and stays a chain without", "[mesh]") {
  const bool discovery = GENERATE(true, false);
  MeshConfig config;
  config.discovery = discovery;
  MeshWorld world(5, 11, config);
  for (sim::HostId id = 0; id + 1 < 5; ++id) world.host(id).Connect(id + 1);
  world.RunFor(absl::Minutes(2));
  CHECK(world.Agreed());
  for (std::size_t i = 0; i < 5; ++i) {
    const std::size_t neighbours = i == 0 || i == 4 ? 1 : 2;
    CHECK(world.router(i).connection_count() == (discovery ? 4 : neighbours));
  }
  CHECK(world.router(0).routes().NextHop(Links::kEstablished, PeerName(5)) == PeerName(discovery ? 5 : 2));
}

}  // namespace
}  // namespace weave::test
