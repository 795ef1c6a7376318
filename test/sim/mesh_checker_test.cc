// The checkers of the mesh, on networks in which something is wrong.
#include "sim/mesh_checker.h"

#include <vector>

#include "test/mesh/mesh_world.h"
#include "test/mesh/records.h"
#include "test/mesh/scripted_peer.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

struct CheckedWorld {
  CheckedWorld() : world(4, 1, NoDiscovery()) {
    world.ConnectChain();
    REQUIRE(world.RunUntil([&] { return world.Agreed() && world.AllEstablished(); }, absl::Minutes(1)));
    world.RunFor(absl::Seconds(2));
  }

  static MeshConfig NoDiscovery() {
    MeshConfig config;
    config.discovery = false;
    return config;
  }

  std::vector<const MeshRouter*> Routers() {
    std::vector<const MeshRouter*> routers;
    for (const auto& host : world.hosts) routers.push_back(&*host->router);
    return routers;
  }

  MeshWorld world;
};

TEST_CASE("A network that works passes", "[sim]") {
  CheckedWorld w;
  CHECK(sim::CheckTopologies(w.Routers()).message() == "");
  CHECK(sim::CheckRoutes(w.Routers()).message() == "");
}

TEST_CASE("A peer that another one does not know is noticed", "[sim]") {
  CheckedWorld w;
  w.world.Add(CheckedWorld::NoDiscovery());
  CHECK(sim::CheckTopologies(w.Routers()).message() == "00:00:00:00:00:01 knows 4 peers of 5");
  CHECK(sim::CheckRoutes(w.Routers()).message().substr(0, 9) == "no way on");
}

TEST_CASE("A record that is not its owner's is noticed, and what it does to routes", "[sim]") {
  CheckedWorld w;
  ScriptedPeer liar(w.world, 20);
  liar.Join(1);
  // For half a second everybody near it believes that peer 3 is connected to nobody.
  liar.SayGossip(MessageTag::kGossip, "topology", Update({Record(Peer(3), 1000, 1, std::nullopt, {})}),
                 PeerName(0xbad));
  REQUIRE(w.world.RunUntil([&] { return w.world.router(1).topology().Find(Peer(3))->version >= 1000; }));
  CHECK_FALSE(sim::CheckTopologies(w.Routers()).ok());
  REQUIRE(w.world.RunUntil(
      [&] { return liar.closed || sim::CheckRoutes(w.Routers()).code() == absl::StatusCode::kInternal; },
      absl::Seconds(1)));
  CHECK_FALSE(liar.closed);
}

TEST_CASE("A connection that one end only believes in is noticed", "[sim]") {
  CheckedWorld w;
  // The reset does not arrive.
  w.world.Cut(3, 2);
  w.world.host(3).Do([&](MeshOutput& out) { w.world.router(3).Stop(w.world.queue.now(), "stopping", out); });
  CHECK_FALSE(sim::CheckTopologies(w.Routers()).ok());
}

}  // namespace
}  // namespace weave::test
