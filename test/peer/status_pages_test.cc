#include "peer/status_pages.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "test/peer/mesh_examples.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using State = MeshStatus::ConnectionState;

PeerSnapshot Alone() {
  PeerSnapshot snapshot;
  snapshot.name = PeerName(1);
  snapshot.nickname = "peer1";
  snapshot.ready = true;
  return snapshot;
}

StatusView Of(MeshStatus mesh) { return MakeStatusView(Alone(), std::move(mesh), "3.0.0"); }

constexpr char kAlone[] =
    "        Version: 3.0.0 (version check update disabled)\n"
    "\n"
    "        Service: router\n"
    "       Protocol: weave 1..2\n"
    "           Name: 00:00:00:00:00:01(peer1)\n"
    "     Encryption: disabled\n"
    "  PeerDiscovery: enabled\n"
    "        Targets: 0\n"
    "    Connections: 0\n"
    "          Peers: 1\n"
    " TrustedSubnets: none\n";

TEST_CASE("A lonely peer's status is 2.8's, byte for byte", "[peer][status]") {
  const StatusView view = MakeStatusView(Alone(), LonelyMesh(), "3.0.0");
  CHECK(StatusPage(view) == kAlone);
  CHECK(PeersPage(view) == "00:00:00:00:00:01(peer1)\n");
  CHECK(TargetsPage(view).empty());
  CHECK(ConnectionsPage(view).empty());
}

TEST_CASE("Pages equal those a reference peer gave, but for sections of later features", "[peer][status][golden]") {
  StatusView view = Of(LonelyMesh());
  view.version = "2.8.1";
  const std::string reference = ReferenceBody("/status");
  CHECK(reference.substr(0, reference.find("\n        Service: ipam")) == StatusPage(view));
  CHECK(ReferenceBody("/status/peers") == PeersPage(view));

  // After POST /connect with two peers that do not answer.
  view.mesh.targets = {"10.77.0.9", "10.77.0.8:7000"};
  view.mesh.connections = {Target("10.77.0.9:6783", State::kConnecting), Target("10.77.0.8:7000", State::kConnecting)};
  CHECK(ReferenceBody("/status/targets", "10.77.0.9") == TargetsPage(view));
  CHECK(ReferenceBody("/status/connections", "10.77.0.9") == ConnectionsPage(view));
}

TEST_CASE("The plugin's section tells which kind it is", "[peer][status]") {
  StatusView view = MakeStatusView(Alone(), LonelyMesh(), "3.0.0");
  WeaverOptions options;
  CHECK_FALSE(MakePluginView(options).has_value());
  options.plugin = true;
  view.plugin = MakePluginView(options);
  CHECK(StatusPage(view) == std::string(kAlone) + "\n        Service: plugin (legacy)\n     DriverName: weave\n");
  options.plugin_v2 = true;
  view.plugin = MakePluginView(options);
  CHECK(StatusPage(view) == std::string(kAlone) + "\n        Service: plugin (v2)\n");
}

TEST_CASE("A bridge of another type than the peer would make has its reason in the status", "[peer][status]") {
  StatusView view = MakeStatusView(Alone(), LonelyMesh(), "3.0.0");
  view.bridge_type = "bridge";
  CHECK(StatusPage(view) == kAlone);
  view.bridge_type_reason = "this kernel has no Open vSwitch";
  CHECK(StatusPage(view) == std::string(kAlone) +
                                "\n"
                                "        Service: host\n"
                                "     BridgeType: bridge (this kernel has no Open vSwitch)\n");
}

TEST_CASE("A host that cannot be set up has its reason in the status, in one line", "[peer][status]") {
  PeerSnapshot snapshot = Alone();
  snapshot.ready = false;
  snapshot.host_error = absl::AlreadyExistsError("\"weave\" is a dummy,\nnot a bridge");
  CHECK(StatusPage(MakeStatusView(snapshot, LonelyMesh(), "3.0.0")) ==
        std::string(kAlone) +
            "\n"
            "        Service: host\n"
            "         Status: \"weave\" is a dummy, not a bridge\n");
}

TEST_CASE("What the user asked for shows in the router's section", "[peer][status]") {
  MeshStatus mesh = LonelyMesh();
  mesh.has_password = true;
  mesh.peer_discovery = false;
  mesh.min_protocol_version = 2;
  mesh.trusted_subnets = {*Cidr::Parse("10.0.0.0/8"), *Cidr::Parse("192.168.0.0/16")};
  CHECK(StatusPage(MakeStatusView(Alone(), mesh, "3.0.0")) ==
        "        Version: 3.0.0 (version check update disabled)\n"
        "\n"
        "        Service: router\n"
        "       Protocol: weave 2\n"
        "           Name: 00:00:00:00:00:01(peer1)\n"
        "     Encryption: enabled\n"
        "  PeerDiscovery: disabled\n"
        "        Targets: 0\n"
        "    Connections: 0\n"
        "          Peers: 1\n"
        " TrustedSubnets: 10.0.0.0/8, 192.168.0.0/16\n");
}

