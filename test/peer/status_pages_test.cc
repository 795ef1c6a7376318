#include "peer/status_pages.h"

#include <string>

#include "test/support/catch.h"

namespace weave {
namespace {

PeerSnapshot Alone() {
  PeerSnapshot snapshot;
  snapshot.name = PeerName(1);
  snapshot.nickname = "peer1";
  snapshot.ready = true;
  return snapshot;
}

StatusView::Connection Connection(const char* state) { return {true, "10.77.0.1:6783", state, "", {}}; }

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
  const StatusView view = MakeStatusView(Alone(), WeaverOptions(), "3.0.0");
  CHECK(StatusPage(view) == kAlone);
  CHECK(PeersPage(view) == "00:00:00:00:00:01(peer1)\n");
  CHECK(TargetsPage(view).empty());
  CHECK(ConnectionsPage(view).empty());
}

TEST_CASE("A host that cannot be set up has its reason in the status, in one line", "[peer][status]") {
  PeerSnapshot snapshot = Alone();
  snapshot.ready = false;
  snapshot.host_error = absl::AlreadyExistsError("\"weave\" is a dummy,\nnot a bridge");
  CHECK(StatusPage(MakeStatusView(snapshot, WeaverOptions(), "3.0.0")) ==
        std::string(kAlone) +
            "\n"
            "        Service: host\n"
            "         Status: \"weave\" is a dummy, not a bridge\n");
}

TEST_CASE("What the user asked for shows in the router's section", "[peer][status]") {
  WeaverOptions options;
  options.password = "s3cret";
  options.no_discovery = true;
  options.min_protocol_version = 2;
  options.trusted_subnets = {*Cidr::Parse("10.0.0.0/8"), *Cidr::Parse("192.168.0.0/16")};
  CHECK(StatusPage(MakeStatusView(Alone(), options, "3.0.0")) ==
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
  StatusView view = MakeStatusView(Alone(), WeaverOptions(), "3.0.0");
  view.targets = {"host2", "host3:7000"};
  view.connections = {Connection("failed"), Connection("established"), Connection("established")};
  view.peers[0].links = {{true, "10.77.0.2:6783", PeerName(2), "peer2", true},
                         {false, "10.77.0.3:5000", PeerName(3), "peer3", false}};
  view.peers.push_back({PeerName(2), "peer2", {{false, "10.77.0.1:5001", PeerName(1), "peer1", true}}});
  const std::string page = StatusPage(view);
  CHECK(page.find("        Targets: 2\n"
                  "    Connections: 3 (2 established, 1 failed)\n"
                  "          Peers: 2 (with 2 established, 1 pending connections)\n") != std::string::npos);
  CHECK(TargetsPage(view) == "host2\nhost3:7000\n");
  CHECK(PeersPage(view) ==
        "00:00:00:00:00:01(peer1)\n"
        "   -> 10.77.0.2:6783        00:00:00:00:00:02(peer2)              established\n"
        "   <- 10.77.0.3:5000        00:00:00:00:00:03(peer3)              pending\n"
        "00:00:00:00:00:02(peer2)\n"
        "   <- 10.77.0.1:5001        00:00:00:00:00:01(peer1)              established\n");
}

TEST_CASE("Connection lines are 2.8's, attributes without any separator", "[peer][status]") {
  // The examples of spec/control.md section 3.2.
  StatusView view;
  view.connections = {
      {false,
       "10.77.0.2:46583",
       "established",
       "sleeve 00:00:00:00:00:02(peer2)",
       {{"name", "sleeve"}, {"mtu", "1438"}}},
      {false,
       "10.77.0.2:52747",
       "established",
       "encrypted   sleeve 00:00:00:00:00:02(peer2)",
       {{"mtu", "1414"}, {"encrypted", "true"}, {"name", "sleeve"}}},
      {true, "10.77.0.9:6783", "connecting", "", {}},
  };
  CHECK(ConnectionsPage(view) ==
        "<- 10.77.0.2:46583       established sleeve 00:00:00:00:00:02(peer2) mtu=1438\n"
        "<- 10.77.0.2:52747       established encrypted   sleeve 00:00:00:00:00:02(peer2) encrypted=truemtu=1414\n"
        "-> 10.77.0.9:6783        connecting   \n");
}

}  // namespace
}  // namespace weave
