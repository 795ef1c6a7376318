// Commands that talk to the peer: what they print and how they fail.
#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "test/cli/world.h"
#include "test/support/catch.h"

namespace weave {

TEST_CASE("Commands print what the peer answers", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);

  CHECK(world.Weave({"status"}).out == "page <>\n");
  CHECK(world.Weave({"status", "peers"}).out == "page <peers>\n");
  const Result off = world.Weave({"status", "dns"});
  CHECK(off.exit_status == 4);
  CHECK((off.out + off.err).empty());

  CHECK(world.Weave({"report"}).out == "{}");
  CHECK(world.Weave({"report", "-f", ""}).out == "<>");
  CHECK(world.Weave({"report", "-f", "{{.Name}}\xff"}).out == "<{{.Name}}\xff>");
  CHECK(world.Weave({"report", "-f", "{{"}).err == "weave: unclosed action\n");

  CHECK(world.Weave({"version"}).out == absl::StrCat("weave script ", kVersion, "\n") + "weave 9.8.7-fake\n");
  CHECK(world.Weave({"bridge-type"}).out == "bridge\n");
  CHECK(world.Weave({"ps"}).out ==
        "weave:expose 7a:00:00:00:00:01\n0123456789ab 7a:00:00:00:00:02 10.2.1.1/24 10.2.2.1/24\n");

  Result result =
      world.Weave({"attach", "10.2.1.1/24", "ip:10.2.2.1/24", "--without-dns", "--no-multicast-route", "web"});
  CHECK(result.exit_status == 0);
  CHECK(result.out == "10.2.1.1/24 10.2.2.1/24\n");
  CHECK(result.err == "attached web unicast\n");
  CHECK(world.Weave({"attach", "10.2.1.1/24", "/proc/self/../7/ns/net"}).err == "attached /proc/7/ns/net\n");
  CHECK(world.Weave({"detach", "10.2.1.1/24", "web"}).out == "10.2.1.1/24\n");
  CHECK(world.Weave({"detach", "web"}).out == "10.9.9.9/24\n");
  result = world.Weave({"expose", "10.2.1.1/24", "--without-masquerade"});
  CHECK(result.out == "10.2.1.1/24\n");
  CHECK(result.err == "not masqueraded\n");
  CHECK(world.Weave({"hide", "10.2.1.1/24"}).out == "10.2.1.1/24\n");
  CHECK(world.Weave({"attach", "web"}).exit_status == 0);
  CHECK(world.Weave({"attach", "net:default", "10.2.1.1/24", "net:10.3.0.0/16", "web"}).out ==
        "net:default 10.2.1.1/24 net:10.3.0.0/16\n");
  CHECK(world.Weave({"prime"}).exit_status == 0);
  CHECK(world.Weave({"rmpeer", "a", "host2"}).out == "1 IPs taken over from a\n5 IPs taken over from host2\n");
  CHECK(world.Weave({"rmpeer", "--force", "a"}).out == "101 IPs taken over from a\n");
  result = world.Weave({"hide"});
  CHECK(result.exit_status == 0);
  CHECK(result.out.empty());
}

TEST_CASE("The doctor says of a peer of an earlier version that it cannot be asked, and looks at the host", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  const Result result = world.Weave({"doctor"});
  CHECK(absl::StrContains(
      result.out, "\nwarn  doctor: the running peer is of version 9.8.7-fake, which cannot say what it knows\n"));
  CHECK(absl::StrContains(result.out, " store: "));
  CHECK_FALSE(absl::StrContains(result.out, " connections: "));
  CHECK(result.err.empty());
}

TEST_CASE("What the peer refuses is printed and fails", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--fake-refuse=no such container: web"}).exit_status == 0);
  const Result result = world.Weave({"attach", "10.2.1.1/24", "web"});
  CHECK(result.exit_status == 1);
  CHECK(result.out.empty());
  CHECK(result.err == "weave: no such container: web\n");
  CHECK(world.Weave({"prime"}).err == "weave: no such container: web\n");
  CHECK(world.Weave({"rmpeer", "a"}).exit_status == 1);
}

TEST_CASE("A peer that hangs is given up and named", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--fake-deaf"}).exit_status == 0);
  const Result result = world.Weave({"status"});
  CHECK(result.exit_status == 1);
  CHECK(result.err ==
        absl::StrCat("weave: the peer (pid ", world.WeaverPid(), ") does not answer: no reply within 3s\n"));
  CHECK(world.Weave({"version"}).out == absl::StrCat("weave script ", kVersion, "\n") + "weave 9.8.7-program\n");
}

TEST_CASE("Without a peer, version asks the program", "[cli]") {
  World world;
  CHECK(world.Weave({"version"}).out == absl::StrCat("weave script ", kVersion, "\n") + "weave 9.8.7-program\n");
  world.environment[0].second = "/bin/true";
  const Result result = world.Weave({"version"});
  CHECK(result.exit_status == 1);
  CHECK(result.err == "weave: /bin/true version: printed no version\n");
}

TEST_CASE("The Docker bridge's address is printed, or its absence said", "[cli]") {
  World world;
  CHECK(world.Weave({"docker-bridge-ip"}).exit_status == 1);
  world.environment.emplace_back("DOCKER_BRIDGE", "lo");
  CHECK(world.Weave({"docker-bridge-ip"}).out == "127.0.0.1\n");
}

TEST_CASE("Output that cannot be written is a failure", "[cli]") {
  const World world;
  const auto result = RunSubprocess(
      {.argv = {"/bin/sh", "-c", "exec " WEAVE_PROGRAM " version > /dev/full"}, .environment = world.environment});
  REQUIRE(result.ok());
  CHECK(result->exit_status == 1);
  CHECK(absl::StartsWith(result->error_output, "weave: write standard output: "));
}

}  // namespace weave
