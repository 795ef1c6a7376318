#include "host/endpoint.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include "host/arp.h"
#include "host/sysctl.h"
#include "io/fd.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

std::string ReadInside(const TestSandbox& sandbox, absl::string_view name) {
  std::string value;
  CHECK(RunIn(sandbox.ns(), [&] {
          absl::StatusOr<std::string> read = ReadSysctl("/proc", name);
          if (read.ok()) value = *read;
          return read.status();
        }).ok());
  return value;
}

// Sees every ARP frame on the bridge.
class ArpListener {
 public:
  explicit ArpListener(int link_index) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ARP))) {
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ARP);
    address.sll_ifindex = link_index;
    CHECK(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }

  // Reads until that frame comes; false when it does not in a time no working system needs.
  bool Hears(const Bytes& frame) {
    pollfd ready = {fd_.get(), POLLIN, 0};
    while (::poll(&ready, 1, 10'000) > 0) {
      Bytes got(2000);
      const ssize_t size = ::recv(fd_.get(), got.data(), got.size(), 0);
      REQUIRE(size > 0);
      got.resize(static_cast<std::size_t>(size));
      if (got == frame) return true;
    }
    return false;
  }

 private:
  Fd fd_;
};

TEST_CASE("Two attached sandboxes reach each other, and have what an overlay interface needs", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge();
  TestSandbox a("1001"), b("1002");
  const Endpoint first = host.Attach(a.Spec({"10.2.1.1/24"}));
  const Endpoint second = host.Attach(b.Spec({"10.2.1.2/24"}));
  CHECK(first.created);
  CHECK(first.host_ifname == "vethwepl1001");
  CHECK(second.host_ifname == "vethwepl1002");
  CHECK(a.CanReach("10.2.1.2"));
  CHECK(b.CanReach("10.2.1.1"));

  const LinkInfo outer = host.Link("vethwepl1001").value();
  CHECK(outer.master_index == bridge.index);
  CHECK(outer.hairpin);
  CHECK(outer.mtu_bytes == 65535);
  CHECK(outer.index == first.host_index);
  Netlink inside = a.Open();
  const LinkInfo inner = inside.FindLink("ethwe").value().value();
  CHECK(inner.mac == first.mac);
  CHECK(inner.index == first.container_index);
  CHECK(inner.mtu_bytes == 65535);
  CHECK(inner.peer_index == first.host_index);
  CHECK(IpCommand("route show 224.0.0.0/4", a.fd()) == "224.0.0.0/4 dev ethwe scope link \n");
  CHECK(ReadInside(a, "net/ipv4/neigh/ethwe/base_reachable_time") == "5");
  CHECK(ReadInside(a, "net/ipv4/neigh/ethwe/ucast_solicit") == "1");
  CHECK(ReadInside(a, "net/ipv6/conf/ethwe/accept_ra") == "0");
  CHECK(ReadSysctl("/proc", "net/ipv6/conf/vethwepl1001/accept_ra").value() == "0");
}

TEST_CASE("Containers in different subnets on one bridge cannot talk", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1"), b("2");
  host.Attach(a.Spec({"10.2.1.1/24"}));
  host.Attach(b.Spec({"10.2.2.1/24"}));
  CHECK_FALSE(TryIn(a.fd(), {"ping", "-n", "-q", "-c", "1", "-W", "1", "10.2.2.1"}).succeeded());
}

TEST_CASE("An MTU, a missing multicast route and a port without hairpin are what was asked for", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge(1400);
  TestSandbox a("1"), b("2");
  EndpointSpec spec = a.Spec({"10.2.1.1/24"});
  spec.multicast_route = false;
  spec.hairpin = false;
  spec.mtu_bytes = 1300;
  host.Attach(spec);
  CHECK(IpCommand("route show 224.0.0.0/4", a.fd()).empty());
  CHECK_FALSE(host.Link("vethwepl1")->hairpin);
  CHECK(a.Open().FindLink("ethwe").value()->mtu_bytes == 1300);
  host.Attach(b.Spec({"10.2.1.2/24"}));
  CHECK(b.Open().FindLink("ethwe").value()->mtu_bytes == 1400);
}

TEST_CASE("Each address is announced to everybody on the bridge", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge();
  ArpListener listener(bridge.index);
  TestSandbox a("1");
  const Endpoint endpoint = host.Attach(a.Spec({"10.2.1.1/24", "10.2.2.1/24"}));
  CHECK(listener.Hears(ArpAnnouncement(endpoint.mac, Ip("10.2.1.1"))));
  CHECK(listener.Hears(ArpAnnouncement(endpoint.mac, Ip("10.2.2.1"))));
}

TEST_CASE("An address that moves to another sandbox is reachable there at once", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1"), b("2"), c("3");
  host.Attach(a.Spec({"10.2.1.1/24"}));
  const Endpoint old_home = host.Attach(b.Spec({"10.2.1.9/24"}));
  REQUIRE(a.CanReach("10.2.1.9"));
  CHECK(DetachSandbox(b.Detach({"10.2.1.9/24"})).ok());
  const Endpoint new_home = host.Attach(c.Spec({"10.2.1.9/24"}));
  CHECK(old_home.mac != new_home.mac);
  CHECK(Eventually(
      [&] { return IpCommand("neigh show 10.2.1.9", a.fd()).find(new_home.mac.ToString()) != std::string::npos; }));
  CHECK(a.CanReach("10.2.1.9"));
}

