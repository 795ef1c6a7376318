// From `weave launch` to weaver's command line.
#include "cli/launch_plan.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Variables = std::map<std::string, std::string>;

absl::StatusOr<LaunchPlan> Plan(std::vector<std::string> args, Variables variables = {}, std::string link = "") {
  const Environment environment = [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  const auto instance = ResolveInstance("", environment);
  return PlanLaunch(args, *instance, environment, [&](absl::string_view name) { return name == link; });
}

std::string ArgsOf(const absl::StatusOr<LaunchPlan>& plan) {
  REQUIRE(plan.ok());
  return absl::StrJoin(plan->weaver_args, " ");
}

constexpr char kStore[] =
    " --ipalloc-range=10.32.0.0/12 --db-prefix=/var/lib/weave/weave --api-socket=/run/weave/peer.sock --plugin";

}  // namespace

TEST_CASE("A plain launch gives the peer its listeners, its store and its socket", "[cli]") {
  const auto plan = Plan({});
  CHECK(ArgsOf(plan) == std::string("--http-addr=127.0.0.1:6784 --status-addr=127.0.0.1:6782") + kStore);
  CHECK(plan->supervised);
  CHECK(plan->state.db_prefix == "/var/lib/weave/weave");
  CHECK(plan->state.bridge == "weave");
  CHECK(plan->state.log_path == "/var/log/weave/weave.log");
}

TEST_CASE("The environment becomes flags", "[cli]") {
  CHECK(ArgsOf(Plan({}, {{"WEAVE_PORT", "7000"},
                         {"WEAVE_HTTP_ADDR", "127.0.0.1:7784"},
                         {"WEAVE_STATUS_ADDR", ""},
                         {"WEAVE_NO_FASTDP", "1"},
                         {"WEAVE_NO_BRIDGED_FASTDP", "1"},
                         {"AWSVPC", "1"},
                         {"WEAVE_PASSWORD", "secret"}})) ==
        std::string("--port=7000 --http-addr=127.0.0.1:7784 --no-fastdp --no-bridged-fastdp --awsvpc") + kStore);
}

TEST_CASE("The Docker bridge is named only if this host has it", "[cli]") {
  CHECK_FALSE(absl::StrContains(ArgsOf(Plan({})), "--docker-bridge"));
  CHECK(absl::StrContains(ArgsOf(Plan({}, {}, "docker0")), "--docker-bridge=docker0"));
  CHECK_FALSE(absl::StrContains(ArgsOf(Plan({}, {{"DOCKER_BRIDGE", "br1"}}, "docker0")), "--docker-bridge"));
  CHECK(Plan({}, {{"DOCKER_BRIDGE", "br1"}}, "br1")->state.docker_bridge == "br1");
}

TEST_CASE("The user's flags follow and win", "[cli]") {
  const auto plan = Plan({"--http-addr", "127.0.0.1:8000", "--weave-bridge=br0", "--db-prefix=\"/data/w\"", "host2"},
                         {{"WEAVE_HTTP_ADDR", "127.0.0.1:7784"}});
  CHECK(absl::EndsWith(ArgsOf(plan), "--http-addr 127.0.0.1:8000 --weave-bridge=br0 --db-prefix=\"/data/w\" host2"));
  CHECK(plan->state.http_addr == "127.0.0.1:8000");
  CHECK(plan->state.bridge == "br0");
  CHECK(plan->state.db_prefix == "/data/w");
}

TEST_CASE("Flags of launch itself do not reach the peer, after -- all are peers", "[cli]") {
  const auto plan = Plan(
      {"--no-restart", "--no-detect-tls", "--iprange=10.0.0.0/8", "--iprange", "10.1.0.0/16", "--", "--no-restart"});
  CHECK_FALSE(plan->supervised);
  CHECK_FALSE(absl::StrContains(ArgsOf(plan), "detect-tls"));
  CHECK(absl::EndsWith(ArgsOf(plan), " --ipalloc-range=10.0.0.0/8 --ipalloc-range 10.1.0.0/16 -- --no-restart"));
  CHECK(Plan({"--", "--no-restart"})->supervised);
}

TEST_CASE("The plugin runs unless it is switched off, with the peer's flags of the same names", "[cli]") {
  const auto args = [](std::vector<std::string> flags, Variables variables = {}) {
    const auto plan = Plan(std::move(flags), std::move(variables));
    REQUIRE(plan.ok());
    return absl::StrJoin(plan->plugin_args, " ");
  };
  constexpr char kSockets[] =
      "--api-socket=/run/weave/peer.sock --plugin-socket=/run/docker/plugins/weave.sock "
      "--plugin-mesh-socket=/run/docker/plugins/weavemesh.sock";
  CHECK(args({}) == absl::StrCat(kSockets, " --weave-bridge=weave --state-file=/var/lib/weave/weaveplugin.networks"));
  CHECK(args({"--plugin=false"}).empty());
  CHECK(args({"--plugin-socket=", "--plugin-mesh-socket", ""}).empty());
  CHECK(args({"--", "--plugin=false"}) == args({}));
  CHECK(args({"--plugin=false", "--plugin"}) == args({}));
  CHECK(args({}, {{"WEAVE_NO_PLUGIN", "1"}}).empty());
  CHECK(args({"--plugin"}, {{"WEAVE_NO_PLUGIN", "1"}}) == args({}));
  const std::string managed =
      args({"--plugin=false", "--plugin-v2", "--plugin-v2-multicast",
            "--plugin-mesh-socket=", "--docker-api=tcp://127.0.0.1:2375", "--log-level", "debug"});
  CHECK(absl::StrContains(managed, "--plugin-mesh-socket= "));
  CHECK(absl::EndsWith(managed,
                       " --plugin-v2 --plugin-v2-multicast --docker-api=tcp://127.0.0.1:2375 --log-level=debug"));
}

TEST_CASE("A relative unix socket for -H and a relative store are refused by name", "[cli]") {
  CHECK(absl::StrContains(Plan({"-H", "unix://docker.sock"}).status().message(), "-H \"unix://docker.sock\""));
  CHECK(absl::IsInvalidArgument(Plan({"-H=unix:///a", "-H=unix://b"}).status()));
  CHECK(Plan({"-H", "unix:///run/w.sock", "-H", "tcp://0.0.0.0:12375"}).ok());
  CHECK(absl::StrContains(Plan({"--db-prefix", "weave"}).status().message(), "--db-prefix \"weave\""));
  CHECK(absl::IsInvalidArgument(Plan({"--db-prefix"}).status()));
}

}  // namespace weave
