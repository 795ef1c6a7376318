#include "host/frame_gate.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/bytes.h"
#include "host/arp.h"
#include "io/fd.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

constexpr std::size_t kMarkSize = 4;

Bytes Concat(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// From some container to everybody, so that a bridge takes it everywhere.
Bytes Frame(std::uint16_t type, const Bytes& payload) {
  Bytes frame(6, 0xff);
  frame = Concat(frame, {0x02, 0x00, 0x00, 0x00, 0x00, 0x01});
  frame = Concat(frame, {static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type)});
  return Concat(frame, payload);
}

Bytes Ipv4(const char* source, const char* destination) {
  // The mark that is appended is its payload: a bridge that filters cuts off what is behind the packet.
  Bytes header = {0x45, 0, 0, 20 + kMarkSize, 0, 0, 0, 0, 64, 253, 0, 0};
  header = Concat(Concat(header, Ip(source).ToBytes()), Ip(destination).ToBytes());
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < header.size(); i += 2) sum += static_cast<std::uint32_t>(header[i] << 8 | header[i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  header[10] = static_cast<std::uint8_t>(~sum >> 8);
  header[11] = static_cast<std::uint8_t>(~sum);
  return Frame(ETH_P_IP, header);
}

Bytes Ipv6() {
  Bytes header = {0x60, 0, 0, 0, 0, kMarkSize, 59, 64};  // no next header
  header.resize(40);
  return Frame(ETH_P_IPV6, header);
}

Bytes Arp(const char* sender, const char* target) {
  Bytes frame = ArpAnnouncement(Mac("02:00:00:00:00:01"), Ip(sender));
  const Bytes address = Ip(target).ToBytes();
  std::copy(address.begin(), address.end(), frame.end() - 4);
  return frame;
}

Bytes Tagged(Bytes frame) {
  const Bytes tag = {0x81, 0x00, 0x00, 0x05};
  frame.insert(frame.begin() + 12, tag.begin(), tag.end());
  return frame;
}

// A container's interface, on which frames are written and read as they are.
class Wire {
 public:
  explicit Wire(const TestSandbox& sandbox) {
    WEAVE_CHECK(RunIn(sandbox.ns(), [&]() -> absl::Status {
                  fd_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
                  return absl::OkStatus();
                }).ok());
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = sandbox.Inspect().container_index;
    WEAVE_CHECK(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }

  void Send(const Bytes& frame) {
    REQUIRE(::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
  }

  // The mark of the next frame that ends with one of these; 0: none comes in a time no working system needs.
  int NextMark(const std::vector<int>& marks) {
    pollfd readable = {fd_.get(), POLLIN, 0};
    while (::poll(&readable, 1, 20'000) == 1) {
      std::uint8_t buffer[2048];
      const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (size < static_cast<ssize_t>(kMarkSize)) continue;
      for (const int mark : marks)
        if (std::equal(buffer + size - kMarkSize, buffer + size, Mark(mark).begin())) return mark;
    }
    return 0;
  }

  static Bytes Mark(int mark) {
    return {0xab, 0xcd, static_cast<std::uint8_t>(mark >> 8), static_cast<std::uint8_t>(mark)};
  }

 private:
  Fd fd_;
};

// Two containers in one bridge, the first of them kept to `subnets`.
class GatedWorld {
 public:
  explicit GatedWorld(const std::vector<Cidr>& subnets) {
    host_.MakeBridge();
    const Endpoint endpoint = host_.Attach(gated_.Spec({"10.3.1.1/24"}));
    host_.Attach(other_.Spec({"10.3.1.2/24"}));
    const absl::Status set = SetFrameGate(host_.netlink(), endpoint.host_index, subnets);
    INFO(set);
    REQUIRE(set.ok());
    from_gated_.emplace(gated_);
    from_other_.emplace(other_);
  }

  // Out of the gated container, and the other way round.
  bool Leaves(const Bytes& frame) { return Passes(*from_gated_, *from_other_, frame); }
  bool Enters(const Bytes& frame) { return Passes(*from_other_, *from_gated_, frame); }

 private:
  // A second frame, which may pass, comes after the first: what is not there by then does not come.
  bool Passes(Wire& from, Wire& to, const Bytes& frame) {
    const int mark = ++last_mark_;
    const int end = ++last_mark_;
    from.Send(Concat(frame, Wire::Mark(mark)));
    from.Send(Concat(Arp("10.3.1.7", "10.3.1.8"), Wire::Mark(end)));
    const int first = to.NextMark({mark, end});
    REQUIRE(first != 0);
    return first == mark;
  }

  HostWorld host_;
  TestSandbox gated_{"1"}, other_{"2"};
  std::optional<Wire> from_gated_, from_other_;
  int last_mark_ = 0;
};

TEST_CASE("Through a gate goes what is between addresses of the subnet, either way", "[host][gate]") {
  if (!HostWorld::Possible()) return;
  GatedWorld world({C("10.3.1.0/24")});
  const std::vector<std::pair<const char*, Bytes>> passing = {
      {"one to the other", Ipv4("10.3.1.9", "10.3.1.2")},
      {"the subnet's broadcast", Ipv4("10.3.1.9", "10.3.1.255")},
      {"everybody's broadcast", Ipv4("10.3.1.9", "255.255.255.255")},
      {"a multicast group", Ipv4("10.3.1.9", "224.0.0.251")},
      {"another multicast group", Ipv4("10.3.1.9", "239.255.255.250")},
      {"a question of ARP", Arp("10.3.1.9", "10.3.1.2")},
      {"an announcement of ARP", Arp("10.3.1.9", "10.3.1.9")},
  };
  for (const auto& [what, frame] : passing) {
    INFO(what);
    CHECK(world.Leaves(frame));
    CHECK(world.Enters(frame));
  }
}

TEST_CASE("Through a gate goes nothing of other subnets, other protocols, and nothing damaged", "[host][gate]") {
  if (!HostWorld::Possible()) return;
  GatedWorld world({C("10.3.1.0/24")});
  const std::vector<std::pair<const char*, Bytes>> stopped = {
      {"from elsewhere", Ipv4("10.3.2.1", "10.3.1.2")},
      {"to elsewhere", Ipv4("10.3.1.9", "10.3.2.1")},
      {"both elsewhere", Ipv4("10.3.2.1", "10.3.2.2")},
      {"to the next subnet", Ipv4("10.3.1.9", "10.3.0.255")},
      {"multicast from elsewhere", Ipv4("10.3.2.1", "224.0.0.251")},
      {"broadcast from nobody", Ipv4("0.0.0.0", "255.255.255.255")},
      {"ARP from elsewhere", Arp("10.3.2.1", "10.3.1.2")},
      {"ARP for elsewhere", Arp("10.3.1.9", "10.3.2.1")},
      {"a probe of ARP", Arp("0.0.0.0", "10.3.1.2")},
      {"ARP for a multicast group", Arp("10.3.1.9", "224.0.0.1")},
      {"IPv6", Ipv6()},
      {"some protocol", Frame(0x88b5, Bytes(46, 0))},
      {"a tag", Tagged(Ipv4("10.3.1.9", "10.3.1.2"))},
      {"two tags", Tagged(Tagged(Ipv4("10.3.1.9", "10.3.1.2")))},
      {"half an IP header", Frame(ETH_P_IP, Bytes(10, 0))},
      {"half of ARP", Frame(ETH_P_ARP, Bytes(20, 0))},
  };
  for (const auto& [what, frame] : stopped) {
    INFO(what);
    CHECK_FALSE(world.Leaves(frame));
    CHECK_FALSE(world.Enters(frame));
  }
}

TEST_CASE("A gate takes as many subnets as it says, and they may talk with each other", "[host][gate]") {
  if (!HostWorld::Possible()) return;
  const std::vector<Cidr> subnets = {C("10.3.1.0/24"), C("10.3.2.0/28"), C("172.16.0.0/12"), C("192.168.7.7/32")};
  REQUIRE(subnets.size() == kMaxGateSubnetCount);
  GatedWorld world(subnets);
  for (const char* from : {"10.3.1.9", "10.3.2.15", "172.31.255.1", "192.168.7.7"})
    for (const char* to : {"10.3.1.9", "10.3.2.15", "172.31.255.1", "192.168.7.7"}) {
      INFO(from << " to " << to);
      CHECK(world.Leaves(Ipv4(from, to)));
      CHECK(world.Enters(Arp(from, to)));
      CHECK_FALSE(world.Leaves(Ipv4(from, "10.3.2.16")));
      CHECK_FALSE(world.Enters(Ipv4("192.168.7.6", to)));
    }
}

TEST_CASE("A gate can be set anew, goes with the interface, and takes subnets alone", "[host][gate]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1"), b("2");
  const Endpoint endpoint = host.Attach(a.Spec({"10.3.1.1/24"}));
  host.Attach(b.Spec({"10.3.1.2/24"}));
  REQUIRE(SetFrameGate(host.netlink(), endpoint.host_index, {C("10.4.0.0/24")}).ok());
  REQUIRE(SetFrameGate(host.netlink(), endpoint.host_index, {C("10.3.1.0/24")}).ok());
  CHECK(a.CanReach("10.3.1.2"));
  CHECK(absl::IsNotFound(SetFrameGate(host.netlink(), endpoint.host_index + 1000, {C("10.3.1.0/24")})));
  CHECK(absl::IsInvalidArgument(SetFrameGate(host.netlink(), endpoint.host_index, {})));
  REQUIRE(host.netlink().DeleteLink(endpoint.host_index).ok());
  host.Attach(a.Spec({"10.5.1.1/24"}));
  IpCommand("addr add 10.5.1.2/24 dev weave");
  CHECK(a.CanReach("10.5.1.2"));
}

}  // namespace
}  // namespace weave
