// Packets that the kernel does not know: where they go, and what of it becomes a flow (spec/overlay.md sections 3.4 and
// 3.5).
#include "fastdp/datapath.h"

#include "test/fastdp/datapath_world.h"

namespace weave {
namespace {

const MacAddress kOurs = *MacAddress::Parse("02:00:00:00:00:0a");
const MacAddress kOther = *MacAddress::Parse("02:00:00:00:00:0f");
const MacAddress kAtOne = *MacAddress::Parse("02:00:00:00:00:0b");
const MacAddress kAtThree = *MacAddress::Parse("02:00:00:00:00:0c");
const MacAddress kAll = *MacAddress::Parse("ff:ff:ff:ff:ff:ff");
const MacAddress kBridges = *MacAddress::Parse("01:80:c2:00:00:00");

// Peer 2 between 1 and 3; ids are hexadecimal in the texts: 0x1002 is 2 to 1.
const std::string kToOne = "set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.1)),2";
const std::string kToThree = "set(tunnel(tun_id=0x3002,src=10.0.0.2,dst=10.0.0.3)),2";

struct LineWorld : DatapathWorld {
  LineWorld() { Start({{1, 2}, {2, 3}}, {1, 3}); }
};
struct MeshWorld : DatapathWorld {
  MeshWorld() { Start({{1, 2}, {2, 3}, {1, 3}}, {1, 3}); }
};

TEST_CASE("A broadcast of a container goes to the host and to every peer, from the second on without us", "[fastdp]") {
  MeshWorld world;
  const std::string everywhere = absl::StrCat("0,", kToOne, ",", kToThree);
  CHECK(world.Packet(1, kAll, kOurs) == Lines{"sent " + everywhere, "flow " + everywhere});
  CHECK(world.Packet(1, kAll, kOurs) == Lines{"by flow " + everywhere});
}

TEST_CASE(
    "A frame to a container that answered goes to its peer alone; one to nobody knows whom is not decided for good",
    "[fastdp]") {
  MeshWorld world;
  const std::string everywhere = absl::StrCat("0,", kToOne, ",", kToThree);
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sent " + everywhere});
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sent " + everywhere});
  CHECK(world.Tunnelled(1, 2, 1, kOurs, kAtOne) == Lines{"sent 1", "flow 1"});
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sent " + kToOne, "flow " + kToOne});
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});
  CHECK(world.Tunnelled(1, 2, 1, kOurs, kAtOne) == Lines{"by flow 1"});
}

TEST_CASE("A broadcast of another host's goes to the bridge and on to those behind us", "[fastdp]") {
  LineWorld world;
  const std::string on = "set(tunnel(tun_id=0x3001,src=10.0.0.2,dst=10.0.0.3)),2";
  CHECK(world.Tunnelled(1, 2, 1, kAll, kAtOne) == Lines{"sent 0,1," + on, "flow 0,1," + on});
}

TEST_CASE("A broadcast is passed on as it comes from the neighbour that the routes have it come from, by no other flow",
          "[fastdp]") {
  DatapathWorld world;
  world.Start({{1, 2}, {1, 3}, {2, 4}}, {1, 3, 4});  // that 3 is our neighbour, too, not everybody knows yet
  const std::string on = "0,1,set(tunnel(tun_id=0x4001,src=10.0.0.2,dst=10.0.0.4)),2";
  CHECK(world.Tunnelled(1, 2, 1, kAll, kAtOne) == Lines{"sent " + on, "flow " + on});
  CHECK(world.Tunnelled(1, 2, 3, kAll, kAtOne) == Lines{"sent 0,1", "flow 0,1"});
  CHECK(world.datapath.counters().strays == 1);
  world.TakeLines();
  world.Route({{1, 3}, {2, 3}, {2, 4}}, {1, 3, 4});
  CHECK(world.TakeLines() == Lines{"changed 0,1", "changed " + on});
  // Of two neighbours behind one address either may be the one.
  world.datapath.OnCommand(
      world.now, SetFastdpTunnel{9, PeerName(3), DatapathWorld::AddressOf(2), DatapathWorld::AddressOf(1), 6784, 1376});
  world.Settle();
  CHECK(world.TakeLines() == Lines{"changed " + on});
}