TEST_CASE("Attaching again changes nothing; a further address joins the interface in its order", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("77");
  const Endpoint first = host.Attach(a.Spec({"10.2.1.1/24", "10.2.2.1/24"}));
  const std::string inside = a.Picture();
  const std::string outside = host.Picture();
  const Endpoint again = host.Attach(a.Spec({"10.2.1.1/24", "10.2.2.1/24"}));
  CHECK_FALSE(again.created);
  CHECK(again.mac == first.mac);
  CHECK(again.host_ifname == first.host_ifname);
  CHECK(a.Picture() == inside);
  CHECK(host.Picture() == outside);
  host.Attach(a.Spec({"10.2.3.1/24"}));
  CHECK(a.Inspect().addresses == std::vector<Cidr>{C("10.2.1.1/24"), C("10.2.2.1/24"), C("10.2.3.1/24")});
}

TEST_CASE("An interface left half made is completed", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge();
  TestSandbox a("77"), b("78");
  // As a crash right after the first step leaves it.
  REQUIRE(
      host.netlink()
          .CreateVeth({.name = "vethwepl77", .peer_name = "ethwe", .peer_ns_fd = a.fd(), .master_index = bridge.index})
          .ok());
  CHECK_FALSE(host.Attach(a.Spec({"10.2.1.1/24"})).created);
  host.Attach(b.Spec({"10.2.1.2/24"}));
  CHECK(a.CanReach("10.2.1.2"));
}

TEST_CASE("A host-side name that is taken gets a variant", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("f000123"), b("f000123"), c("f000123");
  CHECK(host.Attach(a.Spec({"10.2.1.1/24"})).host_ifname == "vethweplf000123");
  CHECK(host.Attach(b.Spec({"10.2.1.2/24"})).host_ifname == "vethweplf0001-1");
  CHECK(host.Attach(c.Spec({"10.2.1.3/24"})).host_ifname == "vethweplf0001-2");
  CHECK(a.CanReach("10.2.1.3"));
  std::vector<std::string> names;
  const std::vector<HostEnd> ends = ListEndpoints(host.netlink(), "weave").value();
  for (const HostEnd& end : ends) names.push_back(end.host_ifname);
  CHECK(names == std::vector<std::string>{"vethweplf0001-1", "vethweplf0001-2", "vethweplf000123"});
}

TEST_CASE("Detaching takes the addresses given; the interface goes with the last", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("5");
  const std::string host_before = host.Picture();
  const std::string before = a.Picture();
  host.Attach(a.Spec({"10.2.1.1/24", "10.2.1.2/24", "10.2.2.1/24"}));
  DetachResult result = DetachSandbox(a.Detach({"10.2.1.1/24", "10.9.9.9/24"})).value();
  CHECK(result.interface_present);
  CHECK(result.remaining == std::vector<Cidr>{C("10.2.2.1/24"), C("10.2.1.2/24")});
  result = DetachSandbox(a.Detach({"10.2.2.1/24", "10.2.1.2/24"})).value();
  CHECK_FALSE(result.interface_present);
  CHECK(a.Picture() == before);
  CHECK(host.Picture() == host_before);
  CHECK(DetachSandbox(a.Detach({"10.2.1.1/24"})).ok());
}

TEST_CASE("The last address may leave while the interface stays, if the caller says so", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("5");
  host.Attach(a.Spec({"10.2.1.1/24"}));
  DetachSpec spec = a.Detach({"10.2.1.1/24"});
  spec.remove_when_empty = false;
  CHECK(DetachSandbox(spec).value().interface_present);
  CHECK(a.Inspect().state == SandboxState::kAttached);
  CHECK(a.Inspect().addresses.empty());
}

TEST_CASE("Inspecting tells a live sandbox from one that has gone, also when its path leads elsewhere now",
          "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("5"), other("6");
  CHECK(a.Inspect().state == SandboxState::kNoInterface);
  const Endpoint endpoint = host.Attach(a.Spec({"10.2.1.1/24"}));
  const SandboxInspection seen = a.Inspect();
  CHECK(seen.state == SandboxState::kAttached);
  CHECK(seen.mac == endpoint.mac);
  CHECK(seen.host_index == endpoint.host_index);
  CHECK(seen.addresses == std::vector<Cidr>{C("10.2.1.1/24")});
  CHECK(InspectSandbox(other.sandbox().netns_path, a.sandbox().netns_inode, kContainerInterface, "/proc")->state ==
        SandboxState::kGone);
  a.End();
  CHECK(a.Inspect().state == SandboxState::kGone);
  CHECK(Eventually([&] { return ListEndpoints(host.netlink(), "weave")->empty(); }));
  CHECK(DetachSandbox(a.Detach({"10.2.1.1/24"})).ok());
}

}  // namespace
}  // namespace weave
