#include "host/bridge.h"

#include "host/sysctl.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

std::vector<std::string> Texts(const absl::StatusOr<std::vector<Cidr>>& cidrs) {
  std::vector<std::string> texts;
  for (const Cidr& cidr : cidrs.value()) texts.push_back(cidr.ToString());
  return texts;
}

TEST_CASE("A missing bridge is made with the peer's MAC, the largest MTU, up, and deaf to router advertisements",
          "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState state = host.MakeBridge();
  CHECK(state.created);
  CHECK(state.mac == Mac("8e:01:02:03:04:05"));
  const LinkInfo link = host.Link("weave").value();
  CHECK(link.kind == "bridge");
  CHECK(link.up);
  CHECK(link.mac == Mac("8e:01:02:03:04:05"));
  CHECK(link.mtu_bytes == 65535);
  CHECK(ReadSysctl("/proc", "net/ipv4/neigh/weave/base_reachable_time").value() == "5");
  CHECK(ReadSysctl("/proc", "net/ipv4/neigh/weave/delay_first_probe_time").value() == "2");
  CHECK(ReadSysctl("/proc", "net/ipv4/neigh/weave/ucast_solicit").value() == "1");
  if (absl::StatusOr<std::string> accept_ra = ReadSysctl("/proc", "net/ipv6/conf/weave/accept_ra"); accept_ra.ok())
    CHECK(*accept_ra == "0");
}

TEST_CASE("Asking for the bridge again changes nothing and says that it was there", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState first = host.MakeBridge(1410);
  const std::string before = host.Picture();
  const BridgeState second = host.MakeBridge(1410);
  CHECK_FALSE(second.created);
  CHECK(second.index == first.index);
  CHECK(host.Picture() == before);
}

TEST_CASE("A Linux bridge of somebody else is adopted: its MAC stays whatever joins it, MTU and state are ours",
          "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  IpCommand("link add weave type bridge");
  const MacAddress mac = host.Link("weave")->mac.value();
  const BridgeState state = host.MakeBridge(1400);
  CHECK_FALSE(state.created);
  CHECK(state.mac == mac);
  IpCommand("link add low address 02:00:00:00:00:01 type veth peer name low-peer");
  IpCommand("link set low master weave up");  // a bridge without a MAC of its own takes its lowest port's
  const LinkInfo link = host.Link("weave").value();
  CHECK(link.mac == mac);
  CHECK(link.mtu_bytes == 1400);
  CHECK(link.up);
}

TEST_CASE("Where the MTU follows containers, it is theirs as long as there are any", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  BridgeSpec spec{.kind = BridgeKind::kBridgedFastdp, .mac = Mac("8e:01:02:03:04:05"), .mtu_follows_containers = true};
  const auto ensure = [&](std::uint32_t mtu_bytes) {
    spec.mtu_bytes = mtu_bytes;
    return EnsureBridge(host.netlink(), spec).value();
  };
  CHECK(ensure(0).mtu_bytes == 1376);
  CHECK(ensure(8950).mtu_bytes == 8950);
  CHECK(ensure(1450).mtu_bytes == 1450);
  CHECK_FALSE(ensure(8950).has_containers);

  IpCommand("link add vethwepl1 mtu 8950 type veth peer name c1 mtu 8950");
  IpCommand("link set vethwepl1 master weave");
  const BridgeState kept = ensure(1376);
  CHECK(kept.mtu_bytes == 8950);
  CHECK(kept.has_containers);
  IpCommand("link add vethwl2 mtu 1450 type veth peer name c2 mtu 1450");
  IpCommand("link set vethwl2 master weave");
  CHECK(ensure(8950).mtu_bytes == 1450);
  IpCommand("link set vethwl2 mtu 600");  // somebody's own wish is not everybody's
  CHECK(ensure(8950).mtu_bytes == 1376);
  IpCommand("link del vethwl2");

  // A bridge that has to be made again finds its containers beside it.
  IpCommand("link del weave");
  CHECK(ensure(0).mtu_bytes == 8950);
  CHECK(host.Link("vethwepl1")->master_index == host.Link("weave")->index);
  IpCommand("link del vethwepl1");
  CHECK(ensure(1376).mtu_bytes == 1376);
}

TEST_CASE("A bridge name taken by another kind of device is refused by name and kind and left alone",
          "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"link add weave type veth peer name other", "veth"},
      {"link add base type veth peer name base-peer; ip link add link base name weave type macvlan", "macvlan"},
      {"tuntap add dev weave mode tap", "tun"},
  };
  for (const auto& [command, kind] : rows) {
    HostWorld host;
    IpCommand(command);
    const std::string before = host.Picture();
    const absl::Status status = EnsureBridge(host.netlink(), {.mac = Mac("02:00:00:00:00:09")}).status();
    INFO(status);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(std::string(status.message()) ==
          "cannot use \"weave\" as the bridge: a device of that name exists and is not a "
          "bridge but of kind \"" +
              kind + "\"");
    CHECK(absl::IsFailedPrecondition(RemoveBridge(host.netlink(), "weave")));
    CHECK(host.Picture() == before);
  }
}

TEST_CASE("A bridge name no link can have is refused with what is accepted", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  for (const char* name : {"", "a-name-too-long-", "with blank", "a/b", "..", "a:b"}) {
    BridgeSpec spec;
    spec.name = name;
    const absl::Status status = EnsureBridge(host.netlink(), spec).status();
    INFO(status);
    CHECK(absl::IsInvalidArgument(status));
  }
}