TEST_CASE("A relayed frame keeps the ids of its ends and becomes a flow", "[fastdp]") {
  LineWorld world;
  const std::string on = "set(tunnel(tun_id=0x3001,src=10.0.0.2,dst=10.0.0.3)),2";
  CHECK(world.Tunnelled(1, 3, 1, kAtThree, kAtOne) == Lines{"sent " + on, "flow " + on});
  CHECK(world.Tunnelled(1, 3, 1, kAtThree, kAtOne) == Lines{"by flow " + on});
}

TEST_CASE("What stays on this host stays, and what would leave where it came from goes nowhere", "[fastdp]") {
  MeshWorld world;
  world.Packet(0, kAll, kOther);
  world.Packet(1, kAll, kOurs);
  CHECK(world.Packet(1, kOther, kOurs) == Lines{"sent 0", "flow 0"});
  world.Packet(1, kAll, kAtThree);
  CHECK(world.Packet(1, kAtThree, kOurs).empty());
  CHECK(world.datapath.counters().hairpins == 1);
  CHECK(world.Packet(1, kBridges, kOurs) == Lines{"flow drop"});
}

TEST_CASE("A frame for a neighbour that only sleeve reaches is sleeve's, and no flow is made of it", "[fastdp]") {
  MeshWorld world;
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  world.CloseTunnel(1);
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sleeve to 1 2>1"});
  CHECK(world.Packet(1, kAll, kOurs) == Lines{"sent 0," + kToThree, "sleeve to 1 2>1 broadcast"});
  world.Tunnel(1);
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sent " + kToOne, "flow " + kToOne});
}

TEST_CASE("A flow follows what it was decided by, and no other is touched", "[fastdp]") {
  MeshWorld world;
  world.Packet(1, kAll, kOurs);
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  world.Tunnelled(3, 2, 3, kOurs, kAtThree);
  world.Packet(1, kAtOne, kOurs);
  world.Packet(1, kAtThree, kOurs);
  world.TakeLines();

  SECTION("a route: the flow goes by way of the other peer, in the same moment") {
    world.Route({{2, 3}, {1, 3}}, {3});
    const std::string by_three = "set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.3)),2";
    // The old tunnel's frames would still be right.
    CHECK(world.TakeLines() == Lines{"changed " + by_three, "changed 0," + kToThree});
  }
  SECTION("a neighbour's address") {
    world.datapath.OnCommand(
        world.now, SetFastdpTunnel{1, PeerName(1), IpAddress::V4(0x0a000002), IpAddress::V4(0x0a000063), 6784, 1376});
    world.Settle();
    const std::string there = "set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.99)),2";
    CHECK(world.TakeLines() == Lines{"changed " + there, "changed 0," + there + "," + kToThree});
  }
  SECTION("a MAC that moves to another peer") {
    CHECK(world.Tunnelled(3, 2, 3, kOurs, kAtOne).back() ==
          "deleted " + ToString(FlowKey{2, TunnelKey{0x2001, world.AddressOf(1), world.AddressOf(2)}, kAtOne, kOurs}));
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToThree});
    CHECK(world.Packet(1, kAll, kOurs) == Lines{"by flow 0," + kToOne + "," + kToThree});
  }
  SECTION("a container that moved here") {
    world.Advance(absl::Seconds(1));
    const Lines lines = world.Packet(1, kAll, kAtOne);
    CHECK(std::count_if(lines.begin(), lines.end(), [](const std::string& l) { return l.rfind("deleted", 0) == 0; }) ==
          2);
    CHECK(world.Packet(0, kAtOne, kOther) == Lines{"sent 1", "flow 1"});
  }
  SECTION("a short id that means another peer now") {
    world.short_ids = std::make_shared<const ShortIdMap>(
        std::vector<std::pair<ShortId, PeerName>>{{2, PeerName(2)}, {3, PeerName(3)}, {9, PeerName(1)}});
    world.Route({{1, 2}, {2, 3}, {1, 3}}, {1, 3});
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow set(tunnel(tun_id=0x9002,src=10.0.0.2,dst=10.0.0.1)),2"});
    CHECK(world.Packet(1, kAtThree, kOurs) == Lines{"by flow " + kToThree});
  }
  SECTION("a port that comes and goes") {
    const Vport port = world.dpif.Add({0, "vethwl1", VportKind::kNetdev, 0});
    world.datapath.OnVportAdded(port);
    world.Settle();
    CHECK(world.TakeLines() == Lines{"changed 0,3," + kToOne + "," + kToThree});
    world.datapath.OnVportGone(world.now, port.number);
    world.Settle();
    CHECK(world.TakeLines() == Lines{"changed 0," + kToOne + "," + kToThree});
  }
}

