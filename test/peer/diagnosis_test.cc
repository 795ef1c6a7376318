// What the peer tells `weave doctor`.
#include "peer/diagnosis.h"

#include "base/log.h"
#include "dns/name_messages.h"
#include "test/peer/mesh_examples.h"
#include "test/support/catch.h"

namespace weave {
namespace {

IpAddress Address(const char* text) { return IpAddress::Parse(text).value(); }

// Ourselves, 2 to which we are connected, and 3 that only 2 still counts.
MeshStatus BrokenMesh() {
  MeshStatus mesh = LonelyMesh();
  mesh.targets = {"10.77.0.2", "10.77.0.9"};
  mesh.peers.push_back({PeerName(2), "peer2", 5, 7, 1, {{PeerName(3), "peer3", "10.77.0.3:6783", true, false}}});
  mesh.peers.push_back({PeerName(3), "peer\xFF", 6, 8, 1, {}});
  mesh.unicast_routes.push_back({PeerName(2), PeerName(2)});
  MeshStatus::Connection live = Live(2, MeshStatus::ConnectionState::kEstablished);
  live.overlay.name = "sleeve";
  live.overlay.attributes["mtu"] = "1438";
  mesh.connections = {live, Target("10.77.0.9:6783", MeshStatus::ConnectionState::kFailed)};
  mesh.connections[1].error = absl::UnavailableError("connection refused");
  return mesh;
}

}  // namespace

TEST_CASE("A diagnosis has each connection with what is known of it", "[peer][doctor]") {
  v1::Diagnosis diagnosis;
  DescribeMesh(BrokenMesh(), diagnosis);
  REQUIRE(diagnosis.connections_size() == 2);
  const v1::Diagnosis::Connection& live = diagnosis.connections(0);
  CHECK(live.address() == "10.77.0.2:6783");
  CHECK(live.state() == "established");
  CHECK(live.peer() == "00:00:00:00:00:02");
  CHECK(live.nickname() == "peer2");
  CHECK(live.overlay() == "sleeve");
  CHECK(live.mtu_bytes() == 1438);
  const v1::Diagnosis::Connection& target = diagnosis.connections(1);
  CHECK(target.state() == "failed");
  CHECK(target.error() == "connection refused");
  CHECK(target.gives_up());  // no time of a next attempt
  CHECK(target.peer().empty());
  REQUIRE(diagnosis.targets_size() == 2);
  CHECK(diagnosis.targets(1) == "10.77.0.9");
}

TEST_CASE("Peers without a way are told with where others dial them, whatever they are called", "[peer][doctor]") {
  v1::Diagnosis diagnosis;
  DescribeMesh(BrokenMesh(), diagnosis);
  REQUIRE(diagnosis.peers_size() == 2);
  CHECK(diagnosis.peers(0).reachable());
  CHECK(diagnosis.peers(1).name() == "00:00:00:00:00:03");
  CHECK_FALSE(diagnosis.peers(1).reachable());
  REQUIRE(diagnosis.peers(1).addresses_size() == 1);
  CHECK(diagnosis.peers(1).addresses(0) == "10.77.0.3:6783");
  v1::Diagnosis parsed;
  REQUIRE(parsed.ParseFromString(diagnosis.SerializeAsString()));
  CHECK(parsed.peers(1).nickname() == "peer\xFF");
}

TEST_CASE("The ring is told as ranges, with owners that are not heard", "[peer][doctor]") {
  IpamStatus ipam;
  ipam.range = Cidr::Parse("10.32.0.0/24").value();
  ipam.default_subnet = ipam.range;
  ipam.entries = {{Address("10.32.0.64"), PeerName(2), 3, 10}, {Address("10.32.0.128"), PeerName(1), 7, 100}};
  ipam.owners = {{PeerName(1), "peer1", 192, true}, {PeerName(2), "peer2", 64, false}};
  ipam.pending_allocations.push_back({"c1", ipam.range});
  v1::Diagnosis::Allocator allocator;
  DescribeAllocator(ipam, allocator);
  CHECK(allocator.ready());
  CHECK(allocator.range() == "10.32.0.0/24");
  CHECK(allocator.waiting_count() == 1);
  REQUIRE(allocator.ranges_size() == 3);  // the last crosses the origin
  CHECK(allocator.ranges(0).start() == "10.32.0.0");
  CHECK(allocator.ranges(0).address_count() == 64);
  CHECK(allocator.ranges(0).owner() == "00:00:00:00:00:01");
  CHECK(allocator.ranges(1).owner() == "00:00:00:00:00:02");
  CHECK(allocator.ranges(2).address_count() == 128);
  REQUIRE(allocator.owners_size() == 2);
  CHECK(allocator.owners(1).address_count() == 64);
  CHECK_FALSE(allocator.owners(1).reachable());
}

TEST_CASE("Clocks are told with the age of what was heard", "[peer][doctor]") {
  const MonotonicTime start(1'000'000'000);
  const absl::btree_map<PeerName, ClockReading> readings = {{PeerName(2), {-40, start}}, {PeerName(9), {7, start}}};
  v1::Diagnosis diagnosis;
  DescribeClocks({start + absl::Seconds(12), absl::UnixEpoch()}, readings, BrokenMesh(), diagnosis);
  REQUIRE(diagnosis.clocks_size() == 2);
  CHECK(diagnosis.clocks(0).nickname() == "peer2");
  CHECK(diagnosis.clocks(0).ahead_seconds() == -40);
  CHECK(diagnosis.clocks(0).age_seconds() == 12);
  CHECK(diagnosis.clocks(1).nickname().empty());  // gone from the topology
}

TEST_CASE("Names of others for our addresses are told, but those that people gave to addresses of others",
          "[peer][doctor]") {
  struct Everybody final : KnownPeers {
    bool IsKnown(PeerName) const override { return true; }
  } peers;
  NullLogger logger;
  NameRegistry names(PeerName(1), "weave.local.", peers, logger);
  const Now now{MonotonicTime(1), absl::FromUnixSeconds(1'800'000'000)};
  const auto entry = [](PeerName origin, const char* container, const char* address, const char* hostname) {
    NameEntry made;
    made.container = container;
    made.origin = origin;
    made.address = Address(address).v4();
    made.hostname = hostname;
    return std::make_shared<const NameEntry>(made);
  };
  names.Add("c0", Address("10.32.0.1").v4(), "ours.weave.local.");
  const Bytes told = EncodeNames(absl::ToUnixSeconds(now.wall),
                                 {entry(PeerName(2), "c1", "10.32.0.1", "theirs.weave.local."),
                                  entry(PeerName(2), "weave:extern", "10.32.0.1", "z-extern.weave.local."),
                                  entry(PeerName(2), "c2", "10.32.0.2", "z-other.weave.local.")});
  REQUIRE(names.OnGossip(now, PeerName(2), told).ok());
  v1::Diagnosis diagnosis;
  DescribeRivals({Address("10.32.0.1").v4(), Address("10.32.0.3").v4()}, names, BrokenMesh(), diagnosis);
  REQUIRE(diagnosis.rivals_size() == 1);
  CHECK(diagnosis.rivals(0).address() == "10.32.0.1");
  CHECK(diagnosis.rivals(0).peer() == "00:00:00:00:00:02");
  CHECK(diagnosis.rivals(0).nickname() == "peer2");
  CHECK(diagnosis.rivals(0).hostname() == "theirs.weave.local.");
}

TEST_CASE("The packet filter is told as it was set up, with its control port", "[peer][doctor]") {
  FirewallConfig config;
  config.docker_bridge = "docker0";
  config.docker_bridge_address = Address("172.17.0.1");
  config.control = FirewallControlPort{Address("127.0.0.1"), 6784};
  v1::Diagnosis::Firewall firewall;
  DescribeFirewall(config, FirewallBackend::kLegacy, firewall);
  CHECK(firewall.backend() == "legacy");
  CHECK(firewall.docker_bridge_address() == "172.17.0.1");
  CHECK(firewall.control_address() == "127.0.0.1");
  CHECK(firewall.control_port() == 6784);
}

}  // namespace weave