TEST_CASE("A bridge that could not be configured is taken away again", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const std::string before = host.Picture();
  const absl::Status status =
      EnsureBridge(host.netlink(), {.mac = Mac("02:00:00:00:00:09"), .proc_path = "/nowhere"}).status();
  INFO(status);
  CHECK_FALSE(status.ok());
  CHECK(std::string(status.message()).find("/nowhere") != std::string::npos);
  CHECK(host.Picture() == before);
}

TEST_CASE("An MTU the kernel cannot give is an error in its words", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const absl::Status status =
      EnsureBridge(host.netlink(), {.mac = Mac("02:00:00:00:00:09"), .mtu_bytes = 70000}).status();
  INFO(status);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(std::string(status.message()).find("mtu greater than device maximum") != std::string::npos);
}

TEST_CASE("Removing the bridge removes our interfaces and it, frees others, and may be repeated", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  TestSandbox sandbox("4711");
  const std::string host_before = host.Picture();
  const std::string sandbox_before = sandbox.Picture();
  CHECK(RemoveBridge(host.netlink(), "weave").ok());
  host.MakeBridge();
  host.Attach(sandbox.Spec({"10.2.1.1/24"}));
  IpCommand("link add vethwe-bridge type veth peer name vethwe-pcap");
  IpCommand("link set vethwe-bridge master weave");
  IpCommand("link add vethwepllost type veth peer name lostpeer");  // its bridge has gone
  IpCommand("link add theirs type veth peer name theirs-peer");
  IpCommand("link set theirs master weave");
  CHECK(RemoveBridge(host.netlink(), "weave").ok());
  CHECK(host.Link("theirs").value().master_index == 0);
  IpCommand("link del theirs");
  CHECK(host.Picture() == host_before);
  CHECK(sandbox.Picture() == sandbox_before);
  CHECK(RemoveBridge(host.netlink(), "weave").ok());
}

TEST_CASE("A bridge somebody deleted comes back with its containers on it", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1"), b("2");
  host.Attach(a.Spec({"10.2.1.1/24"}));
  host.Attach(b.Spec({"10.2.1.2/24"}));
  IpCommand("link del weave");
  CHECK(host.MakeBridge().created);
  CHECK(ListEndpoints(host.netlink(), "weave").value().size() == 2);
  CHECK(a.CanReach("10.2.1.2"));
}

TEST_CASE("The kind of bridge is read from the two devices", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  CHECK(DetectBridgeKind(host.netlink(), "weave", "datapath").value() == BridgeKind::kNone);
  host.MakeBridge();
  CHECK(DetectBridgeKind(host.netlink(), "weave", "datapath").value() == BridgeKind::kBridge);
  CHECK(DetectBridgeKind(host.netlink(), "weave", "weave").value() == BridgeKind::kBridge);
  // A datapath that is gone has left the port that it had beside the bridge.
  IpCommand("link add vethwe-bridge type veth peer name vethwe-datapath");
  CHECK(DetectBridgeKind(host.netlink(), "weave", "datapath").value() == BridgeKind::kBridgedFastdp);
  IpCommand("link del vethwe-bridge");
  IpCommand("link add datapath type veth peer name other");
  const absl::Status status = DetectBridgeKind(host.netlink(), "weave", "datapath").status();
  INFO(status);
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(std::string(status.message()).find("weave reset") != std::string::npos);
  CHECK(absl::IsFailedPrecondition(DetectBridgeKind(host.netlink(), "absent", "weave").status()));
}

TEST_CASE("Addresses of the bridge come and go, repeatedly, without disturbing each other", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  CHECK(absl::IsNotFound(ListBridgeAddresses(host.netlink(), "weave").status()));
  CHECK(RemoveBridgeAddress(host.netlink(), "weave", C("10.2.1.100/24")).value() == false);
  host.MakeBridge();
  CHECK(AddBridgeAddress(host.netlink(), "weave", C("10.2.1.100/24")).value());
  CHECK_FALSE(AddBridgeAddress(host.netlink(), "weave", C("10.2.1.100/24")).value());
  CHECK(AddBridgeAddress(host.netlink(), "weave", C("10.2.1.101/24")).value());
  CHECK(AddBridgeAddress(host.netlink(), "weave", C("10.2.2.1/24")).value());
  CHECK(Texts(ListBridgeAddresses(host.netlink(), "weave")) ==
        std::vector<std::string>{"10.2.1.100/24", "10.2.2.1/24", "10.2.1.101/24"});
  // The first of a subnet takes the others with it, if nobody puts them back.
  CHECK(RemoveBridgeAddress(host.netlink(), "weave", C("10.2.1.100/24")).value());
  CHECK(Texts(ListBridgeAddresses(host.netlink(), "weave")) ==
        std::vector<std::string>{"10.2.2.1/24", "10.2.1.101/24"});
  CHECK_FALSE(RemoveBridgeAddress(host.netlink(), "weave", C("10.2.1.100/24")).value());
}

TEST_CASE("An address of another interface of this host is not put on the bridge too", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  IpCommand("link add uplink type veth peer name uplink-peer");
  IpCommand("addr add 10.2.1.100/16 dev uplink");
  const absl::Status status = AddBridgeAddress(host.netlink(), "weave", C("10.2.1.100/24")).status();
  CHECK(absl::IsAlreadyExists(status));
  CHECK(std::string(status.message()) ==
        "cannot give 10.2.1.100/24 to bridge \"weave\": 10.2.1.100/16 is already on \"uplink\" of this host");
}

TEST_CASE("The MAC of an existing bridge is there to be the peer's name", "[host][bridge]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  CHECK_FALSE(FindBridgeMac(host.netlink(), "weave").value().has_value());
  host.MakeBridge();
  CHECK(FindBridgeMac(host.netlink(), "weave").value() == Mac("8e:01:02:03:04:05"));
}

}  // namespace
}  // namespace weave