TEST_CASE("A peer that cannot be reached keeps its flows for a while: it may be starting again", "[fastdp]") {
  LineWorld world;
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  world.Packet(1, kAtOne, kOurs);
  world.TakeLines();
  world.Route({{2, 3}}, {3}, {Way::kFastdp, Way::kSleeve}, /*settle=*/false);
  world.CloseTunnel(1);
  CHECK(world.TakeLines().empty());
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});

  SECTION("it comes back, and nothing was touched") {
    world.Advance(absl::Seconds(40));
    world.Tunnel(1);
    world.Route({{1, 2}, {2, 3}}, {1, 3}, {Way::kSleeve});
    world.Advance(absl::Seconds(3));
    CHECK(world.TakeLines().empty());
    world.Route({{1, 2}, {2, 3}}, {1, 3});
    world.Advance(Datapath::kLinger);
    CHECK(world.TakeLines().empty());
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});
  }
  SECTION("it comes back, but its tunnel does not") {
    world.Tunnel(1);
    world.Route({{1, 2}, {2, 3}}, {1, 3}, {Way::kSleeve});
    world.Advance(Datapath::kProof);
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sleeve to 1 2>1"});
  }
  SECTION("it does not") {
    world.Advance(Datapath::kLinger);
    const std::uint64_t before = world.datapath.counters().no_way;
    CHECK(world.Packet(1, kAtOne, kOurs).empty());
    CHECK(world.datapath.counters().no_way == before + 1);
  }
  SECTION("it is found behind another") {
    world.Route({{2, 3}, {3, 1}}, {3});
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.3)),2"});
  }
}

TEST_CASE("A flow to a neighbour that connects anew stays until a way is proven", "[fastdp]") {
  MeshWorld world;
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  world.Packet(1, kAtOne, kOurs);
  world.Route({{1, 2}, {2, 3}}, {1, 3}, {Way::kFastdp}, /*settle=*/false);
  world.CloseTunnel(1);
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});
  SECTION("the kernel's") {
    world.Tunnel(1);
    world.Advance(Datapath::kLinger);
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});
  }
  SECTION("the kernel's, whose keys take longer than sleeve's proof") {
    world.Route({{1, 2}, {2, 3}}, {1, 3}, {Way::kSleeve});
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});
    world.Tunnel(1);
    world.Route({{1, 2}, {2, 3}}, {1, 3});
    world.Advance(Datapath::kLinger);
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});
  }
  SECTION("sleeve's") {
    world.Route({{1, 2}, {2, 3}}, {1, 3}, {Way::kSleeve});
    world.Advance(Datapath::kProof);
    CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sleeve to 1 2>1"});
  }
}

