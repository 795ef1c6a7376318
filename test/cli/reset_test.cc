// `weave reset`: after it, nothing is left, whatever was there.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "io/file.h"
#include "test/cli/world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

constexpr char kNotRunning[] =
    "ERROR: weave is not running; unable to remove from cluster. Re-launch weave before reset or use --force to "
    "override.\n";

// Of the default instance with its default store.
void CheckNothingLeft(const World& world) {
  CHECK_FALSE(Exists("/run/weave"));
  CHECK_FALSE(Exists("/var/lib/weave"));
  CHECK_FALSE(Exists("/var/log/weave"));
  if (world.WeaverPid() != 0) CHECK_FALSE(IsAlive(world.WeaverPid()));
}

Result LaunchDefault(const World& world, std::vector<std::string> flags = {}) {
  REQUIRE(EnsureDirectory("/var/lib/weave").ok());  // which the stand-in does not make
  flags.insert(flags.begin(), "launch");
  return world.Weave(flags);
}

}  // namespace

TEST_CASE("Reset of a running peer asks it, ends it and removes every file", "[cli]") {
  const World world;
  REQUIRE(LaunchDefault(world, {"--weave-bridge=br7", "--datapath=dp7", "--port=7000"}).exit_status == 0);
  REQUIRE(WriteFileAtomically("/var/lib/weave/weavedata.db.damaged-20240101T000000Z", "").ok());
  const Result result = world.Weave({"reset"});
  CHECK(result.err.empty());
  CHECK(result.exit_status == 0);
  CheckNothingLeft(world);
  REQUIRE(world.Journal("cleanup").size() == 1);
  CHECK(absl::StrContains(world.Journal("cleanup")[0], "--weave-bridge=br7"));
  CHECK(absl::StrContains(world.Journal("cleanup")[0], "--datapath=dp7"));
  CHECK(absl::StrContains(world.Journal("cleanup")[0], "--port=7000"));
}

TEST_CASE("A datapath is deleted by its name, by the peer's program", "[cli]") {
  const World world;
  const Result result = world.Weave({"delete-datapath", "dp7"});
  CHECK(result.err.empty());
  CHECK(result.exit_status == 0);
  REQUIRE(world.Journal("delete-datapath").size() == 1);
  CHECK(absl::StrContains(world.Journal("delete-datapath")[0], "--datapath=dp7"));
}

TEST_CASE("Reset of a stopped peer wants force", "[cli]") {
  const World world;
  REQUIRE(LaunchDefault(world).exit_status == 0);
  REQUIRE(world.Weave({"stop"}).exit_status == 0);
  const Result result = world.Weave({"reset"});
  CHECK(result.exit_status == 1);
  CHECK(result.err == kNotRunning);
  CHECK(Exists("/var/lib/weave/weavedata.db"));
  CHECK(Listing("/run/weave") == "launch.state weaver.lock");

  CHECK(world.Weave({"reset", "--force"}).exit_status == 0);
  CheckNothingLeft(world);
}

TEST_CASE("A store that survived a reboot wants force, too", "[cli]") {
  const World world;
  REQUIRE(EnsureDirectory("/var/lib/weave").ok());
  REQUIRE(WriteFileAtomically("/var/lib/weave/weavedata.db", "").ok());
  CHECK(world.Weave({"reset"}).err == kNotRunning);
  CHECK(world.Weave({"reset", "--force"}).exit_status == 0);
  CheckNothingLeft(world);
}

TEST_CASE("Reset where nothing was launched cleans up and is content", "[cli]") {
  const World world;
  const Result result = world.Weave({"reset"});
  CHECK(result.err.empty());
  CHECK(result.exit_status == 0);
  CHECK(world.Journal("cleanup").size() == 1);
  CheckNothingLeft(world);
}

TEST_CASE("A peer that refuses the reset stays, unless forced", "[cli]") {
  const World world;
  REQUIRE(LaunchDefault(world, {"--fake-refuse=bridge is busy"}).exit_status == 0);
  const Result result = world.Weave({"reset"});
  CHECK(result.exit_status == 1);
  CHECK(absl::StartsWith(result.err, "weave: bridge is busy (--force"));
  CHECK(world.Weave({"status"}).exit_status == 0);
  CHECK(world.SupervisorPid() != 0);
  CHECK(world.Weave({"reset", "--force"}).exit_status == 0);
  CheckNothingLeft(world);
}

TEST_CASE("A peer that was killed and has no supervisor can be reset by force", "[cli]") {
  const World world;
  REQUIRE(LaunchDefault(world, {"--no-restart"}).exit_status == 0);
  ::kill(world.WeaverPid(), SIGKILL);
  REQUIRE(Eventually([&] { return !IsAlive(world.WeaverPid()); }));
  CHECK(world.Weave({"status"}).err == "weave container is not running.\n");
  CHECK(world.Weave({"reset"}).err == kNotRunning);
  CHECK(world.Weave({"reset", "--force"}).exit_status == 0);
  CheckNothingLeft(world);
}

TEST_CASE("Two resets at once both end well", "[cli]") {
  const World world;
  REQUIRE(LaunchDefault(world).exit_status == 0);
  const pid_t other = world.Start({"reset"});
  CHECK(world.Weave({"reset"}).exit_status == 0);
  int status = -1;
  ::waitpid(other, &status, 0);
  CHECK(status == 0);
  CheckNothingLeft(world);
}

TEST_CASE("Reset without the peer's program says so and keeps the store", "[cli]") {
  World world;
  REQUIRE(LaunchDefault(world).exit_status == 0);
  world.environment[0].second = "/nonexistent/weaver";
  const Result result = world.Weave({"reset"});
  CHECK(result.exit_status == 1);
  CHECK(absl::StrContains(result.err, "/nonexistent/weaver"));
  CHECK(Exists("/var/lib/weave/weavedata.db"));
}

TEST_CASE("Reset leaves other things in shared directories alone", "[cli]") {
  const World world;
  REQUIRE(LaunchDefault(world).exit_status == 0);
  REQUIRE(WriteFileAtomically("/var/lib/weave/mine", "").ok());
  REQUIRE(WriteFileAtomically("/var/log/weave/other.log", "").ok());
  CHECK(world.Weave({"reset"}).exit_status == 0);
  CHECK(Listing("/var/lib/weave") == "mine");
  CHECK(Listing("/var/log/weave") == "other.log");
}

}  // namespace weave
