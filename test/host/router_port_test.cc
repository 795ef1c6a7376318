#include "host/router_port.h"

#include "host/sysctl.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

TEST_CASE("The bridge's port to the router is made, up, with the bridge's MTU, and takes no part in the host",
          "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge(1410);
  const RouterPort port = EnsureRouterPort(host.netlink(), bridge).value();
  CHECK(port.created);
  const LinkInfo in_bridge = host.Link("vethwe-bridge").value();
  const LinkInfo pcap = host.Link("vethwe-pcap").value();
  CHECK(port.router_index == pcap.index);
  CHECK(in_bridge.master_index == bridge.index);
  CHECK(pcap.master_index == 0);
  for (const LinkInfo& end : {in_bridge, pcap}) {
    CHECK(end.up);
    CHECK(end.mtu_bytes == 1410);
    CHECK(ReadSysctl("/proc", "net/ipv4/conf/" + end.name + "/arp_ignore").value() == "8");
  }
}

TEST_CASE("The router's port is adopted as it is, and mended where it differs", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge(1410);
  const RouterPort first = EnsureRouterPort(host.netlink(), bridge).value();
  const std::string before = host.Picture();
  CHECK_FALSE(EnsureRouterPort(host.netlink(), bridge)->created);
  CHECK(host.Picture() == before);
  IpCommand("link set vethwe-bridge nomaster");
  IpCommand("link set vethwe-pcap mtu 1300 down");
  const RouterPort again = EnsureRouterPort(host.netlink(), bridge).value();
  CHECK_FALSE(again.created);
  CHECK(again.router_index == first.router_index);
  CHECK(host.Picture() == before);
}

TEST_CASE("What is no datapath is not taken for one, and nothing is connected to it", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge(1376);
  const std::string before = host.Picture();
  CHECK(absl::IsNotFound(ConnectDatapath(host.netlink(), bridge, "datapath")));
  CHECK(host.Picture() == before);
  IpCommand("link add datapath type bridge");
  const std::string with_bridge = host.Picture();
  CHECK(ConnectDatapath(host.netlink(), bridge, "datapath") ==
        absl::FailedPreconditionError("cannot use \"datapath\" as the datapath: it is a device of kind \"bridge\""));
  CHECK(host.Picture() == with_bridge);
  CHECK(EnsureBridge(host.netlink(), {.kind = BridgeKind::kFastdp, .mac = {}}).status().code() ==
        absl::StatusCode::kFailedPrecondition);  // "weave" is a Linux bridge
}

TEST_CASE("Half a pair is replaced, another kind of device is left alone", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge(1410);
  IpCommand("link add vethwe-bridge type veth peer name other");
  CHECK(EnsureRouterPort(host.netlink(), bridge)->created);
  CHECK_FALSE(host.Link("other").has_value());

  HostWorld taken;
  const BridgeState second = taken.MakeBridge(1410);
  IpCommand("tuntap add dev vethwe-pcap mode tap");
  const absl::Status refused = EnsureRouterPort(taken.netlink(), second).status();
  CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(refused.message() == "cannot use \"vethwe-pcap\": a device of that name exists and is not a veth");
  CHECK(taken.Link("vethwe-pcap").has_value());
}

}  // namespace
}  // namespace weave