TEST_CASE("The flows of an earlier run go on, and are taken over one by one as it becomes known that they are true",
          "[fastdp]") {
  DatapathWorld world;
  world.dpif.Add({0, "vxlan-6784", VportKind::kVxlan, 6784});
  const FlowKey out{1, std::nullopt, kOurs, kAtOne};
  const FlowKey in{2, TunnelKey{0x2001, world.AddressOf(1), world.AddressOf(2)}, kAtOne, kOurs};
  const FlowKey stale{1, std::nullopt, kOther, kAtThree};
  world.dpif.flows[out].actions = {SetTunnel{{0x1002, world.AddressOf(2), world.AddressOf(1)}}, Output{2}};
  world.dpif.flows[in].actions = {Output{1}};
  world.dpif.flows[stale].actions = {SetTunnel{{0x3002, world.AddressOf(2), world.AddressOf(3)}}, Output{2}};
  world.Attach();
  CHECK(world.Packet(out) == Lines{"by flow " + kToOne});

  world.Tunnel(1);
  world.Tunnel(3);
  world.Route({{1, 2}, {2, 3}}, {1, 3});
  CHECK(world.TakeLines().empty());
  CHECK(world.Packet(out) == Lines{"by flow " + kToOne});
  CHECK(world.Packet(in) == Lines{"by flow 1"});
  world.Advance(Datapath::kLinger);
  CHECK(world.TakeLines() == Lines{"deleted " + ToString(stale)});
  CHECK(world.Packet(out) == Lines{"by flow " + kToOne});
  CHECK(world.Packet(in) == Lines{"by flow 1"});
}

// Peer 1 had another short id then, and has told nothing yet of its container.
struct RestartedWorld : DatapathWorld {
  RestartedWorld() {
    dpif.Add({0, "vxlan-6784", VportKind::kVxlan, 6784});
    dpif.flows[out].actions = {SetTunnel{{0x7002, AddressOf(2), AddressOf(1)}}, Output{2}};
  }

  const FlowKey out{1, std::nullopt, kOurs, kAtOne};
};

TEST_CASE("A flow of an earlier run is set right by the first word of its destination, though sleeve brings it",
          "[fastdp]") {
  RestartedWorld world;
  world.Start({{1, 2}, {2, 3}}, {1, 3});
  CHECK(world.TakeLines().empty());
  world.router.LearnForwarded(world.now, kAtOne, PeerName(1));
  world.Settle();
  CHECK(world.Packet(world.out) == Lines{"by flow " + kToOne});
}

TEST_CASE("A flow of an earlier run is better than frames to everybody, until it is too old", "[fastdp]") {
  RestartedWorld world;
  world.Route({{1, 2}, {2, 3}}, {1, 3}, {Way::kSleeve});
  world.Attach();
  world.Advance(Datapath::kLinger - absl::Seconds(1));
  CHECK(world.TakeLines().empty());
  world.Advance(absl::Seconds(1));
  CHECK(world.TakeLines() == Lines{"deleted " + ToString(world.out)});
}

TEST_CASE("Flows that nobody uses go, those in use keep their MACs known", "[fastdp]") {
  MeshWorld world;
  world.Packet(1, kAll, kOurs);
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  world.Tunnelled(3, 2, 3, kOurs, kAtThree);
  world.Packet(1, kAtOne, kOurs);
  world.Packet(1, kAtThree, kOurs);
  for (int i = 0; i < 8; ++i) {
    world.Packet(1, kAtOne, kOurs);
    world.Tunnelled(1, 2, 1, kOurs, kAtOne);
    world.Advance(Datapath::kSweepInterval / 2);
  }
  CHECK(world.datapath.flows().size() == 2);
  CHECK(world.datapath.counters().flows_idle == 3);
  CHECK(world.router.macs().Find(kAtOne) == PeerName(1));
  CHECK_FALSE(world.router.macs().Find(kAtThree).has_value());
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"by flow " + kToOne});
}

