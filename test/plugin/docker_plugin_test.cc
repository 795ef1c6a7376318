// Parts of the Docker plugin that need no Docker and no peer; test/system/plugin_golden.sh has the whole of it.
#include <stdlib.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "plugin/docker/address_keeper.h"
#include "plugin/docker/ipam_driver.h"
#include "plugin/docker/network_driver.h"
#include "plugin/docker/network_options.h"
#include "plugin/docker/plugin_flags.h"
#include "test/support/catch.h"

namespace weave {
namespace {

absl::StatusOr<PluginOptions> ParseFlags(std::vector<std::string> args, const char* docker_host = nullptr) {
  return ParsePluginOptions(args, [&](const char* name) -> const char* {
    return std::string(name) == "DOCKER_HOST" ? docker_host : nullptr;
  });
}

}  // namespace

TEST_CASE("A pool's id says all of the pool, and nothing else is one", "[plugin]") {
  const AddressPool pool = ParsePoolId("weave-10.32.0.0/16-10.32.4.0/24").value();
  CHECK(pool.subnet.ToString() == "10.32.0.0/16");
  CHECK(pool.range.ToString() == "10.32.4.0/24");
  CHECK(FormatPoolId(pool) == "weave-10.32.0.0/16-10.32.4.0/24");
  CHECK(ParsePoolId("bad").status().message() == "Unrecognized pool ID: bad");
  for (const char* bad : {"", "weave", "weave--", "weave-10.32.0.0/16", "weave-10.32.0.0/16-10.32.4.0/24-",
                          "Weave-10.32.0.0/16-10.32.4.0/24", "weave-10.32.0.0/33-10.32.0.0/24",
                          "weave-fd00::/64-fd00::/64", "weave-10.32.0.0/24-10.32.0.0/16",
                          "weave-10.32.0.0/16-10.33.0.0/24", "GlobalDefault/10.0.0.0/8", "weave-10.32.0.0-10.32.0.0"})
    CHECK(absl::IsInvalidArgument(ParsePoolId(bad).status()));
}

TEST_CASE("Docker has forgotten what neither a container nor a network of this host has", "[plugin]") {
  const auto subnet = [](const char* text) { return std::vector<Cidr>{Cidr::Parse(text).value()}; };
  const auto address = [](const char* text) { return IpAddress::Parse(text).value(); };
  const std::vector<DockerPool> pools = {{"weavemesh", true, subnet("10.32.0.0/24"), {"10.32.0.1"}},
                                         {"weavemesh", true, subnet("10.32.1.0/24"), {}},
                                         {"weave:latest", false, subnet("10.32.1.128/25"), {}},
                                         {"default", true, subnet("172.17.0.0/16"), {}}};
  const std::vector<IpAddress> held = {
      address("10.32.0.1"),    // a gateway
      address("10.32.0.2"),    // a container's
      address("10.32.0.3"),    // nobody's
      address("10.32.1.3"),    // nobody's
      address("10.32.1.130"),  // perhaps a container's of the swarm, on another host
      address("10.32.9.1"),    // of no network that there is
      address("172.17.0.9"),   // of another driver's network
  };
  CHECK(FindForgotten(held, pools, {"10.32.0.2", "172.17.0.2"}, {"weave", "weavemesh"}) ==
        std::set<IpAddress>{address("10.32.0.3"), address("10.32.1.3")});
  CHECK(FindForgotten(held, {}, {}, {"weavemesh"}).empty());
}

TEST_CASE("A network's options are what Go takes for booleans", "[plugin]") {
  const std::vector<Cidr> subnets = {Cidr::Parse("10.32.1.0/24").value()};
  const auto read = [&](const char* option, const char* value) {
    return ReadNetworkSettings({{option, value}, {"of.somebody.else", "perhaps"}}, subnets);
  };
  for (const char* yes : {"", "1", "t", "true", "True", "TRUE"}) {
    CHECK(read(kMulticastOption, yes).value() == NetworkSettings{true, {}});
    CHECK(read(kIsolatedOption, yes).value() == NetworkSettings{false, subnets});
  }
  for (const char* no : {"0", "f", "false", "F"}) {
    CHECK(read(kMulticastOption, no).value() == NetworkSettings());
    CHECK(read(kIsolatedOption, no).value() == NetworkSettings());
  }
  CHECK(read(kMulticastOption, "yes").status().message() ==
        "unrecognized value \"yes\" for option works.weave.multicast");
  CHECK(read(kIsolatedOption, "yes").status().message() ==
        "unrecognized value \"yes\" for option works.weave.isolated");
}

TEST_CASE("A network cannot be isolated that has no subnet of its own", "[plugin]") {
  const auto isolate = [](const std::vector<const char*>& texts) {
    std::vector<Cidr> subnets;
    for (const char* text : texts) subnets.push_back(Cidr::Parse(text).value());
    return ReadNetworkSettings({{kIsolatedOption, ""}}, subnets).status();
  };
  CHECK(isolate({"10.32.1.0/24", "10.32.2.0/24"}).ok());
  CHECK(isolate({}).message() == "option works.weave.isolated: 0 IPv4 subnets: want 1 to 4");
  CHECK(absl::IsInvalidArgument(isolate({"0.0.0.0/0"})));
  CHECK(absl::IsInvalidArgument(isolate({"fd00::/64"})));
  CHECK(absl::IsInvalidArgument(isolate({"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "10.0.4.0/24"})));
}

TEST_CASE("Networks' options outlive the plugin, and a damaged file costs only itself", "[plugin]") {
  std::string directory = (std::filesystem::temp_directory_path() / "weave-plugin-XXXXXX").string();
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const std::string path = directory + "/sub/networks";
  const NetworkSettings multicast{true, {}};
  const NetworkSettings isolated{false, {Cidr::Parse("10.32.1.0/24").value(), Cidr::Parse("10.32.2.0/24").value()}};
  {
    NetworkOptions options(path);
    CHECK_FALSE(options.Find("n1").has_value());
    REQUIRE(options.Set("n1", multicast).ok());
    REQUIRE(options.Set("n2", isolated).ok());
    REQUIRE(options.Set("n3", multicast).ok());
    REQUIRE(options.Set("n5", {}).ok());
    REQUIRE(options.Remove("n3").ok());
    REQUIRE(options.Remove("n4").ok());
  }
  CHECK(NetworkOptions(path).Find("n1") == multicast);
  CHECK(NetworkOptions(path).Find("n2") == isolated);
  CHECK_FALSE(NetworkOptions(path).Find("n3").has_value());
  CHECK(NetworkOptions(path).Find("n5") == NetworkSettings());
  REQUIRE(
      ::system(
          ("printf 'n1 multi\nn2 plain isolated:\nn3 plain isolated:10.0.0\nn4 plain walled\nn6 multicast\n' >" + path)
              .c_str()) == 0);
  for (const char* damaged : {"n1", "n2", "n3", "n4"}) CHECK_FALSE(NetworkOptions(path).Find(damaged).has_value());
  CHECK(NetworkOptions(path).Find("n6") == multicast);
  std::filesystem::remove_all(directory);
}

TEST_CASE("The plugin's flags are checked by name", "[plugin]") {
  const PluginOptions options = ParseFlags({"--plugin-socket=", "--plugin-mesh-socket", "/run/w.sock", "--plugin-v2",
                                            "--plugin-v2-multicast=true", "--log-level", "debug", "--docker-api="})
                                    .value();
  CHECK(options.plugin_socket.empty());
  CHECK(options.plugin_mesh_socket == "/run/w.sock");
  CHECK((options.plugin_v2 && options.plugin_v2_multicast));
  CHECK(options.docker_api.empty());
  CHECK(ParseFlags({}, "tcp://10.0.0.1:2375").value().docker_api == "tcp://10.0.0.1:2375");
  CHECK(ParseFlags({"--docker-api=unix:///d.sock"}, "tcp://10.0.0.1:2375").value().docker_api == "unix:///d.sock");
  const std::vector<std::pair<std::vector<std::string>, const char*>> bad = {
      {{"--plugin-socket=weave.sock"}, "--plugin-socket: \"weave.sock\": want an absolute path"},
      {{"--plugin-v2=perhaps"}, "--plugin-v2: \"perhaps\": want true or false"},
      {{"--log-level"}, "--log-level: wants a value, LEVEL"},
      {{"--log-level=loud"}, "--log-level: \"loud\": want debug, info, warning or error"},
      {{"--weave-bridge=a/b"}, "--weave-bridge: \"a/b\": want"},
      {{"--docker-api=ftp://x"}, "--docker-api: "},
      {{"--nope"}, "unknown argument \"--nope\""},
      {{"peer"}, "unknown argument \"peer\""},
      {{"--plugin-mesh-socket=/" + std::string(200, 'x')}, "--plugin-mesh-socket: "},
  };
  for (const auto& [args, text] : bad) {
    INFO(text);
    CHECK(absl::StartsWith(ParseFlags(args).status().message(), text));
  }
  CHECK(absl::StartsWith(ParseFlags({}, "nowhere").status().message(), "DOCKER_HOST: "));
  for (const char* flag : {"--api-socket", "--plugin-mesh-socket", "--state-file", "[DOCKER_HOST]"})
    CHECK(absl::StrContains(PluginHelp(), flag));
}

}  // namespace weave
