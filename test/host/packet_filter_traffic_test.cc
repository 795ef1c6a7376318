// What the rules do to packets: a host with the weave bridge and Docker's, a container on each, and a neighbour
// outside.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/fd.h"
#include "test/host/packet_filter_world.h"

namespace weave {
namespace {

using World = PacketFilterWorld;

// The host is the thread's own namespace; `box`, `docker` and `outside` are named ones in our private /run.
class Hosts {
 public:
  Hosts() {
    World::Run("ip link add weave type bridge && ip link set weave up");
    World::Run("ip link add docker0 type bridge && ip link set docker0 up && ip addr add 172.30.0.1/24 dev docker0");
    AddHost("box", "10.32.0.2/24", "master weave");
    AddHost("docker", "172.30.0.2/24", "master docker0");
    AddHost("outside", "192.0.2.2/24", "");
    World::Run("ip addr add 192.0.2.1/24 dev voutside");
    World::Run("ip addr add 10.32.0.1/24 dev weave");
    World::Run(
        "ip -n box route add default via 10.32.0.1 && ip -n docker route add default via 172.30.0.1 && "
        "ip -n outside route add 10.32.0.0/24 via 192.0.2.1");
    World::Run("echo 1 > /proc/sys/net/ipv4/ip_forward");
  }

  static bool Pings(const std::string& from, const std::string& to) {
    const std::string enter = from.empty() ? "" : "ip netns exec " + from + " ";
    return World::TryToRun(enter + "ping -c 1 -W 1 " + to).succeeded();
  }

  static void AddHost(const std::string& name, const std::string& address, const std::string& placement) {
    World::Run(absl::StrCat("ip netns add ", name, " && ip link add v", name, " type veth peer name eth0 netns ", name,
                            " && ip -n ", name, " addr add ", address, " dev eth0 && ip -n ", name,
                            " link set eth0 up && ip link set v", name, " ", placement, " up"));
  }
};

// Connects from a namespace: "refused" and "connected" tell that packets arrive, "silence" that they do not.
std::string Connect(const std::string& from, const std::string& address, std::uint16_t port) {
  std::string result;
  std::thread([&] {
    const Fd netns(::open(("/run/netns/" + from).c_str(), O_RDONLY | O_CLOEXEC));
    if (::setns(netns.get(), CLONE_NEWNET) != 0) return;
    const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    pollfd ready{fd.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 700) == 0) {
      result = "silence";
      return;
    }
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    result = error == 0 ? "connected" : error == ECONNREFUSED ? "refused" : "unreachable";
  }).join();
  return result;
}

FirewallConfig Config(bool exposed, bool masquerade = true) {
  FirewallConfig config;
  config.docker_bridge = "docker0";
  config.docker_bridge_address = IpAddress::Parse("172.30.0.1").value();
  if (exposed) config.exposures = {{Cidr::Parse("10.32.0.1/24").value(), masquerade}};
  return config;
}

TEST_CASE("Exposing lets others in and masquerades, without masquerading only lets in", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  const World world;
  if (!World::Has(FirewallBackend::kNft)) return;
  const Hosts hosts;
  const PacketFilter filter = World::Filter(FirewallBackend::kNft);
  World::Run("iptables-nft -P FORWARD DROP");  // as dockerd sets it

  REQUIRE(filter.Apply(BuildRuleSet(Config(false)).value()).ok());
  CHECK(Hosts::Pings("", "10.32.0.2"));
  CHECK(Hosts::Pings("box", "192.0.2.2"));  // weave to the world, answers come back
  CHECK_FALSE(Hosts::Pings("outside", "10.32.0.2"));

  REQUIRE(filter.Apply(BuildRuleSet(Config(true, false)).value()).ok());
  CHECK(Hosts::Pings("outside", "10.32.0.2"));
  World::Run("ip -n outside route del 10.32.0.0/24");
  CHECK_FALSE(Hosts::Pings("box", "192.0.2.2"));  // the neighbour knows no way back

  REQUIRE(filter.Apply(BuildRuleSet(Config(true)).value()).ok());
  CHECK(Hosts::Pings("box", "192.0.2.2"));  // the host's address stands for the container's

  REQUIRE(filter.Remove({}).ok());
  CHECK_FALSE(Hosts::Pings("box", "192.0.2.2"));
}

TEST_CASE("Docker's containers reach neither the weave network nor our ports, and DNS they do", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : {FirewallBackend::kNft, FirewallBackend::kLegacy}) {
    const World world;
    if (!World::Has(backend)) continue;
    const Hosts hosts;
    const PacketFilter filter = World::Filter(backend);
    CHECK(Hosts::Pings("docker", "10.32.0.2"));
    CHECK(Connect("docker", "172.30.0.1", 6783) == "refused");

    REQUIRE(filter.Apply(BuildRuleSet(Config(true)).value()).ok());
    CHECK_FALSE(Hosts::Pings("docker", "10.32.0.2"));
    CHECK(Connect("docker", "172.30.0.1", 6783) == "silence");
    CHECK(Connect("docker", "172.30.0.1", 53) == "refused");
    CHECK(Connect("box", "10.32.0.1", 6783) == "refused");
  }
}

TEST_CASE("A connection lives on while the rules are changed and repeated under it", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  const World world;
  if (!World::Has(FirewallBackend::kNft)) return;
  const Hosts hosts;
  const PacketFilter filter = World::Filter(FirewallBackend::kNft);
  World::Run("iptables-nft -P FORWARD DROP && ip -n outside route del 10.32.0.0/24");
  REQUIRE(filter.Apply(BuildRuleSet(Config(true)).value()).ok());
  SubprocessResult ping;
  std::thread pinging([&] { ping = World::TryToRun("ip netns exec box ping -q -i 0.02 -c 50 -W 1 192.0.2.2"); });
  for (int i = 0; i < 10; ++i) {
    FirewallConfig config = Config(true);
    if (i % 2 == 0) config.exposures.push_back({Cidr::Parse("10.40.0.1/16").value(), true});
    CHECK(filter.Apply(BuildRuleSet(config).value()).ok());
    World::TryToRun("iptables-nft -D FORWARD 2");
  }
  CHECK(filter.Apply(BuildRuleSet(Config(true)).value()).ok());
  pinging.join();
  CHECK_THAT(ping.output, Catch::Contains("50 received"));
}

TEST_CASE("A container's interface drops multicast from other subnets", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  const World world;
  if (!World::Has(FirewallBackend::kNft)) return;
  const Hosts hosts;
  World::Run("ip netns exec box sh -c 'echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts'");
  Hosts::AddHost("friend", "10.32.0.3/24", "master weave");
  Hosts::AddHost("stranger", "10.50.0.3/24", "master weave");
  World::Run("ip -n box route add 10.50.0.0/24 dev eth0");
  const auto heard_from = [](const char* sender) {
    return World::TryToRun(absl::StrCat("ip netns exec ", sender, " ping -c 1 -W 1 -I eth0 224.0.0.1")).succeeded();
  };
  const Fd netns(::open("/run/netns/box", O_RDONLY | O_CLOEXEC));
  const PacketFilter filter = World::Filter(FirewallBackend::kNft);
  CHECK(heard_from("friend"));
  CHECK(heard_from("stranger"));
  REQUIRE(filter.ApplyInSandbox(netns.get(), "eth0", {Cidr::Parse("10.32.0.2/24").value()}).ok());
  CHECK(heard_from("friend"));
  CHECK_FALSE(heard_from("stranger"));
}

}  // namespace
}  // namespace weave