TEST_CASE("That a flow was used is no reason to doubt the first frame of a container that has moved here", "[fastdp]") {
  MeshWorld world;
  world.Advance(Datapath::kSweepInterval / 2);
  world.Packet(1, kAtOne, kOurs);
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  CHECK(world.Tunnelled(1, 2, 1, kOurs, kAtOne) == Lines{"by flow 1"});
  world.Advance(Datapath::kSweepInterval / 2);
  CHECK(world.datapath.flows().size() == 1);
  world.Packet(1, kAll, kAtOne);
  CHECK(world.router.counters().foreign_sources == 0);
  CHECK(world.router.macs().Find(kAtOne) == PeerName(2));
}

TEST_CASE("A flow that somebody else deleted is made again by the next packet; one that somebody made is removed",
          "[fastdp]") {
  MeshWorld world;
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  world.Packet(1, kAtOne, kOurs);
  world.dpif.flows.clear();
  world.check_kernel = false;
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sent " + kToOne});
  world.Advance(Datapath::kRepeat);
  CHECK(world.Packet(1, kAtOne, kOurs) == Lines{"sent " + kToOne, "flow " + kToOne});
  world.dpif.flows[{1, std::nullopt, kOther, kAtThree}] = {{Output{0}}, 5};
  world.Advance(Datapath::kSweepInterval);
  CHECK_FALSE(world.dpif.flows.contains({1, std::nullopt, kOther, kAtThree}));
}

TEST_CASE("A frame whose tunnel names nobody goes nowhere, nor does one from a port that nobody knows", "[fastdp]") {
  MeshWorld world;
  CHECK(world.Tunnelled(77, 2, 1, kOurs, kAtOne).empty());
  CHECK(world.datapath.counters().unknown_peers == 1);
  CHECK(world.Packet(9, kAll, kOurs).empty());
  CHECK(world.datapath.counters().unknown_ports == 1);
  CHECK(world.datapath.flows().size() == 0);
}

TEST_CASE("A frame from somebody who is no neighbour teaches nothing", "[fastdp]") {
  MeshWorld world;
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  CHECK(world.Tunnelled(3, 2, 4, kOurs, kAtOne).empty());
  CHECK(world.datapath.counters().unknown_peers == 1);
  CHECK(world.router.macs().Find(kAtOne) == PeerName(1));
}

TEST_CASE("What a neighbour sends is taken for a while after its tunnel was closed, but makes no flow", "[fastdp]") {
  MeshWorld world;
  world.Packet(1, kAll, kOurs);
  world.CloseTunnel(1);
  world.TakeLines();
  CHECK(world.Tunnelled(1, 2, 1, kOurs, kAtOne) == Lines{"sent 1"});
  world.Advance(Datapath::kLinger);
  CHECK(world.Tunnelled(1, 2, 1, kOurs, kAtOne).empty());
}

TEST_CASE("Frames that sleeve brings reach the containers and are learnt from, those it cannot carry go by the kernel",
          "[fastdp]") {
  MeshWorld world;
  world.Packet(1, kAll, kOurs);
  world.TakeLines();
  Bytes frame(60, 0);
  std::copy_n(kOurs.bytes().begin(), 6, frame.begin());
  world.datapath.Inject({frame, {}});
  CHECK(world.TakeLines() == Lines{"sent 1"});
  std::copy_n(kAll.bytes().begin(), 6, frame.begin());
  world.datapath.Inject({frame, {}});
  CHECK(world.TakeLines() == Lines{"sent 0,1"});
  CHECK(world.datapath.Carry({PeerName(3), 3, {Way::kFastdp}}, PeerName(1), PeerName(3), {frame, {}}, false));
  CHECK(world.TakeLines() == Lines{"sent set(tunnel(tun_id=0x3001,src=10.0.0.2,dst=10.0.0.3)),2"});
  CHECK_FALSE(world.datapath.Carry({PeerName(3), 5, {Way::kFastdp}}, PeerName(1), PeerName(3), {frame, {}}, false));
  CHECK_FALSE(world.datapath.Carry({PeerName(3), 3, {Way::kFastdp}}, PeerName(77), PeerName(3), {frame, {}}, false));
}

