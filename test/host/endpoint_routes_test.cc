#include "host/endpoint.h"

#include "test/host/host_world.h"

namespace weave {
namespace {

EndpointRoute Via(absl::string_view destination, absl::string_view gateway) { return {C(destination), Ip(gateway)}; }

TEST_CASE("An interface gets its routes; a gateway elsewhere is made reachable first", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1");
  EndpointSpec spec = a.Spec({"10.2.1.1/24"});
  spec.multicast_route = false;
  spec.routes = {Via("0.0.0.0/0", "10.2.9.1"), Via("10.7.3.2/16", "10.2.1.254"), {C("10.8.0.0/16"), std::nullopt}};
  const Endpoint endpoint = host.Attach(spec);
  CHECK(endpoint.routes == spec.routes);
  CHECK(IpCommand("route show dev ethwe", a.fd()) ==
        "default via 10.2.9.1 \n"
        "10.2.1.0/24 proto kernel scope link src 10.2.1.1 \n"
        "10.2.9.1 scope link \n"
        "10.7.0.0/16 via 10.2.1.254 \n"
        "10.8.0.0/16 scope link \n");
  const std::string before = a.Picture();
  host.Attach(spec);
  CHECK(a.Picture() == before);
}

TEST_CASE("A route that the sandbox has is left to it, and not counted as the interface's", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1");
  IpCommand("route add default dev lo", a.fd());
  EndpointSpec spec = a.Spec({"10.2.1.1/24"});
  spec.routes = {Via("0.0.0.0/0", "10.2.1.254"), Via("10.7.0.0/16", "10.2.1.254")};
  CHECK(host.Attach(spec).routes == std::vector<EndpointRoute>{spec.routes[1]});
  CHECK(IpCommand("route show default", a.fd()) == "default dev lo scope link \n");
}

TEST_CASE("A route that cannot be undoes the attaching", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1");
  IpCommand("route add unreachable 10.2.9.1", a.fd());
  const std::string outside = host.Picture(), inside = a.Picture();
  EndpointSpec spec = a.Spec({"10.2.1.1/24"});
  spec.routes = {Via("10.6.0.0/16", "10.2.8.1"), Via("10.7.0.0/16", "10.2.9.1")};
  CHECK_FALSE(AttachSandbox(host.netlink(), spec).ok());
  CHECK(host.Picture() == outside);
  CHECK(a.Picture() == inside);
  // Of an interface that was there, what was added goes again.
  host.Attach(a.Spec({"10.2.1.1/24"}));
  const std::string attached = a.Picture();
  CHECK_FALSE(AttachSandbox(host.netlink(), spec).ok());
  CHECK(a.Picture() == attached);
}

TEST_CASE("The host's end says whose it is, and nobody else adopts it", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1"), b("2");
  EndpointSpec spec = a.Spec({"10.2.1.1/24"});
  spec.alias = "web@weave/eth0";
  const Endpoint endpoint = host.Attach(spec);
  host.Attach(b.Spec({"10.2.1.2/24"}));
  const std::vector<HostEnd> ends = ListEndpoints(host.netlink(), "weave").value();
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].alias == "web@weave/eth0");
  CHECK(ends[1].alias.empty());

  const std::optional<EndpointEnds> found = FindEndpoint(host.netlink(), a.ns(), "ethwe").value();
  REQUIRE(found.has_value());
  CHECK(found->host.index == endpoint.host_index);
  CHECK(found->host.alias == "web@weave/eth0");
  CHECK(found->container.index == endpoint.container_index);
  CHECK_FALSE(FindEndpoint(host.netlink(), a.ns(), "eth0")->has_value());
  CHECK_FALSE(FindEndpoint(host.netlink(), a.ns(), "lo")->has_value());

  spec.alias = "db@weave/eth0";
  const absl::Status refused = AttachSandbox(host.netlink(), spec).status();
  CHECK(absl::IsAlreadyExists(refused));
  CHECK(std::string(refused.message()).find("is that of web@weave/eth0") != std::string::npos);
  spec.alias = std::string(kMaxLinkAliasSize + 1, 'a');
  CHECK(absl::IsInvalidArgument(AttachSandbox(host.netlink(), spec).status()));
}

}  // namespace
}  // namespace weave
