#include "host/host_survey.h"

#include "host/plugin_endpoint.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

// A container that a process is in, so that others can find it.
class Container {
 public:
  explicit Container(const std::string& link_id) : ns_(NetNs::OfPid(process_.pid()).value()) {
    spec_.sandbox = {.ident = link_id,
                     .netns_path = absl::StrCat("/proc/", process_.pid(), "/ns/net"),
                     .netns_inode = ns_.inode(),
                     .display = link_id,
                     .link_id = link_id};
  }

  EndpointSpec Spec(const std::string& address, const std::string& alias) const {
    EndpointSpec spec = spec_;
    spec.addresses = {C(address)};
    spec.alias = alias;
    return spec;
  }
  int fd() const { return ns_.fd(); }

 private:
  IdleProcess process_;
  NetNs ns_;
  EndpointSpec spec_;
};

HostSurvey Survey(HostWorld& host) {
  absl::StatusOr<std::optional<HostSurvey>> survey =
      SurveyHost(host.netlink(), "weave", "", /*thorough=*/true, "/proc");
  INFO(survey.status());
  REQUIRE(survey.ok());
  return **survey;
}

TEST_CASE("A survey tells what containers on the bridge have, and whose they are", "[host][survey]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  CHECK(Survey(host).ports.empty());  // there is no bridge yet
  host.MakeBridge();
  IpCommand("addr add 10.32.0.9/24 dev weave");
  Container web("web"), db("db");
  host.Attach(web.Spec("10.32.0.1/24", "web@net/eth0"));
  host.Attach(db.Spec("10.32.0.2/24", ""));
  IpCommand("addr add 10.99.0.1/24 dev lo", db.fd());
  const HostSurvey survey = Survey(host);
  CHECK(survey.complete);
  REQUIRE(survey.ports.size() == 2);
  CHECK(survey.ports[0].host.host_ifname == "vethwepldb");
  CHECK(survey.ports[1].host.alias == "web@net/eth0");
  CHECK(survey.ports[1].container.value().addresses == std::vector<Cidr>{C("10.32.0.1/24")});
  CHECK(survey.ports[1].container->mac ==
        Netlink::OpenIn(NetNs::Open(web.Spec("10.0.0.1/8", "").sandbox.netns_path).value())
            .value()
            .FindLink("ethwe")
            .value()
            ->mac);
  CHECK(survey.aliases == std::set<std::string>{"web@net/eth0"});
  for (const char* present : {"10.32.0.9", "10.32.0.1", "10.32.0.2", "10.99.0.1"})
    CHECK(survey.present.contains(Ip(present)));
}

TEST_CASE("Containers are not looked into while the ports are the same", "[host][survey]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  Container web("web");
  const Endpoint endpoint = host.Attach(web.Spec("10.32.0.1/24", ""));
  const std::string known = Survey(host).ports_digest;
  CHECK_FALSE(SurveyHost(host.netlink(), "weave", known, false, "/proc").value().has_value());
  CHECK(SurveyHost(host.netlink(), "weave", known, true, "/proc").value()->ports_digest == known);
  const auto differs = [&] { return SurveyHost(host.netlink(), "weave", known, false, "/proc").value().has_value(); };
  REQUIRE(host.netlink().SetMaster(endpoint.host_index, 0).ok());
  CHECK(differs());
  REQUIRE(host.netlink().SetMaster(endpoint.host_index, host.Link("weave")->index).ok());
  CHECK_FALSE(differs());
  REQUIRE(host.netlink().SetAlias(endpoint.host_index, "web@net/eth0").ok());
  CHECK(differs());
}

TEST_CASE("An interface that left the bridge still says whose it is, and has its address", "[host][survey]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  Container web("web");
  const Endpoint endpoint = host.Attach(web.Spec("10.32.0.1/24", "web@net/eth0"));
  REQUIRE(host.netlink().SetMaster(endpoint.host_index, 0).ok());
  const HostSurvey survey = Survey(host);
  CHECK(survey.ports.empty());
  CHECK(survey.aliases.contains("web@net/eth0"));
  CHECK(survey.present.contains(Ip("10.32.0.1")));
}

TEST_CASE("A container that no path leads to makes a survey incomplete, a pair that is not handed out yet does not",
          "[host][survey]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  REQUIRE(CreatePluginEndpoint(host.netlink(), {.endpoint_id = "0123456789", .mac = {}}).ok());
  HostSurvey survey = Survey(host);
  CHECK(survey.complete);
  REQUIRE(survey.ports.size() == 1);
  CHECK_FALSE(survey.ports[0].container.has_value());
  TestSandbox hidden("1");
  host.Attach(hidden.Spec({"10.32.0.1/24"}));
  survey = Survey(host);
  CHECK_FALSE(survey.complete);
  CHECK(survey.ports.size() == 2);
}

TEST_CASE("What namespaces without an interface of this host have is not its business", "[host][survey]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  Container stranger("stranger");
  IpCommand("addr add 10.32.0.1/24 dev lo", stranger.fd());
  CHECK_FALSE(Survey(host).present.contains(Ip("10.32.0.1")));
}

}  // namespace
}  // namespace weave