TEST_CASE("Heartbeats go out of their tunnel as the reference peer sends them, and come in whole or not at all",
          "[fastdp]") {
  MeshWorld world;
  world.datapath.OnCommand(world.now, SendFastdpHeartbeat{1, 0x9d4c13132255a26f, 1390});
  CHECK(world.TakeLines() == Lines{"sent " + kToOne});
  Bytes frame = MakeFastdpHeartbeat(0x9d4c13132255a26f, 1390);
  CHECK(ToHex(ByteView(frame).first(24)) == "00000000000000000000000000009d4c13132255a26f056e");
  world.Heartbeat(1, 7, frame);
  REQUIRE(world.heartbeats.size() == 1);
  CHECK(world.heartbeats[0].sender == PeerName(1));
  CHECK(world.heartbeats[0].uid == 0x9d4c13132255a26f);
  CHECK(world.heartbeats[0].frame_size == 1390);
  CHECK(world.heartbeats[0].remote == world.AddressOf(1));
  frame.pop_back();
  world.Heartbeat(1, 7, frame);
  world.Heartbeat(77, 7, MakeFastdpHeartbeat(7, 1390));
  CHECK(world.heartbeats.size() == 1);
  CHECK(world.datapath.flows().size() == 0);
}

TEST_CASE("A peer on another port has a tunnel port of its own; a port that is taken is told", "[fastdp]") {
  MeshWorld world;
  world.dpif.taken_port = 7001;
  world.Tunnel(1, 7001);
  REQUIRE(world.ports.size() == 1);
  CHECK(world.ports[0].connection == 1);
  CHECK(world.ports[0].status.message() == "port taken");
  world.Tunnel(1, 8001);
  CHECK(world.Packet(1, kAll, kOurs).front() ==
        "sent 0,set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.1)),3," + kToThree);
}

TEST_CASE("Where the tunnels' own port is taken, sleeve carries frames into and out of the datapath", "[fastdp]") {
  DatapathWorld world;
  world.dpif.taken_port = 6784;
  world.Start({{1, 2}}, {1});
  REQUIRE(world.ports.size() == 1);
  world.Route({{1, 2}}, {1}, {Way::kSleeve});
  CHECK(world.Packet(1, kAll, kOurs) == Lines{"sent 0", "sleeve to 1 2>1 broadcast"});
  Bytes frame(60, 0);
  std::copy_n(kOurs.bytes().begin(), 6, frame.begin());
  world.datapath.Inject({frame, {}});
  CHECK(world.TakeLines() == Lines{"sent 1"});
}

TEST_CASE("A tunnel's port that was taken is asked for again until it is free", "[fastdp]") {
  DatapathWorld world;
  world.dpif.taken_port = 6784;
  world.Start({{1, 2}}, {1});
  world.Advance(2 * Datapath::kConnectAgain);
  CHECK(world.ports.size() == 1);
  world.dpif.taken_port = 0;
  world.Advance(Datapath::kConnectAgain);
  REQUIRE(world.ports.size() == 2);
  CHECK(world.ports[1].connection == 1);
  CHECK(world.ports[1].status == absl::OkStatus());
  CHECK(world.Packet(1, kAll, kOurs).front() == "sent 0,set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.1)),2");
}

TEST_CASE("The tunnels' own port is made again when somebody deletes it, also where all neighbours have others",
          "[fastdp]") {
  DatapathWorld world;
  world.Route({{1, 2}}, {1});
  world.Attach();
  world.Tunnel(1, 7001);
  REQUIRE(world.dpif.vports.at(2).udp_port == 6784);
  world.dpif.vports.erase(2);
  world.datapath.OnVportGone(world.now, 2);
  world.Settle();
  CHECK(world.dpif.vports.at(2).udp_port == 6784);
}

