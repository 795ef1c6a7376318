// What Docker says of itself, its networks and its containers' lives.
#include "host/docker_network.h"

#include "host/docker_events.h"
#include "host/plugin_endpoint.h"
#include "test/host/fake_docker.h"
#include "test/support/catch.h"

namespace weave {
namespace {

std::vector<DockerEvent> Feed(DockerEventParser& parser, absl::string_view text, std::size_t piece_size) {
  std::vector<DockerEvent> events;
  for (; !text.empty(); text.remove_prefix(std::min(piece_size, text.size())))
    REQUIRE(parser.Feed(text.substr(0, piece_size), [&](const DockerEvent& event) { events.push_back(event); }).ok());
  return events;
}

}  // namespace

TEST_CASE("The version of Docker's API is ours, or the nearest that the daemon has", "[host][docker]") {
  const auto choose = [](const char* min, const char* max) {
    return ChooseDockerApi(absl::StrCat("{\"ApiVersion\":\"", max, "\",\"MinAPIVersion\":\"", min, "\"}")).value_or(-1);
  };
  CHECK(choose("1.12", "1.41") == 41);  // Docker 20.10
  CHECK(choose("1.24", "1.45") == 41);  // 26
  CHECK(choose("1.44", "1.52") == 44);  // 29
  CHECK(choose("1.12", "1.24") == 24);  // 1.12
  CHECK(ChooseDockerApi("{\"ApiVersion\":\"1.40\"}").value() == 40);
  for (const char* bad : {"{}", "", "{\"ApiVersion\":\"2.0\"}", "{\"ApiVersion\":\"1.x\"}", "{\"ApiVersion\":1.41}",
                          "{\"ApiVersion\":\"1.20\",\"MinAPIVersion\":\"1.30\"}"})
    CHECK(absl::IsInvalidArgument(ChooseDockerApi(bad).status()));
}

TEST_CASE("A daemon is asked in the version that was chosen", "[host][docker]") {
  const FakeDocker docker(200,
                          "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\",\"Id\":\"n1\",\"Driver\":\"weavemesh\","
                          "\"Options\":{\"works.weave.multicast\":\"true\"}}");
  const DockerDaemon daemon = NegotiateDocker({.address = docker.address()}).value();
  const std::optional<DockerNetwork> network = FindDockerNetwork(daemon, "weave").value();
  REQUIRE(network.has_value());
  CHECK(network->driver == "weavemesh");
  CHECK(network->options.at("works.weave.multicast") == "true");
  CHECK(docker.requests() == std::vector<std::string>{"GET /version HTTP/1.1", "GET /v1.44/networks/weave HTTP/1.1"});
}

TEST_CASE("Docker's refusals are told in its words", "[host][docker]") {
  const FakeDocker docker(403, "{\"message\":\"network weave has active endpoints\"}");
  const absl::Status status = RemoveDockerNetwork({.options = {.address = docker.address()}}, "weave");
  CHECK(status == absl::FailedPreconditionError("network weave has active endpoints"));
}

TEST_CASE("A started container's networks and a swarm's managers are read", "[host][docker]") {
  const DockerContainerNetworks container =
      ParseContainerNetworks(
          "{\"Name\":\"/shop\",\"State\":{\"Pid\":42},\"Config\":{\"Hostname\":\"web\",\"Domainname\":\"weave.local\"},"
          "\"NetworkSettings\":{\"IPAddress\":\"x\",\"Networks\":{\"weave\":{\"NetworkID\":\"n1\","
          "\"IPAddress\":\"10.32.0.1\",\"Aliases\":[\"db\",\"store\"]},\"none\":{\"NetworkID\":\"n2\",\"IPAddress\":"
          "\"\"}}}}")
          .value();
  CHECK(container.pid == 42);
  CHECK(container.hostname == "web");
  CHECK(container.domainname == "weave.local");
  CHECK(container.name == "shop");
  CHECK(container.networks == std::map<std::string, DockerContainerNetwork>{{"n1", {"10.32.0.1", {"db", "store"}}}});
  CHECK(ParseSwarmManagers("{\"Swarm\":{\"NodeAddr\":\"10.0.0.3\",\"RemoteManagers\":[{\"Addr\":\"10.0.0.3:2377\"},{"
                           "\"NodeID\":\"a\",\"Addr\":\"10.0.0.1:2377\"},"
                           "{\"Addr\":\"[fd00::1]:2377\"}]}}")
            .value() == std::vector<std::string>{"10.0.0.1", "fd00::1"});
  CHECK(ParseSwarmManagers("{\"Swarm\":{\"RemoteManagers\":null}}").value().empty());
}

TEST_CASE("Where networks' addresses come from, and which of them are the networks' own", "[host][docker]") {
  const std::vector<DockerPool> pools =
      ParseDockerPools(
          "[{\"Name\":\"weave\",\"Scope\":\"local\",\"Driver\":\"weavemesh\",\"IPAM\":{\"Driver\":\"weavemesh\","
          "\"Config\":["
          "{\"Subnet\":\"10.32.0.0/12\",\"Gateway\":\"10.32.0.1\",\"AuxiliaryAddresses\":{\"printer\":\"10.32.0.2\"}},"
          "{\"Subnet\":\"fd00::/64\"}]}},"
          "{\"Name\":\"swarm\",\"Scope\":\"swarm\",\"IPAM\":{\"Driver\":\"weave:latest\",\"Config\":[{\"Subnet\":"
          "\"10.48.0.0/16\"}]}},"
          "{\"Name\":\"none\",\"Scope\":\"local\",\"IPAM\":{\"Driver\":\"default\",\"Config\":null}},{},3]")
          .value();
  const Cidr weave = Cidr::Parse("10.32.0.0/12").value();
  CHECK(pools == std::vector<DockerPool>{{"weavemesh", true, {weave}, {"10.32.0.1", "10.32.0.2"}},
                                         {"weave:latest", false, {Cidr::Parse("10.48.0.0/16").value()}, {}},
                                         {"default", true, {}, {}},
                                         {"", false, {}, {}},
                                         {"", false, {}, {}}});
  for (const char* bad : {"", "{}", "[", "null"}) CHECK(absl::IsInvalidArgument(ParseDockerPools(bad).status()));
}

TEST_CASE("Endpoints lead to the containers that have them", "[host][docker]") {
  const std::string id(64, 'a');
  const std::map<std::string, std::string> endpoints =
      ParseDockerEndpoints(absl::StrCat("[{\"Id\":\"", id,
                                        "\",\"NetworkSettings\":{\"Networks\":{\"weave\":{\"EndpointID\":\"e1\"},"
                                        "\"second\":{\"EndpointID\":\"e2\"},\"none\":{\"EndpointID\":\"\"}}}},"
                                        "{\"Id\":\"../x\",\"NetworkSettings\":{\"Networks\":{\"weave\":{"
                                        "\"EndpointID\":\"e3\"}}}},{\"Id\":\"",
                                        id, "\",\"NetworkSettings\":null}]"))
          .value();
  CHECK(endpoints == std::map<std::string, std::string>{{"e1", id}, {"e2", id}});
  CHECK(absl::IsInvalidArgument(ParseDockerEndpoints("{}").status()));
}

TEST_CASE("Docker's events are read however they are cut, and others skipped", "[host][docker]") {
  const std::string text =
      "{\"status\":\"start\",\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"c1\",\"Attributes\":{"
      "\"a\":"
      "\"b\\n\"}}}\n\r\n{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"n\"}}\n"
      "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"c1\"}}\n"
      "{\"Type\":\"container\",\"Action\":\"exec_start: sh\",\"Actor\":{\"ID\":\"c1\"}}\n"
      "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"../c\"}}\n"
      "{\"Type\":\"container\",\"Action\":\"destroy\",\"Actor\":{\"ID\":\"c1\"}}\n{\"Type\":";
  for (const std::size_t size : {1U, 7U, 4096U}) {
    DockerEventParser parser;
    using Action = DockerEvent::Action;
    CHECK(Feed(parser, text, size) ==
          std::vector<DockerEvent>{{Action::kStart, "c1"}, {Action::kDie, "c1"}, {Action::kDestroy, "c1"}});
  }
}

TEST_CASE("A stream that is none of Docker's events ends, and an event that has no end", "[host][docker]") {
  const auto nothing = [](const DockerEvent&) {};
  CHECK(absl::IsInvalidArgument(DockerEventParser().Feed("<html>\n", nothing)));
  DockerEventParser parser;
  absl::Status status;
  int pieces = 0;
  while (status.ok() && ++pieces < 1000) status = parser.Feed(std::string(1024, 'x'), nothing);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(pieces == DockerEventParser::kMaxEventSize / 1024 + 1);
}

TEST_CASE("Ids of endpoints that could not name an interface are refused", "[host]") {
  CHECK(PluginHostIfname("0123456789abcdef") == "vethwl012345678");
  CHECK(PluginContainerIfname("012345678") == "vethwg012345678");
  for (const char* bad : {"", "01234567", "0123/5678", "0123 5678", "012345678\n"}) CHECK_FALSE(IsEndpointId(bad));
  CHECK_FALSE(IsEndpointId(std::string(256, 'a')));
}

}  // namespace weave
