// The Docker plugin beside the peer: started, started again, and ended with it. The plugin is the real one; there is no
// Docker here.
#include <signal.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "io/lock_file.h"
#include "test/cli/world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

constexpr char kSockets[] = "/run/docker/plugins";

// As World, with the plugin.
struct PluginWorld : World {
  PluginWorld() { environment.pop_back(); }  // WEAVE_NO_PLUGIN
};

pid_t PluginPid() { return HolderOf("/run/weave/plugin.lock").value_or(std::nullopt).value_or(0); }

}  // namespace

TEST_CASE("Launch returns with the plugin's sockets there; one that is killed comes back; stop ends it", "[cli]") {
  const PluginWorld world;
  REQUIRE(world.Launch().exit_status == 0);
  CHECK(Listing(kSockets) == "weave.sock weavemesh.sock");
  const pid_t first = PluginPid();
  REQUIRE(first != 0);
  ::kill(first, SIGKILL);
  REQUIRE(Eventually([&] { return PluginPid() != 0 && PluginPid() != first; }));
  const pid_t weaver = world.WeaverPid();
  ::kill(weaver, SIGKILL);
  REQUIRE(Eventually([&] { return world.WeaverPid() != weaver; }));
  const pid_t second = PluginPid();
  CHECK(second != 0);
  const Result result = world.Weave({"stop"});
  CHECK(result.exit_status == 0);
  CHECK((result.out + result.err).empty());
  CHECK_FALSE(IsAlive(second));
  CHECK(world.SupervisorPid() == 0);
  CHECK(Listing(kSockets).empty());
}

TEST_CASE("The plugin ends with a peer that ends", "[cli]") {
  const PluginWorld world;
  REQUIRE(world.Launch().exit_status == 0);
  const pid_t plugin = PluginPid();
  ::kill(world.WeaverPid(), SIGTERM);
  REQUIRE(Eventually([&] { return !IsAlive(plugin) && world.SupervisorPid() == 0; }));
  CHECK(Listing(kSockets).empty());
}

TEST_CASE("With --no-restart the plugin stays over a crash of the peer, and stop ends both", "[cli]") {
  const PluginWorld world;
  REQUIRE(world.Launch({"--no-restart"}).exit_status == 0);
  const pid_t plugin = PluginPid();
  REQUIRE(plugin != 0);
  const pid_t weaver = world.WeaverPid();
  ::kill(weaver, SIGKILL);
  REQUIRE(Eventually([&] { return !IsAlive(weaver); }));
  const Result again = world.Launch({"--no-restart"});
  CHECK(again.exit_status == 0);
  CHECK(again.err.empty());
  CHECK(PluginPid() == plugin);
  CHECK(world.Weave({"stop"}).exit_status == 0);
  CHECK_FALSE(IsAlive(plugin));
  CHECK(Eventually([] { return !Exists("/run/weave/plugin-supervisor.lock"); }));
  CHECK(Listing(kSockets).empty());
}

TEST_CASE("A plugin that is not installed is missed only by those who ask for it", "[cli]") {
  PluginWorld world;
  std::filesystem::create_symlink(FAKE_WEAVER_PROGRAM, "/run/weaver");
  world.environment.front() = {"WEAVE_WEAVER", "/run/weaver"};
  const Result refused = world.Launch({"--plugin"});
  CHECK(refused.exit_status == 1);
  CHECK(absl::StrContains(refused.err, "'weave-plugin' is not beside /run/weaver"));
  REQUIRE(world.Launch().exit_status == 0);
  CHECK(PluginPid() == 0);
  CHECK_FALSE(absl::StrContains(world.Journal("args").back(), "--plugin"));
}

}  // namespace weave
