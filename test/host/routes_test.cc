#include "host/routes.h"

#include "test/host/host_world.h"

namespace weave {
namespace {

std::string Overlap(HostWorld& host, absl::string_view range) {
  std::optional<RouteOverlap> overlap = FindRouteOverlap(host.netlink(), C(range), "weave").value();
  return overlap ? overlap->ToString() : "";
}

TEST_CASE("A range collides with routes inside and around it, not with default routes and not with the bridge's",
          "[host][routes]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  IpCommand("link add eth0 type veth peer name eth0-peer");
  IpCommand("link set eth0 up");
  IpCommand("addr add 192.168.7.2/24 dev eth0");
  IpCommand("route add default via 192.168.7.1");
  IpCommand("route add 10.40.5.0/24 via 192.168.7.1");
  IpCommand("route add blackhole 172.20.0.0/16");
  IpCommand("addr add 10.32.0.1/12 dev weave");
  IpCommand("route add 10.99.0.0/16 dev eth0 table 100");

  CHECK(Overlap(host, "10.32.0.0/12") == "10.40.5.0/24 dev eth0");        // a route inside the range
  CHECK(Overlap(host, "192.168.7.128/25") == "192.168.7.0/24 dev eth0");  // a range inside the route
  CHECK(Overlap(host, "10.40.5.0/24") == "10.40.5.0/24 dev eth0");        // the same
  CHECK(Overlap(host, "172.16.0.0/12") == "172.20.0.0/16");               // no device
  CHECK(Overlap(host, "10.48.0.0/12") == "");                             // beside the bridge's and eth0's
  CHECK(Overlap(host, "10.36.0.0/16") == "");                             // only the bridge's own route contains it
  CHECK(Overlap(host, "10.99.0.0/16") == "");                             // in another table
  CHECK(FindRouteOverlap(host.netlink(), C("10.36.0.0/16"), "absent").value()->ToString() == "10.32.0.0/12 dev weave");

  CHECK(FindRouteTo(host.netlink(), Ip("10.40.5.9"), "weave").value()->ToString() == "10.40.5.0/24 dev eth0");
  CHECK_FALSE(FindRouteTo(host.netlink(), Ip("10.40.6.9"), "weave").value().has_value());
  CHECK_FALSE(FindRouteTo(host.netlink(), Ip("10.33.0.9"), "weave").value().has_value());
}

}  // namespace
}  // namespace weave