// From kOurs to kAtOne, which has moved; the kernel refuses to delete it.
void LeaveAStaleFlow(MeshWorld& world) {
  world.Tunnelled(1, 2, 1, kOurs, kAtOne);
  world.Packet(1, kAtOne, kOurs);
  world.check_kernel = false;
  world.dpif.refuse = absl::ResourceExhaustedError("no memory");
  world.Tunnelled(3, 2, 3, kOurs, kAtOne);
}

TEST_CASE("What the kernel does not delete it is asked to delete again, every second", "[fastdp]") {
  MeshWorld world;
  LeaveAStaleFlow(world);
  world.Advance(3 * Datapath::kRepeat);
  const FlowKey stale = {1, std::nullopt, kOurs, kAtOne};
  CHECK(world.dpif.flows.contains(stale));
  world.dpif.refuse = absl::OkStatus();
  world.Advance(Datapath::kRepeat);
  CHECK_FALSE(world.dpif.flows.contains(stale));
  world.check_kernel = true;
  world.Settle();
}

TEST_CASE("What the kernel did not delete and is right again stays", "[fastdp]") {
  MeshWorld world;
  LeaveAStaleFlow(world);
  world.dpif.refuse = absl::OkStatus();
  Bytes frame(60, 0);
  world.Miss({{1, std::nullopt, kOurs, kAtOne}, frame});
  world.Advance(2 * Datapath::kRepeat);
  world.check_kernel = true;
  world.Settle();
  CHECK(world.dpif.flows.contains({1, std::nullopt, kOurs, kAtOne}));
}

TEST_CASE("A kernel that does not tell what it has is asked again, and left alone until then", "[fastdp]") {
  DatapathWorld world;
  const FlowKey found = {1, std::nullopt, kOurs, kAtOne};
  world.dpif.flows[found] = {{Output{0}}, 1};
  world.dpif.refuse = absl::ResourceExhaustedError("no memory");
  CHECK_FALSE(world.datapath.Attach(world.now, world.dpif).ok());
  CHECK_FALSE(world.datapath.attached());
  world.check_kernel = false;
  world.Route({{1, 2}}, {1});
  world.Tunnel(1);
  CHECK(world.Packet(1, kAll, kOurs).empty());
  world.Advance(2 * Datapath::kRepeat);
  CHECK_FALSE(world.datapath.attached());
  world.dpif.refuse = absl::OkStatus();
  world.check_kernel = true;
  world.Advance(Datapath::kRepeat);
  CHECK(world.datapath.attached());
  CHECK(world.datapath.flows().flows().contains(found));
  CHECK(world.Packet(1, kAll, kOurs).front() == "sent 0,set(tunnel(tun_id=0x1002,src=10.0.0.2,dst=10.0.0.1)),2");
}

TEST_CASE("Beyond the limit of flows, frames go where they belong all the same", "[fastdp]") {
  MeshWorld world;
  world.check_kernel = false;
  const auto mac = [](std::size_t i) {
    return MacAddress(
        {2, 1, 0, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
  };
  world.Packet(1, kAll, kOurs);
  const auto miss = [&](std::size_t i) {
    world.datapath.OnMiss(world.now, {{2, TunnelKey{0x2001, world.AddressOf(1), world.AddressOf(2)}, mac(i % 60000),
                                       i < 60000 ? kOurs : kAll},
                                      Bytes(60, 0)});
  };
  for (std::size_t i = 0; i < Datapath::kMaxFlowCount + 10; ++i) miss(i);
  CHECK(world.datapath.flows().size() == Datapath::kMaxFlowCount);
  CHECK(world.dpif.lines.back().rfind("sent", 0) == 0);
  CHECK(world.datapath.CheckFlows(world.now) == absl::OkStatus());
}

}  // namespace
}  // namespace weave
