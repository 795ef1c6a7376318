// `weave stop` in every state of the peer.
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "test/cli/world.h"
#include "test/support/catch.h"

namespace weave {

TEST_CASE("Stop ends peer and supervisor quietly and keeps state, log and store", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  const pid_t weaver = world.WeaverPid();
  const Result result = world.Weave({"stop"});
  CHECK(result.exit_status == 0);
  CHECK((result.out + result.err).empty());
  CHECK_FALSE(IsAlive(weaver));
  CHECK(world.SupervisorPid() == 0);
  CHECK_FALSE(Exists("/run/weave/peer.sock"));
  CHECK(Exists("/run/weave/launch.state"));
  CHECK(Exists("/run/store-data.db"));
  CHECK(Exists("/var/log/weave/weave.log"));
  CHECK(world.Launch().exit_status == 0);
}

TEST_CASE("Stop without a peer says whether there ever was one", "[cli]") {
  const World world;
  Result result = world.Weave({"stop"});
  CHECK(result.exit_status == 1);
  CHECK(result.err == "weave container is not present. Have you launched it?\n");
  REQUIRE(world.Launch().exit_status == 0);
  REQUIRE(world.Weave({"stop"}).exit_status == 0);
  result = world.Weave({"stop"});
  CHECK(result.exit_status == 2);
  CHECK(result.err == "weave container is not running.\n");
}

TEST_CASE("A peer that hangs is killed after 10 s, with a warning", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--fake-deaf"}).exit_status == 0);
  const Result result = world.Weave({"stop"});
  CHECK(result.exit_status == 0);
  CHECK(result.err ==
        absl::StrCat("weave: the peer (pid ", world.WeaverPid(), ") did not end within 10s; killing it\n"));
  CHECK_FALSE(IsAlive(world.WeaverPid()));
  CHECK(world.SupervisorPid() == 0);
  CHECK_FALSE(Exists("/run/weave/peer.sock"));
}

TEST_CASE("Two stops at once both end well", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  const pid_t weaver = world.WeaverPid();
  world.Start({"stop"});
  const Result result = world.Weave({"stop"});
  CHECK((result.exit_status == 0 || result.exit_status == 2));
  CHECK_FALSE(IsAlive(weaver));
}

}  // namespace weave
