// Frames that are larger than what a tunnel carries: their sender hears of it, or they go in pieces (spec/overlay.md
// section 2.7, which holds for both data paths). What fits is the kernel's.
#include "overlay/fragmentation.h"
#include "test/fastdp/datapath_world.h"
#include "test/sleeve/packets.h"

namespace weave {
namespace {

const MacAddress kClient = *MacAddress::Parse("02:00:00:00:00:0a");
const MacAddress kServer = *MacAddress::Parse("02:00:00:00:00:0b");
const MacAddress kEverybody = *MacAddress::Parse("ff:ff:ff:ff:ff:ff");
constexpr std::uint32_t kVniToOne = 0x1002;
const FlowKey kToServer = {1, std::nullopt, kClient, kServer};
const std::string kIntoTunnelOne = "set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.1)),2";

std::string Sized(std::size_t size, int peer) {
  return absl::StrCat("check_pkt_len(size=", size, ",gt(userspace),le(set(tunnel(tun_id=0x", peer,
                      "002,src=10.0.0.2,dst=10.0.0.", peer, ")),2))");
}

// Peer 2 between 1, whose container is the server, and 3. The client is ours.
struct SizesWorld : DatapathWorld {
  explicit SizesWorld(bool checks_sizes = true) {
    dpif.checks_sizes = checks_sizes;
    Start({{1, 2}, {2, 3}}, {1, 3});
    Tunnelled(1, 2, 1, kClient, kServer);
    Packet(1, kEverybody, kClient);
    TakeLines();
  }
  Bytes Datagram(std::size_t packet_size, bool dont_fragment) const {
    Ipv4Spec spec;
    spec.dont_fragment = dont_fragment;
    spec.payload = Counting(packet_size - 20);
    return MakeIpv4(spec);
  }
};

// "3/4 1376" of an answer "fragmentation needed"; what else was sent is told by its size.
std::string Describe(const Bytes& frame) {
  const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame);
  if (!ip.has_value() || ip->protocol != 1) return absl::StrCat(frame.size());
  const std::uint8_t* icmp = frame.data() + kEthernetHeaderSize + ip->header_size;
  return absl::StrCat(icmp[0], "/", icmp[1], " ", Read16(icmp + 6), " from ", SourceOf(frame).ToString(), " to ",
                      DestinationOf(frame).ToString());
}

const std::string kRefusal = "3/4 1376 from 02:00:00:00:00:0b to 02:00:00:00:00:0a";

TEST_CASE("What fits a tunnel is the kernel's, also when the first frame did not fit", "[fastdp]") {
  SizesWorld world;
  CHECK(world.Miss({kToServer, world.Datagram(1376, true)}) ==
        Lines{"sent " + kIntoTunnelOne, "flow " + Sized(1390, 1)});
  world.Tunnel(1, 6784, 8950);
  CHECK(world.TakeLines() ==
        Lines{"changed " + Sized(8964, 1), absl::StrCat("changed 0,", Sized(8964, 1), ",", Sized(1390, 3))});

  SizesWorld other;
  CHECK(other.Miss({kToServer, other.Datagram(1377, true)}) == Lines{"sent 1", "flow " + Sized(1390, 1)});
  CHECK(Describe(other.dpif.sent[0]) == kRefusal);
}

TEST_CASE("Who may cut a packet itself is told to, whatever comes up from a flow", "[fastdp]") {
  SizesWorld world;
  world.Miss({kToServer, world.Datagram(100, true)});
  CHECK(world.Miss({kToServer, world.Datagram(3000, true), kVniToOne}) == Lines{"sent 1"});
  CHECK(Describe(world.dpif.sent[0]) == kRefusal);
  CHECK(world.datapath.counters().icmp_sent == 1);
  CHECK(world.datapath.counters().too_big == 1);

  Ipv6Spec six;
  six.payload = Counting(3000);
  CHECK(world.Miss({kToServer, MakeIpv6(six), kVniToOne}) == Lines{"sent 1"});
  const Bytes& answer = world.dpif.sent[0];
  CHECK(answer[kEthernetHeaderSize + kIpv6HeaderSize] == 2);  // packet too big
  CHECK(Read32(answer.data() + kEthernetHeaderSize + kIpv6HeaderSize + 4) == 1376);
}

TEST_CASE("What may be cut on the way is cut, and arrives whole", "[fastdp]") {
  SizesWorld world;
  world.Miss({kToServer, world.Datagram(100, true)});
  CHECK(world.Miss({kToServer, world.Datagram(3000, false), kVniToOne}) == Lines(3, "sent " + kIntoTunnelOne));
  std::size_t payload = 0;
  for (const Bytes& piece : world.dpif.sent) {
    CHECK(piece.size() <= 1390);
    const std::optional<InnerIpv4> ip = ReadInnerIpv4(piece);
    REQUIRE(ip.has_value());
    CHECK(ip->fragment_offset == payload);
    payload += ip->packet_size - ip->header_size;
  }
  CHECK(payload == 2980);
  CHECK(world.datapath.counters().fragmented == 1);
}

TEST_CASE("What is neither IP nor for one host is counted", "[fastdp]") {
  SizesWorld world;
  world.Miss({kToServer, world.Datagram(100, true)});
  Bytes other = world.Datagram(3000, true);
  other[12] = 0x88;
  CHECK(world.Miss({kToServer, other, kVniToOne}).empty());
  CHECK(world.datapath.counters().too_big == 1);

  const FlowKey to_all = {1, std::nullopt, kClient, kEverybody};
  Ipv4Spec spec;
  spec.dont_fragment = true;
  spec.to = "ffffffffffff";
  spec.payload = Counting(3000);
  CHECK(world.Miss({to_all, MakeIpv4(spec), kVniToOne}).empty());
  CHECK(world.datapath.counters().too_big_broadcasts == 1);
  CHECK(world.datapath.counters().icmp_sent == 0);
}

TEST_CASE("Of a broadcast each neighbour gets what its tunnel carries, in pieces where it must be", "[fastdp]") {
  SizesWorld world;
  world.Tunnel(3, 6784, 8950);
  world.TakeLines();
  CHECK(world.dpif.flows[FlowKey{1, std::nullopt, kClient, kEverybody}].actions.size() == 3);
  const FlowKey to_all = {1, std::nullopt, kClient, kEverybody};
  Ipv4Spec spec;
  spec.to = "ffffffffffff";
  spec.payload = Counting(2000);
  // The kernel has sent it to the third peer.
  CHECK(world.Miss({to_all, MakeIpv4(spec), kVniToOne}) == Lines(2, "sent " + kIntoTunnelOne));
}

TEST_CASE("A relay answers in the name of the destination, into the tunnel that the frame came out of", "[fastdp]") {
  SizesWorld world;
  const FlowKey through = {2, TunnelKey{0x1003, world.AddressOf(3), world.AddressOf(2)}, kClient, kServer};
  world.Miss({through, world.Datagram(100, true)});
  CHECK(world.Miss({through, world.Datagram(3000, true), 0x1003}) ==
        Lines{"sent set(tunnel(tun_id=0x3001,src=10.0.0.2,dst=10.0.0.3)),2"});
  CHECK(Describe(world.dpif.sent[0]) == kRefusal);
}

TEST_CASE("A kernel that cannot check sizes gets the flows it understands", "[fastdp]") {
  SizesWorld world(/*checks_sizes=*/false);
  CHECK(world.Miss({kToServer, world.Datagram(100, true)}) ==
        Lines{"sent " + kIntoTunnelOne, "flow " + kIntoTunnelOne});
}

TEST_CASE("What sleeve brings for a tunnel that does not carry it is answered, too", "[fastdp]") {
  SizesWorld world;
  const ForwardingHop hop{PeerName(1), 1, {Way::kFastdp}};
  const Bytes large = world.Datagram(3000, true);
  CHECK(world.datapath.Carry(hop, PeerName(2), PeerName(1), {large, {}}, false));
  CHECK(Describe(world.dpif.sent.back()) == kRefusal);
}

TEST_CASE("What sleeve brings for containers that do not take it is answered or cut, too", "[fastdp]") {
  SizesWorld world;
  Ipv4Spec spec;
  spec.from = kServerMac;
  spec.to = kClientMac;
  spec.payload = Counting(2980);
  spec.dont_fragment = true;
  world.datapath.Inject({MakeIpv4(spec), {}});
  CHECK(world.TakeLines() == Lines{"sent 1"});
  world.datapath.OnCommand(world.now, SetFastdpInterfaceMtu{1400});
  world.datapath.Inject({MakeIpv4(spec), {}});
  CHECK(world.TakeLines() == Lines{"sent " + kIntoTunnelOne});
  CHECK(Describe(world.dpif.sent.back()) == "3/4 1400 from 02:00:00:00:00:0a to 02:00:00:00:00:0b");
  spec.dont_fragment = false;
  world.datapath.Inject({MakeIpv4(spec), {}});
  CHECK(world.TakeLines() == Lines(3, "sent 1"));
}

TEST_CASE("A large frame with a packet that has no payload does no harm", "[fastdp]") {
  SizesWorld world;
  world.Miss({kToServer, world.Datagram(100, true)});
  Bytes frame = world.Datagram(3000, false);
  Write16(20, frame.data() + kEthernetHeaderSize + 2);
  world.Miss({kToServer, frame, kVniToOne});
  CHECK(world.datapath.counters().too_big == 1);
}

}  // namespace
}  // namespace weave