TEST_CASE("Connections are counted by state in 2.8's order, none of them zero", "[peer][status]") {
  MeshStatus mesh = LonelyMesh();
  mesh.targets = {"host2", "host3:7000"};
  mesh.connections = {Target("host3:7000", State::kFailed), Live(2, State::kEstablished), Live(3, State::kEstablished)};
  mesh.peers[0].connections = {{PeerName(2), "peer2", "10.77.0.2:6783", true, true},
                               {PeerName(3), "peer3", "10.77.0.3:5000", false, false}};
  mesh.peers.push_back({PeerName(2), "peer2", 22, 5, 1, {{PeerName(1), "peer1", "10.77.0.1:5001", false, true}}});
  const StatusView view = Of(mesh);
  CHECK(StatusPage(view).find("        Targets: 2\n"
                              "    Connections: 3 (2 established, 1 failed)\n"
                              "          Peers: 2 (with 2 established, 1 pending connections)\n") != std::string::npos);
  CHECK(TargetsPage(view) == "host2\nhost3:7000\n");
  CHECK(PeersPage(view) ==
        "00:00:00:00:00:01(peer1)\n"
        "   -> 10.77.0.2:6783        00:00:00:00:00:02(peer2)              established\n"
        "   <- 10.77.0.3:5000        00:00:00:00:00:03(peer3)              pending\n"
        "00:00:00:00:00:02(peer2)\n"
        "   <- 10.77.0.1:5001        00:00:00:00:00:01(peer1)              established\n");

  mesh.connections.clear();
  for (const State state : {State::kConnecting, State::kFailed, State::kRetrying, State::kPending, State::kEstablished})
    mesh.connections.push_back(Target("x", state));
  CHECK(StatusPage(Of(mesh)).find("Connections: 5 (1 established, 1 pending, 1 retrying, 1 failed, 1 connecting)\n") !=
        std::string::npos);
}

// The line of the one connection of a mesh, without its end.
std::string LineOf(const MeshStatus::Connection& connection, bool has_password = false) {
  MeshStatus mesh = LonelyMesh();
  mesh.has_password = has_password;
  mesh.connections = {connection};
  const std::string page = ConnectionsPage(Of(mesh));
  REQUIRE(page.back() == '\n');
  return page.substr(0, page.size() - 1);
}

TEST_CASE("Live connections show overlay, peer and encryption, attributes without any separator", "[peer][status]") {
  // The examples of spec/control.md section 3.2.
  MeshStatus::Connection live = Live(2, State::kEstablished);
  live.address = "10.77.0.2:46583";
  live.overlay = {"sleeve", {{"mtu", "1438"}}};
  CHECK(LineOf(live) == "<- 10.77.0.2:46583       established sleeve 00:00:00:00:00:02(peer2) mtu=1438");
  CHECK(LineOf(live, true) ==
        "<- 10.77.0.2:46583       established unencrypted sleeve 00:00:00:00:00:02(peer2) mtu=1438");
  live.encrypted = true;
  live.overlay.attributes["mtu"] = "1414";
  CHECK(LineOf(live, true) ==
        "<- 10.77.0.2:46583       established encrypted   sleeve 00:00:00:00:00:02(peer2) encrypted=truemtu=1414");

  MeshStatus::Connection pending = Live(3, State::kPending);
  pending.outbound = true;
  CHECK(LineOf(pending) == "-> 10.77.0.3:6783        pending     none   00:00:00:00:00:03(peer3) ");
}

TEST_CASE("Targets show why they are not connected and when they are tried again", "[peer][status]") {
  MeshStatus::Connection target = Target("10.77.0.1:6783", State::kConnecting);
  CHECK(LineOf(target) == "-> 10.77.0.1:6783        connecting   ");
  target.error = absl::UnavailableError("dial tcp4 10.77.0.1:6783:\nconnection refused");
  target.state = State::kRetrying;
  CHECK(LineOf(target) == "-> 10.77.0.1:6783        retrying    dial tcp4 10.77.0.1:6783: connection refused ");
  target.state = State::kFailed;
  CHECK(LineOf(target) ==
        "-> 10.77.0.1:6783        failed      dial tcp4 10.77.0.1:6783: connection refused, retry: never ");
  target.retry_at = absl::FromUnixNanos(1'795'302'052'647'686'131);
  CHECK(LineOf(target) ==
        "-> 10.77.0.1:6783        failed      dial tcp4 10.77.0.1:6783: connection refused, retry: "
        "2026-11-21 23:00:52.647686131 +0000 UTC ");
  target.state = State::kWaiting;
  CHECK(LineOf(target) == "-> 10.77.0.1:6783        waiting     until: 2026-11-21 23:00:52.647686131 +0000 UTC ");
}

TEST_CASE("What other peers call themselves cannot look like a line of ours", "[peer][status]") {
  MeshStatus mesh = LonelyMesh();
  mesh.peers.push_back({PeerName(2), "evil\n00:00:00:00:00:03(x\x1b[2J", 1, {}, 1, {}});
  mesh.peers[0].connections = {{PeerName(2), "e\rvil", "1\n2", true, true}};
  const std::string page = PeersPage(Of(mesh));
  CHECK(page ==
        "00:00:00:00:00:01(peer1)\n"
        "   -> 1 2                   00:00:00:00:00:02(e vil)              established\n"
        "00:00:00:00:00:02(evil 00:00:00:00:00:03(x [2J)\n");
}

}  // namespace
}  // namespace weave
