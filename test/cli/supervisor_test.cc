// What happens to a peer that crashes, and to its supervisor.
#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "io/file.h"
#include "test/cli/world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

std::vector<std::int64_t> StartTimes(const World& world) {
  std::vector<std::int64_t> times;
  for (const std::string& line : world.Journal("start")) {
    std::int64_t milliseconds = 0;
    REQUIRE(absl::SimpleAtoi(line.substr(line.find(' ') + 1), &milliseconds));
    times.push_back(milliseconds);
  }
  return times;
}

}  // namespace

TEST_CASE("A peer that crashes is started again, later each time, and the log says so", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--fake-crash-if=/run/crash", "--fake-exit=3"}).exit_status == 0);
  REQUIRE(WriteFileAtomically("/run/crash", "").ok());
  REQUIRE(Eventually([&] { return world.Journal("start").size() >= 5; }));
  const std::vector<std::int64_t> times = StartTimes(world);
  for (int i = 0; i < 4; ++i) CHECK(times[i + 1] - times[i] >= 100 << i);
  const std::string log = ReadSmallFile("/var/log/weave/weave.log").value();
  CHECK(absl::StrContains(log, "exit_status=3"));
  CHECK(absl::StrContains(log, "in=400ms"));
}

TEST_CASE("A peer learns whether it is started for the first time, whoever launches it", "[cli]") {
  World world;
  world.environment.emplace_back("WEAVE_RESTARTED", "1");  // as left by a peer that launches another
  REQUIRE(world.Launch({"host2"}).exit_status == 0);
  CHECK(world.Journal("restarted") == std::vector<std::string>{"no"});
  ::kill(world.WeaverPid(), SIGKILL);
  REQUIRE(Eventually([&] { return world.Journal("restarted").size() == 2; }));
  CHECK(world.Journal("restarted").back() == "yes");
  const std::vector<std::string> args = world.Journal("args");
  CHECK(args.front() == args.back());
}

TEST_CASE("A peer that was killed comes back and serves", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  const pid_t first = world.WeaverPid();
  ::kill(first, SIGKILL);
  // gRPC replaces the dead peer's socket.
  REQUIRE(Eventually([&] { return world.WeaverPid() != first && world.Weave({"status"}).exit_status == 0; }));
  CHECK(absl::StrContains(ReadSmallFile("/var/log/weave/weave.log").value(), "signal=9"));
}

TEST_CASE("While the peer waits to be started again, commands and launches say so, and stop ends it", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--fake-crash-if=/run/crash"}).exit_status == 0);
  REQUIRE(WriteFileAtomically("/run/crash", "").ok());
  REQUIRE(Eventually([&] { return world.Journal("start").size() >= 5; }));  // now the waits are long enough to see
  REQUIRE(Eventually([&] { return world.Weave({"status"}).err == "weave container is restarting.\n"; }));
  CHECK(world.Weave({"ps"}).exit_status != 0);
  const Result launch = world.Launch();
  CHECK(launch.exit_status == 1);
  CHECK(absl::StrContains(launch.err, "already running"));

  const std::size_t starts = world.Journal("start").size();
  CHECK(world.Weave({"stop"}).exit_status == 0);
  CHECK(world.SupervisorPid() == 0);
  CHECK(world.Journal("start").size() <= starts + 1);
  CHECK(world.Weave({"status"}).exit_status == 2);
}

TEST_CASE("A peer that was asked to end is not started again", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  ::kill(world.WeaverPid(), SIGTERM);
  CHECK(Eventually([&] { return world.SupervisorPid() == 0; }));
  CHECK(world.Journal("start").size() == 1);
}

TEST_CASE("Ending the supervisor ends the peer", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  ::kill(world.SupervisorPid(), SIGTERM);
  CHECK(Eventually([&] { return world.SupervisorPid() == 0 && !IsAlive(world.WeaverPid()); }));
  CHECK(world.Weave({"status"}).err == "weave container is not running.\n");
}

TEST_CASE("Killing the supervisor leaves the peer, which can still be stopped", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  ::kill(world.SupervisorPid(), SIGKILL);
  CHECK(Eventually([&] { return world.SupervisorPid() == 0; }));
  CHECK(world.Weave({"status"}).exit_status == 0);
  CHECK(world.Launch().exit_status == 3);
  CHECK(world.Weave({"stop"}).exit_status == 0);
  CHECK_FALSE(IsAlive(world.WeaverPid()));
}

}  // namespace weave
