// Open vSwitch in the kernel, as the fast data path uses it (spec/overlay.md section 3).
#include <linux/genetlink.h>
#include <linux/openvswitch.h>
#include <netinet/in.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "fastdp/os/netlink_attributes.h"
#include "fastdp/os/ovs_codec.h"
#include "fastdp/os/ovs_socket.h"
#include "test/kernel/fastdp/ovs_world.h"

namespace weave {
namespace {

const MacAddress kA = MacOf(1, 1), kB = MacOf(1, 2), kC = MacOf(2, 1);
const TunnelKey kThere = {0x8b32f7, IpAddress::V4(0x0a4d0001), IpAddress::V4(0x0a4d0002)};

Bytes WithEthernetType(Bytes attributes, std::uint16_t type) {
  NetlinkAttributeWriter writer;
  writer.PutNumber<std::uint16_t>(OVS_KEY_ATTR_ETHERTYPE, type);
  const Bytes more = writer.Take();
  attributes.insert(attributes.end(), more.begin(), more.end());
  return attributes;
}

// A flow that drops, as another program may make it.
void AddForeignFlow(OvsHost& host, ByteView key, ByteView mask) {
  host.In([&] {
    auto ovs = OvsSocket::Open();
    REQUIRE(ovs.status() == absl::OkStatus());
    NetlinkRequest request(ovs->requests().families().flow, 0);
    request.Append(genlmsghdr{OVS_FLOW_CMD_NEW, OVS_FLOW_VERSION, 0})
        .Append(ovs_header{(*ovs->FindDatapath("dp"))->index})
        .Put(OVS_FLOW_ATTR_KEY, key)
        .Put(OVS_FLOW_ATTR_MASK, mask)
        .Put(OVS_FLOW_ATTR_ACTIONS, ByteView());
    REQUIRE(ovs->netlink().Exchange(request, "a foreign flow") == absl::OkStatus());
  });
}

std::uint16_t OnesComplementSum(ByteView bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::vector<FlowStats> Flows(OvsHost& host) {
  auto flows = host.dpif().DumpFlows();
  REQUIRE(flows.status() == absl::OkStatus());
  return *std::move(flows);
}

TEST_CASE("A kernel with Open vSwitch is found able, and left as it was") {
  OvsHost host(1);
  FrameSocket container = host.AddContainer(1);
  REQUIRE(host.dpif().PutFlow({1, std::nullopt, kA, kB}, {Output{0}}) == absl::OkStatus());
  const std::string before = NetworkPicture(host.fd());
  host.In([] { CHECK(ProbeOvs() == absl::OkStatus()); });
  CHECK(NetworkPicture(host.fd()) == before);
  CHECK(Flows(host).size() == 1);
}

TEST_CASE("A datapath is made once, found again, and goes with all that is in it") {
  OvsHost host(1);
  host.Close();
  host.In([] { CHECK(DeleteOvsDatapath("dp") == absl::OkStatus()); });
  const std::string before = NetworkPicture(host.fd());
  IpCommand("link add other type veth peer name other2", host.fd());
  IpCommand("link add bridge0 type bridge", host.fd());
  IpCommand("link set other2 master bridge0", host.fd());
  host.In([] {
    const absl::StatusOr<int> made = EnsureOvsDatapath("dp");
    REQUIRE(made.status() == absl::OkStatus());
    CHECK(*made == static_cast<int>(::if_nametoindex("dp")));
    CHECK(*EnsureOvsDatapath("dp") == *made);
    CHECK(EnsureOvsDatapath("other").status() ==
          absl::FailedPreconditionError("the interface other exists and is not an Open vSwitch datapath"));
    CHECK(absl::IsInvalidArgument(EnsureOvsDatapath(std::string(5000, 'x')).status()));
    CHECK(absl::IsInvalidArgument(AddOvsPort("dp", std::string(5000, 'x'))));
    CHECK(absl::IsNotFound(AddOvsPort(std::string(5000, 'x'), "other")));

    CHECK(AddOvsPort("dp", "other") == absl::OkStatus());
    CHECK(AddOvsPort("dp", "other") == absl::OkStatus());
    CHECK(absl::IsNotFound(AddOvsPort("dp", "nowhere")));
    CHECK(absl::IsNotFound(AddOvsPort("nowhere", "other")));
    REQUIRE(EnsureOvsDatapath("dp2").status() == absl::OkStatus());
    CHECK(AddOvsPort("dp2", "other") ==
          absl::AlreadyExistsError("adding other to the datapath dp2: it is a port of another datapath"));
    CHECK(AddOvsPort("dp2", "other2") ==
          absl::AlreadyExistsError("adding other2 to the datapath dp2: it is a port of another bridge"));
    CHECK(RemoveOvsPort("dp2", "other") == absl::OkStatus());  // not its port
    CHECK(RemoveOvsPort("dp", "other") == absl::OkStatus());
    CHECK(RemoveOvsPort("dp", "other") == absl::OkStatus());
    CHECK(RemoveOvsPort("nowhere", "other") == absl::OkStatus());
    CHECK(AddOvsPort("dp2", "other") == absl::OkStatus());
  });
  host.Open();
  REQUIRE(host.dpif().EnsureVxlanVport(6784).status() == absl::OkStatus());
  host.In([] {
    CHECK(DeleteOvsDatapath("dp") == absl::OkStatus());
    CHECK(DeleteOvsDatapath("dp") == absl::OkStatus());
    CHECK(DeleteOvsDatapath("dp2") == absl::OkStatus());
    CHECK(absl::IsNotFound(OvsDpif::Open("dp", *std::make_unique<NullLogger>()).status()));
  });
  IpCommand("link del other", host.fd());
  IpCommand("link del bridge0", host.fd());
  CHECK(NetworkPicture(host.fd()) == before);
}

TEST_CASE("A frame that no flow matches comes up, crosses the tunnel when told to, and its flow keeps the next below") {
  TwoHosts hosts;
  FrameSocket a = hosts.first.AddContainer(1), c = hosts.second.AddContainer(1);
  FrameSocket* wire = nullptr;
  hosts.second.In([&] { wire = new FrameSocket("wire"); });
  const std::unique_ptr<FrameSocket> wire_owner(wire);
  const auto vxlan1 = hosts.first.dpif().EnsureVxlanVport(6784);
  const auto vxlan2 = hosts.second.dpif().EnsureVxlanVport(6784);
  REQUIRE(vxlan1.status() == absl::OkStatus());
  REQUIRE(vxlan2.status() == absl::OkStatus());
  CHECK(vxlan1->name == "vxlan-6784");
  CHECK(*hosts.first.dpif().EnsureVxlanVport(6784) == *vxlan1);
  const VportNumber port_a = hosts.first.PortOf("c1"), port_c = hosts.second.PortOf("c1");
  hosts.first.Pump();  // takes the misses of the new port
  hosts.second.Pump();

  // ---- up, out and up on the other side ----
  const FlowKey out = {port_a, std::nullopt, kA, kC};
  const FlowActions there = {SetTunnel{kThere}, Output{vxlan1->number}};
  const Bytes first = MakeFrame(kA, kC, "first");
  a.Send(first);
  Recorder::Miss miss = hosts.first.NextMiss();
  CHECK(miss.key == out);
  CHECK(miss.frame == first);
  REQUIRE(hosts.first.dpif().Execute(miss.frame, there) == absl::OkStatus());
  miss = hosts.second.NextMiss();
  const FlowKey in = {vxlan2->number, kThere, kA, kC};
  CHECK(miss.key == in);
  CHECK(miss.frame == first);

  // ---- what the wire saw: spec/overlay.md section 3.1 ----
  Bytes packet;
  while (packet.size() < 14 || packet[12] != 0x08 || packet[13] != 0x00) {  // not ARP
    packet = wire->Receive();
    REQUIRE(!packet.empty());
  }
  const ByteView ip = ByteView(packet).subspan(14), udp = ip.subspan(20), vxlan = udp.subspan(8);
  CHECK(ip[0] == 0x45);
  CHECK(ip[1] == 0);           // type of service
  CHECK((ip[6] & 0x40) != 0);  // DF
  CHECK(ip[8] == 64);          // time to live
  CHECK(ip[9] == IPPROTO_UDP);
  CHECK(ToHex(ip.subspan(12, 8)) == "0a4d00010a4d0002");
  CHECK(ToHex(udp.subspan(2, 2)) == "1a80");  // 6784
  CHECK(ToHex(udp.subspan(6, 2)) == "0000");  // no checksum
  CHECK(ToHex(vxlan.first(8)) == "080000008b32f700");
  CHECK(vxlan.subspan(8) == ByteView(first));

  // ---- flows ----
  REQUIRE(hosts.first.dpif().PutFlow(out, there) == absl::OkStatus());
  REQUIRE(hosts.second.dpif().PutFlow(in, {Output{port_c}}) == absl::OkStatus());
  const Bytes second = MakeFrame(kA, kC, "second");
  a.Send(second);
  CHECK(c.Receive() == second);
  CHECK_FALSE(hosts.first.HasMiss());
  CHECK_FALSE(hosts.second.HasMiss());

  auto flows = Flows(hosts.second);
  REQUIRE(flows.size() == 1);
  CHECK(flows[0].key == in);
  CHECK(ToString(flows[0].actions) == ToString(FlowActions{Output{port_c}}));
  CHECK(flows[0].packets == 1);
  CHECK(flows[0].bytes == second.size());
  CHECK(flows[0].used);
  REQUIRE(hosts.second.dpif().ClearFlowStats(in) == absl::OkStatus());
  flows = Flows(hosts.second);
  REQUIRE(flows.size() == 1);
  CHECK(flows[0].packets == 0);
  CHECK_FALSE(flows[0].used);
  CHECK(absl::IsNotFound(hosts.second.dpif().ClearFlowStats(out)));

  // ---- other actions, in place ----
  REQUIRE(hosts.first.dpif().PutFlow(out, {}) == absl::OkStatus());
  a.Send(first);
  CHECK_FALSE(hosts.first.HasMiss());
  CHECK(c.Receive(200).empty());
  flows = Flows(hosts.first);
  REQUIRE(flows.size() == 1);
  CHECK(ToString(flows[0].actions) == "drop");
  CHECK(flows[0].packets == 2);

  REQUIRE(hosts.first.dpif().DeleteFlow(out) == absl::OkStatus());
  REQUIRE(hosts.second.dpif().DeleteFlow(in) == absl::OkStatus());
  CHECK(hosts.first.dpif().DeleteFlow(out) == absl::OkStatus());
  CHECK(Flows(hosts.first).empty());
  CHECK(Flows(hosts.second).empty());
  a.Send(first);
  CHECK(hosts.first.NextMiss().key == out);
}

TEST_CASE("A miss is sent and made a flow at once, and what is refused of the two does not keep the other") {
  OvsHost host(1);
  FrameSocket a = host.AddContainer(1), b = host.AddContainer(2);
  host.Pump();
  const FlowKey key = {host.PortOf("c1"), std::nullopt, kA, kB};
  const FlowActions to_b = {Output{host.PortOf("c2")}};
  const Bytes frame = MakeFrame(kA, kB, "first");

  Dpif::Handled handled = host.dpif().ExecuteAndPutFlow(frame, to_b, key, to_b);
  CHECK(handled.executed == absl::OkStatus());
  CHECK(handled.put == absl::OkStatus());
  CHECK(b.Receive() == frame);
  const Bytes second = MakeFrame(kA, kB, "second");
  a.Send(second);
  CHECK(b.Receive() == second);
  CHECK_FALSE(host.HasMiss());

  FlowActions too_many(65536);
  handled = host.dpif().ExecuteAndPutFlow(frame, to_b, key, too_many);
  CHECK(handled.executed == absl::OkStatus());
  CHECK(absl::IsResourceExhausted(handled.put));
  CHECK(b.Receive() == frame);
  const FlowActions no_port = {Output{4'000'000'000}};
  handled = host.dpif().ExecuteAndPutFlow(frame, to_b, key, no_port);
  CHECK(handled.executed == absl::OkStatus());
  CHECK_FALSE(handled.put.ok());
  CHECK(b.Receive() == frame);
  handled = host.dpif().ExecuteAndPutFlow(frame, no_port, {key.in_port, std::nullopt, kA, kC}, to_b);
  CHECK_FALSE(handled.executed.ok());
  CHECK(handled.put == absl::OkStatus());
  CHECK(Flows(host).size() == 2);
  handled = host.dpif().ExecuteAndPutFlow(Bytes(5, 0), to_b, key, {});  // no frame is so short
  CHECK_FALSE(handled.executed.ok());
  CHECK(handled.put == absl::OkStatus());
  a.Send(second);
  CHECK(b.Receive(200).empty());
}

// Of TCP, from the IPv4 addresses on: what the pseudo header adds besides them.
std::uint16_t PseudoSum(std::size_t tcp_size) { return static_cast<std::uint16_t>(IPPROTO_TCP + tcp_size); }

constexpr std::size_t kTcpHeader = 20, kHeaders = 14 + 20 + kTcpHeader;

// From kA to `destination`, with its checksum left open.
Bytes MakeTcpPiece(const MacAddress& destination, std::size_t payload) {
  Bytes piece(destination.bytes().begin(), destination.bytes().end());
  const Bytes rest = FromHex(
                         "0200000001010800"
                         "4500000000010000400600000a2000010a200002"  // IPv4
                         "1000005000000001000000015010ffff00000000")
                         .value();
  piece.insert(piece.end(), rest.begin(), rest.end());
  piece.resize(kHeaders + payload, 'x');
  const auto put = [&](std::size_t at, std::size_t value) {
    piece[at] = static_cast<std::uint8_t>(value >> 8);
    piece[at + 1] = static_cast<std::uint8_t>(value);
  };
  put(16, piece.size() - 14);
  put(50, OnesComplementSum(ByteView(piece).subspan(26, 8), PseudoSum(kTcpHeader + payload)));  // for who completes it
  return piece;
}

void SendPiece(FrameSocket& container, const Bytes& piece, std::uint16_t segment_size) {
  container.SendOffloaded(piece, segment_size, /*checksum_start=*/34, /*checksum_offset=*/16);
}

TEST_CASE("Frames come up whole: checksums made, large TCP pieces cut, VLAN tags inside") {
  OvsHost host(1);
  FrameSocket a = host.AddContainer(1);
  host.Pump();
  constexpr std::size_t kPayload = 2500, kSegment = 1000;
  SendPiece(a, MakeTcpPiece(kB, kPayload), kSegment);
  for (const std::size_t payload : {kSegment, kSegment, kPayload - 2 * kSegment}) {
    const Bytes frame = host.NextMiss().frame;
    REQUIRE(frame.size() == kHeaders + payload);
    CHECK(OnesComplementSum(ByteView(frame).subspan(14, 20)) == 0xffff);
    CHECK(OnesComplementSum(ByteView(frame).subspan(26), PseudoSum(kTcpHeader + payload)) == 0xffff);
  }
  CHECK_FALSE(host.HasMiss());

  REQUIRE(host.dpif().PutFlow({1, std::nullopt, kA, kB}, {}) == absl::OkStatus());
  Bytes tagged = MakeFrame(kA, kB, "tagged");
  const Bytes tag = {0x81, 0x00, 0x00, 0x07};
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  a.Send(tagged);
  const Recorder::Miss miss = host.NextMiss();
  CHECK(miss.key == FlowKey{1, std::nullopt, kA, kB});
  CHECK(miss.frame == tagged);
}

TEST_CASE("What is too large for a tunnel comes up, and what will be cut to fit passes") {
  TwoHosts hosts;
  FrameSocket a = hosts.first.AddContainer(1);
  FrameSocket* wire = nullptr;
  hosts.second.In([&] { wire = new FrameSocket("wire"); });
  const std::unique_ptr<FrameSocket> wire_owner(wire);
  REQUIRE(hosts.first.dpif().can_check_sizes());
  const auto vxlan = hosts.first.dpif().EnsureVxlanVport(6784);
  REQUIRE(vxlan.status() == absl::OkStatus());
  hosts.first.Pump();
  const FlowKey key = {hosts.first.PortOf("c1"), std::nullopt, kA, kC};
  const FlowActions actions = {SizedOutput{kThere, vxlan->number, 1100}};
  REQUIRE(hosts.first.dpif().PutFlow(key, actions) == absl::OkStatus());
  CHECK((Flows(hosts.first)[0].actions == actions));
  // Outer Ethernet, IPv4, UDP and VXLAN; ARP for the other end comes first.
  constexpr std::size_t kOuter = 14 + 20 + 8 + 8;
  const auto sizes = [&](std::size_t count) {
    std::vector<std::size_t> seen;
    while (seen.size() < count) {
      const Bytes frame = wire->Receive();
      if (frame.empty()) break;
      if (frame.size() > kOuter + kHeaders && frame[23] == IPPROTO_UDP) seen.push_back(frame.size() - kOuter);
    }
    return seen;
  };

  SendPiece(a, MakeTcpPiece(kC, 1046), 1046);
  CHECK(sizes(1) == std::vector<std::size_t>{1100});
  // The wire takes large pieces whole, headers once.
  SendPiece(a, MakeTcpPiece(kC, 2500), 1000);
  CHECK(sizes(1) == std::vector<std::size_t>{kHeaders + 2500});
  CHECK_FALSE(hosts.first.HasMiss());

  SendPiece(a, MakeTcpPiece(kC, 2094), 1047);  // one byte too many in each segment
  for (int segment = 0; segment < 2; ++segment) {
    const Recorder::Miss miss = hosts.first.NextMiss();
    CHECK(miss.key == key);
    CHECK(miss.too_large_for == kThere.vni);
    CHECK(miss.frame.size() == 1101);
  }
  // The next process gets them, once it has looked at the flows that it found.
  hosts.first.Close();
  hosts.first.Open();
  CHECK((Flows(hosts.first)[0].actions == actions));
  SendPiece(a, MakeTcpPiece(kC, 1047), 1047);
  CHECK(hosts.first.NextMiss().too_large_for == kThere.vni);
}

TEST_CASE("Flows of another form are deleted when they are listed, and ours stay") {
  OvsHost host(1);
  FrameSocket container = host.AddContainer(1);
  const FlowKey key = {1, std::nullopt, kA, kB};
  REQUIRE(host.dpif().PutFlow(key, {Output{0}}) == absl::OkStatus());
  const FlowKey other = {1, std::nullopt, MacOf(9, 9), MacOf(9, 8)};
  AddForeignFlow(host, WithEthernetType(EncodeFlowKey(other), htons(0x88b5)),
                 WithEthernetType(EncodeFlowMask(other), 0xffff));
  NetlinkAttributeWriter port_only;
  port_only.PutNumber<std::uint32_t>(OVS_KEY_ATTR_IN_PORT, 0xffffffff);
  const FlowKey wide = {2, std::nullopt, MacOf(8, 8), MacOf(8, 7)};
  AddForeignFlow(host, EncodeFlowKey(wide), port_only.Take());
  CHECK(absl::IsFailedPrecondition(host.dpif().PutFlow({2, std::nullopt, kA, kB}, {})));

  for (int i = 0; i < 2; ++i) {
    const auto flows = Flows(host);
    REQUIRE(flows.size() == 1);
    CHECK(flows[0].key == key);
  }
  CHECK(host.dpif().PutFlow({2, std::nullopt, kA, kB}, {}) == absl::OkStatus());
}

TEST_CASE("A flow to more peers than a list has room for is listed whole") {
  OvsHost host(1);
  const auto vxlan = host.dpif().EnsureVxlanVport(6784);
  REQUIRE(vxlan.status() == absl::OkStatus());
  FlowActions actions;
  for (std::uint32_t peer = 1; peer <= 900; ++peer) {
    actions.push_back(SetTunnel{{peer, kThere.source, kThere.destination}});
    actions.push_back(Output{vxlan->number});
  }
  const FlowKey key = {0, std::nullopt, kA, MacAddress({255, 255, 255, 255, 255, 255})};
  REQUIRE(host.dpif().PutFlow(key, actions) == absl::OkStatus());
  REQUIRE(host.dpif().PutFlow({0, std::nullopt, kA, kB}, {}) == absl::OkStatus());
  const auto flows = Flows(host);
  REQUIRE(flows.size() == 2);
  CHECK((flows[0].actions == actions || flows[1].actions == actions));
  actions.resize(65536);
  CHECK(absl::IsResourceExhausted(host.dpif().PutFlow(key, actions)));
}

TEST_CASE("Ports that come and go are told once, and the misses of new ones come up") {
  OvsHost host(1);
  CHECK(host.Changes().empty());
  FrameSocket a = host.AddContainer(1);
  CHECK(host.Changes() == std::vector<std::string>{"+c1"});
  a.Send(MakeFrame(kA, kB, "hello"));
  CHECK(host.NextMiss().key == FlowKey{1, std::nullopt, kA, kB});

  REQUIRE(host.dpif().EnsureVxlanVport(7001).status() == absl::OkStatus());
  CHECK(host.Changes() == std::vector<std::string>{"+vxlan-7001"});
  IpCommand("link del c1", host.fd());
  std::vector<std::string> changes;
  CHECK(Eventually([&] { return !(changes = host.Changes()).empty(); }));
  CHECK(changes == std::vector<std::string>{"-1"});

  // Ports of another datapath are not ours. More changes than the queue holds are made good.
  IpCommand("link add many type veth peer name many2", host.fd());
  host.In([] {
    REQUIRE(EnsureOvsDatapath("dp2").status() == absl::OkStatus());
    REQUIRE(AddOvsPort("dp2", "many2") == absl::OkStatus());
    for (int i = 0; i < 100; ++i) {
      REQUIRE(AddOvsPort("dp", "many") == absl::OkStatus());
      REQUIRE((i == 99 || RemoveOvsPort("dp", "many") == absl::OkStatus()));
    }
  });
  changes = host.Changes();
  CHECK(changes.size() < 199);
  for (std::size_t i = 0; i < changes.size(); ++i) CHECK(changes[i] == (i % 2 == 0 ? "+many" : "-1"));
  CHECK(changes.size() % 2 == 1);
}

TEST_CASE("A UDP port that another program has is said to be taken, and used when it is free") {
  OvsHost host(1);
  {
    Fd holder;
    host.In([&] {
      holder = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in address = {};
      address.sin_family = AF_INET;
      address.sin_port = htons(6784);
      REQUIRE(::bind(holder.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    });
    CHECK(host.dpif().EnsureVxlanVport(6784).status() ==
          absl::UnavailableError("UDP port 6784 for VXLAN is taken by another program"));
    CHECK(host.dpif().ListVports()->size() == 1);
  }
  CHECK(host.dpif().EnsureVxlanVport(6784).status() == absl::OkStatus());
  // An interface that was left down has no UDP port: as after kernels that make it in spite of that.
  IpCommand("link set vxlan-6784 down", host.fd());
  CHECK(host.dpif().EnsureVxlanVport(6784).status() == absl::OkStatus());
  CHECK_THAT(IpCommand("-o link show vxlan-6784", host.fd()), Catch::Contains(",UP"));

  IpCommand("link add vxlan-7000 type veth peer name other", host.fd());
  CHECK(host.dpif().EnsureVxlanVport(7000).status() ==
        absl::UnavailableError("an interface vxlan-7000 of another program exists"));
}

TEST_CASE("A datapath that is deleted underneath is told, and requests fail without harm") {
  OvsHost host(1);
  host.In([] { REQUIRE(DeleteOvsDatapath("dp") == absl::OkStatus()); });
  CHECK(host.Changes() == std::vector<std::string>{"gone"});
  CHECK(host.Changes().empty());
  CHECK(absl::IsNotFound(host.dpif().Execute(MakeFrame(kA, kB, "late"), {Output{0}})));
  CHECK(absl::IsNotFound(host.dpif().PutFlow({0, std::nullopt, kA, kB}, {})));
  CHECK(absl::IsNotFound(host.dpif().DumpFlows().status()));
  CHECK(absl::IsNotFound(host.dpif().EnsureVxlanVport(6784).status()));
}

TEST_CASE("Flows and ports stay when a process ends, and the next one gets the misses") {
  TwoHosts hosts;
  FrameSocket a = hosts.first.AddContainer(1), b = hosts.first.AddContainer(2);
  hosts.first.Pump();
  const auto vxlan = hosts.first.dpif().EnsureVxlanVport(6784);
  const FlowKey key = {1, std::nullopt, kA, kB};
  REQUIRE(hosts.first.dpif().PutFlow(key, {Output{2}}) == absl::OkStatus());
  CHECK(hosts.first.Changes().size() == 3);
  hosts.first.Close();

  const Bytes frame = MakeFrame(kA, kB, "nobody watches");
  a.Send(frame);
  CHECK(b.Receive() == frame);
  b.Send(MakeFrame(kB, kA, "lost"));  // no flow, and nobody

  hosts.first.Open();
  CHECK(hosts.first.Changes().empty());
  CHECK(*hosts.first.dpif().EnsureVxlanVport(6784) == *vxlan);
  REQUIRE(Flows(hosts.first).size() == 1);
  CHECK(Flows(hosts.first)[0].packets == 1);
  b.Send(MakeFrame(kB, kA, "found"));
  CHECK(hosts.first.NextMiss().frame == MakeFrame(kB, kA, "found"));

  // While the first still runs, the second takes over as well.
  NullLogger logger;
  std::unique_ptr<OvsDpif> second;
  hosts.first.In([&] { second = OvsDpif::Open("dp", logger).value(); });
  b.Send(MakeFrame(kB, kA, "again"));
  CHECK_FALSE(hosts.first.HasMiss());
  Recorder recorder;
  second->ReceiveUpcalls(recorder);
  REQUIRE(recorder.misses.size() == 1);
  CHECK(second->stats().upcalls == 1);
}

TEST_CASE("Misses that the queue has no room for are counted") {
  OvsHost host(1);
  FrameSocket a = host.AddContainer(1);
  host.Pump();
  constexpr std::uint64_t kCount = 20'000;
  for (std::uint64_t i = 0; i < kCount; ++i) a.Send(MakeFrame(kA, kB, "flood"));
  while (host.HasMiss()) host.events().misses.clear();
  const OvsDpif::Stats stats = host.dpif().stats();
  CHECK(stats.lost > 0);
  CHECK(stats.upcalls > 1000);
  CHECK(stats.upcalls + stats.lost == kCount);
  CHECK(stats.malformed == 0);
}

// Sends each frame on to port 2: with work 1 only this one, with 2 also those to come, with 3 both at once.
class Switch final : public OvsDpif::Events {
 public:
  Switch(OvsDpif& dpif, int work) : dpif_(dpif), work_(work) {}
  void OnUpcall(const Upcall& upcall) override {
    ++count;
    if (work_ == 1 || work_ == 2) failed |= !dpif_.Execute(upcall.frame, actions_).ok();
    if (work_ == 2) failed |= !dpif_.PutFlow(upcall.key, actions_).ok();
    if (work_ != 3) return;
    const Dpif::Handled handled = dpif_.ExecuteAndPutFlow(upcall.frame, actions_, upcall.key, actions_);
    failed |= !handled.executed.ok() || !handled.put.ok();
  }
  void OnVportAdded(const Vport&) override {}
  void OnVportGone(VportNumber) override {}
  void OnDatapathGone() override { failed = true; }

  int count = 0;
  bool failed = false;

 private:
  OvsDpif& dpif_;
  const int work_;
  const FlowActions actions_ = {Output{2}};
};

// Not a test: ovs_kernel_test "[.measure]" says what a miss costs.
TEST_CASE("Misses handled in a second", "[.measure]") {
  OvsHost host(1);
  FrameSocket a = host.AddContainer(1), b = host.AddContainer(2);
  host.Pump();
  constexpr int kCount = 40'000, kBurst = 1000;
  const char* const names[] = {"read", "read, execute", "read, execute, put", "read, execute and put"};
  for (std::uint8_t work = 0; work < 4; ++work) {
    Switch events(host.dpif(), work);
    Duration spent;
    for (int sent = 0; sent < kCount; sent += kBurst) {
      for (int i = sent; i < sent + kBurst; ++i) {
        const MacAddress from({2, 1, work, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
        a.Send(MakeFrame(from, kB, "x"));
      }
      const absl::Time start = absl::Now();
      while (events.count < sent + kBurst) host.dpif().ReceiveUpcalls(events);
      spent += absl::Now() - start;
    }
    CHECK_FALSE(events.failed);
    std::printf("%s: %.1f us a miss\n", names[work], absl::ToDoubleMicroseconds(spent) / kCount);
  }
}

}  // namespace
}  // namespace weave
