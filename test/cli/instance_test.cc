// Which peer is meant, and the file that remembers how it was launched.
#include "cli/instance.h"

#include <cstdlib>
#include <map>

#include "absl/strings/match.h"
#include "cli/launch_state.h"
#include "test/support/catch.h"

namespace weave {
namespace {

Environment Given(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

}  // namespace

TEST_CASE("The socket comes from the flag, then WEAVE_API_SOCKET, then the container name, then the default", "[cli]") {
  CHECK(ResolveInstance("", Given({}))->api_socket == "/run/weave/peer.sock");
  CHECK(ResolveInstance("", Given({{"WEAVE_CONTAINER_NAME", "two"}}))->api_socket == "/run/two/peer.sock");
  CHECK(ResolveInstance("", Given({{"WEAVE_CONTAINER_NAME", "two"}, {"WEAVE_API_SOCKET", "/a/b/s"}}))->api_socket ==
        "/a/b/s");
  CHECK(ResolveInstance("/c/d/s", Given({{"WEAVE_API_SOCKET", "/a/b/s"}}))->api_socket == "/c/d/s");
}

TEST_CASE("An instance is named by its socket's directory", "[cli]") {
  const auto instance = ResolveInstance("/tmp/x/../two/peer.sock", Given({}));
  REQUIRE(instance.ok());
  CHECK(instance->api_socket == "/tmp/two/peer.sock");
  CHECK(instance->run_directory == "/tmp/two");
  CHECK(instance->name == "two");
  CHECK(instance->log_path() == "/var/log/weave/two.log");
  CHECK(instance->default_db_prefix() == "/var/lib/two/weave");
}

TEST_CASE("A relative socket is taken from the working directory", "[cli]") {
  CHECK(absl::EndsWith(ResolveInstance("two/peer.sock", Given({}))->api_socket, "/two/peer.sock"));
  CHECK(absl::StartsWith(ResolveInstance("two/peer.sock", Given({}))->api_socket, "/"));
}

TEST_CASE("A socket that can be none is refused with its source", "[cli]") {
  CHECK(absl::StrContains(ResolveInstance("/peer.sock", Given({})).status().message(), "--api-socket \"/peer.sock\""));
  CHECK(absl::IsInvalidArgument(ResolveInstance("/run/weave/", Given({})).status()));
  CHECK(absl::IsInvalidArgument(ResolveInstance("/run/a\nb/peer.sock", Given({})).status()));
  CHECK(absl::StrContains(ResolveInstance("", Given({{"WEAVE_CONTAINER_NAME", "../x"}})).status().message(),
                          "WEAVE_CONTAINER_NAME \"../x\""));
}

TEST_CASE("What a launch noted reads back, and a damaged note reads as the defaults", "[cli]") {
  const Instance instance = *ResolveInstance("", Given({}));
  LaunchState state = DefaultLaunchState(instance);
  state.db_prefix = "/data/a=b";
  state.bridge = "br7";
  state.datapath = "dp7";
  state.docker_bridge = "docker0";
  state.port = "7000";
  state.http_addr = "127.0.0.1:7784";
  CHECK(ParseLaunchState(FormatLaunchState(state), instance) == state);
  CHECK(ParseLaunchState("", instance) == DefaultLaunchState(instance));
  CHECK(ParseLaunchState("=\n\nfuture=1\nnonsense", instance) == DefaultLaunchState(instance));
}

}  // namespace weave
