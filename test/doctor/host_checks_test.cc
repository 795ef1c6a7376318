// Ports, packet filter, MTU, kernel, store.
#include "test/doctor/facts.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

Lines WithPath(std::uint32_t path_mtu, ConnectionFacts connection, std::uint32_t bridge_mtu = 65535,
               const std::string& bridge_type = "bridge") {
  DoctorFacts facts = HealthyHost();
  facts.paths[0].mtu_bytes = path_mtu;
  facts.peer.connections[0] = std::move(connection);
  facts.peer.bridge_type = bridge_type;
  facts.bridge->kind = bridge_type;
  facts.bridge->mtu_bytes = bridge_mtu;
  return Complaints(facts);
}

ConnectionFacts By(const std::string& overlay, std::uint32_t mtu, bool encrypted = false) {
  ConnectionFacts connection = HealthyHost().peer.connections[0];
  connection.overlay = overlay;
  connection.mtu_bytes = mtu;
  connection.encrypted = encrypted;
  return connection;
}

}  // namespace

TEST_CASE("A port that somebody else holds is told with who it is", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.ports[0].pid = 7;
  facts.ports[0].program = "nc";
  CHECK(Complaints(facts) ==
        Lines{"fail  ports: TCP port 6783 (connections) is held by nc (pid 7), not by the peer (pid "
              "100); type: kill 7, or weave launch --port <another>"});
  facts = HealthyHost();
  facts.ports[1].bound = false;
  CHECK(Complaints(facts) ==
        Lines{"fail  ports: UDP port 6783 (sleeve) is closed: the peer does not listen there; type: "
              "weave stop && weave launch --resume"});
}

TEST_CASE("Without a peer a port that is held keeps one from starting", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.peer = {};
  facts.peer.state = PeerState::kStopped;
  facts.store.lock_pid = 0;
  for (PortFacts& port : facts.ports) port.bound = false;
  for (int i : {0, 1}) facts.ports[i].use = PortUse::kFree;
  CHECK(Complaints(facts).size() == 1);  // the peer that does not run
  facts.ports[0].bound = true;
  facts.ports[0].pid = 7;
  facts.ports[0].program = "nc";
  CHECK(Complaints(facts)[1] ==
        "fail  ports: TCP port 6783 (connections) is held by nc (pid 7): a peer cannot start; "
        "type: kill 7, or weave launch --port <another>");
  facts.ports[0].pid = 0;
  CHECK(Complaints(facts)[1] ==
        "fail  ports: TCP port 6783 (connections) is held by the kernel, or by a process that cannot be seen from "
        "here: a "
        "peer cannot start; type: weave launch --port <another>");
  // The kernel's tunnels live on while a peer is stopped.
  facts = HealthyHost();
  facts.ports[2].bound = true;
  CHECK(Complaints(facts).empty());
}

TEST_CASE("The tunnels' port is the kernel's with a fast data path, and nobody's without", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.ports[2].bound = true;
  facts.ports[2].pid = 8;
  facts.ports[2].program = "socat";
  CHECK(Complaints(facts) ==
        Lines{"warn  ports: UDP port 6784 (VXLAN) is held by socat (pid 8): a fast data path could "
              "not be used; type: kill 8, or weave launch --port <another>"});
  facts.ports[2].use = PortUse::kKernel;
  CHECK(Complaints(facts) ==
        Lines{"fail  ports: UDP port 6784 (VXLAN) is held by socat (pid 8): the fast data path gets "
              "no packets; type: kill 8, or weave launch --port <another>"});
  facts.ports[2].bound = false;
  CHECK(Complaints(facts) ==
        Lines{"fail  ports: UDP port 6784 (VXLAN) is closed: the fast data path has no tunnel's end "
              "there; type: weave stop && weave launch --resume"});
}

TEST_CASE("What the packet filter drops is told with the rule, once for all peers", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  FirewallPathFacts path{"TCP port 6783",
                         "from 10.0.0.2",
                         "iptables-nft",
                         "INPUT",
                         "-p tcp -j DROP",
                         PacketFate::kDropped,
                         "iptables-nft -I INPUT -p tcp --dport 6783 -j ACCEPT"};
  facts.firewall->paths = {path};
  CHECK(Complaints(facts) ==
        Lines{"fail  firewall: TCP port 6783 from 10.0.0.2 is dropped by iptables-nft: INPUT -p tcp "
              "-j DROP; type: iptables-nft -I INPUT -p tcp --dport 6783 -j ACCEPT"});
  path.whom = "from 10.0.0.3";
  facts.firewall->paths.push_back(path);
  CHECK(
      Complaints(facts) ==
      Lines{"fail  firewall: TCP port 6783 from 10.0.0.2 and 1 more is dropped by iptables-nft: INPUT -p tcp -j DROP; "
            "type: iptables-nft -I INPUT -p tcp --dport 6783 -j ACCEPT"});
  path.fate = PacketFate::kUnclear;
  path.rule = "";
  facts.firewall->paths = {path};
  CHECK(
      Complaints(facts) ==
      Lines{
          "warn  firewall: TCP port 6783 from 10.0.0.3 may be dropped by iptables-nft: the policy of INPUT, unless an "
          "earlier rule that cannot be judged from here accepts it; type: iptables-nft -I INPUT -p tcp --dport 6783 "
          "-j ACCEPT"});
}

TEST_CASE("Rules of ours that are missing, others' above them, and a host that does not forward", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.firewall->missing = {"filter FORWARD -i weave -o weave -j ACCEPT"};
  facts.firewall->displaced = {"filter FORWARD"};
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  firewall: a rule of ours is missing, which the peer puts back within 2 s if it can: filter FORWARD -i "
          "weave -o weave -j ACCEPT; type: tail -n 30 /var/log/weave/weave.log",
          "warn  firewall: rules of others stand above ours in filter FORWARD, and the peer does not get past them; "
          "type: iptables-save"});
  facts = HealthyHost();
  facts.peer.exposures = {"10.32.0.1/12"};
  CHECK(Complaints(facts) == Lines{"fail  firewall: net.ipv4.ip_forward is 0: 10.32.0.1/12 is exposed, but this host "
                                   "forwards nothing between the network and the world; type: sysctl -w "
                                   "net.ipv4.ip_forward=1"});
  facts.firewall->ip_forward = true;
  CHECK(Complaints(facts).empty());
}

TEST_CASE("A way must take what the fast data path needs", "[doctor]") {
  CHECK(WithPath(1500, By("fastdp", 1376), 1376, "bridged_fastdp").empty());
  CHECK(WithPath(1426, By("fastdp", 1376), 1376, "bridged_fastdp").empty());
  CHECK(WithPath(1500, By("fastdp", 1450), 8950, "bridged_fastdp").empty());
  CHECK(
      WithPath(1425, By("sleeve", 1363), 1376, "bridged_fastdp") ==
      Lines{"warn  mtu: the way to 00:00:00:00:00:02(host2) at 10.0.0.2 through eth0 takes packets of 1425 bytes, the "
            "fast data path needs 1426 for an MTU of 1376: the slow one (sleeve) is used; type: ip link set "
            "eth0 mtu 1500, or on all hosts: weave stop && weave launch --resume --mtu 1375"});
  CHECK(WithPath(1460, By("fastdp", 1376, true), 1376, "bridged_fastdp").empty());
  CHECK(WithPath(1459, By("sleeve", 1373, true), 1376, "bridged_fastdp").size() == 1);
}

TEST_CASE("Sleeve fits itself to a way, which is worth a word where that is narrow", "[doctor]") {
  CHECK(WithPath(1438, By("sleeve", 1376)).empty());
  CHECK(WithPath(1000, By("sleeve", 938), 900).empty());  // containers send no more, by --mtu
  CHECK(
      WithPath(1000, By("sleeve", 938)) ==
      Lines{"warn  mtu: the way to 00:00:00:00:00:02(host2) at 10.0.0.2 through eth0 takes packets of 1000 bytes: what "
            "containers send above 938 bytes goes in pieces or is refused; type: ip link set eth0 mtu 1500"});
  CHECK(
      WithPath(1500, By("sleeve", 800)) ==
      Lines{
          "warn  mtu: the way to 00:00:00:00:00:02(host2) at 10.0.0.2 through eth0 carries packets of 862 bytes only, "
          "though eth0 takes 1500: a hop in between is narrower, or drops what is larger; type: tracepath -n "
          "10.0.0.2"});
  DoctorFacts facts = HealthyHost();
  facts.paths[0].error = "Network is unreachable";
  CHECK(Complaints(facts) ==
        Lines{"fail  mtu: this host has no way to 10.0.0.2: Network is unreachable; type: ip route "
              "get 10.0.0.2"});
}

TEST_CASE("What the kernel lacks is told with what is used instead", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.peer.bridge_type_reason = "the kernel has no Open vSwitch";
  facts.kernel.openvswitch = FeatureState::kMissing;
  CHECK(Complaints(facts) ==
        Lines{"warn  kernel: the bridge is of type bridge, not the default: the kernel has no Open "
              "vSwitch; frames go by the slow data path (sleeve); type: modprobe openvswitch && weave reset && "
              "weave launch <peer>"});
  facts.peer.bridge_type_reason = "this host has a bridge of type bridge, which 'weave reset' removes";
  facts.kernel.openvswitch = FeatureState::kThere;
  CHECK(
      Complaints(facts) ==
      Lines{"warn  kernel: the bridge is of type bridge, not the default: this host has a bridge of type bridge, which "
            "'weave reset' removes; frames go by the slow data path (sleeve); type: weave reset && weave launch "
            "<peer>"});
  facts = HealthyHost();
  facts.kernel.esp = FeatureState::kMissing;  // which nothing uses
  CHECK(Complaints(facts).empty());
  facts.peer.bridge_type = facts.bridge->kind = "bridged_fastdp";
  facts.bridge->mtu_bytes = 1376;
  facts.peer.has_password = true;
  CHECK(Complaints(facts) == Lines{"warn  kernel: kernel 6.1.0 has no ESP (xfrm): encrypted connections go by the slow "
                                   "data path (sleeve); type: modprobe esp4"});
  facts = HealthyHost();
  facts.kernel.conntrack_count = 59000;
  facts.kernel.conntrack_max = 65536;
  CHECK(Complaints(facts) ==
        Lines{"fail  kernel: the table of tracked connections is full (59000 of 65536): new ones are "
              "dropped; type: sysctl -w net.netfilter.nf_conntrack_max=131072"});
  facts = HealthyHost();
  facts.kernel.neighbour_max = 1024;
  facts.kernel.neighbour_count = 921;
  CHECK(Complaints(facts).empty());
  facts.kernel.neighbour_count = 1024;
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  kernel: the table of neighbours (ARP) is full (1024 of 1024): hosts and containers that are not in it "
          "cannot be reached; type: sysctl -w net.ipv4.neigh.default.gc_thresh3=2048"});
}

TEST_CASE("A store that cannot be written gives no addresses", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.store.write_error = "/var/lib/weave: Read-only file system";
  CHECK(Complaints(facts) == Lines{"fail  store: /var/lib/weave/weavedata.db cannot be written, so no address can be "
                                   "given: /var/lib/weave: Read-only file system; type: findmnt -T /var/lib/weave"});
  facts = HealthyHost();
  facts.store.free_bytes = 4096;
  CHECK(Complaints(facts) ==
        Lines{"fail  store: the disk of /var/lib/weave is full: no address can be given; type: df -h "
              "/var/lib/weave; df -i /var/lib/weave"});
  facts.store.free_bytes = 10 << 20;
  CHECK(Complaints(facts) ==
        Lines{"warn  store: the disk of /var/lib/weave has 10 MiB left: once it is full no address "
              "can be given; type: df -h /var/lib/weave; df -i /var/lib/weave"});
}

TEST_CASE("Stores of others, damaged ones and such as somebody else has open", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.store.set_aside = {"/var/lib/weave/weavedata.db.damaged-20200102T030405Z"};
  facts.store.lock_pid = 9;
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  store: /var/lib/weave/weavedata.db is held open by process 9, which is not this peer; type: ps -fp 9",
          "warn  store: /var/lib/weave/weavedata.db.damaged-20200102T030405Z is a damaged store that was set aside; "
          "the peer began anew without what it knew; type: rm "
          "/var/lib/weave/weavedata.db.damaged-20200102T030405Z"});
  facts = HealthyHost();
  facts.store.kind = StoreKind::kBolt;
  CHECK(Complaints(facts) ==
        Lines{"warn  store: /var/lib/weave/weavedata.db is of Weave Net 2.8, and not taken over yet: "
              "its addresses are kept by the first launch, with the 2.8 peer stopped; type: docker "
              "stop weave; weave launch --resume"});
}

}  // namespace weave::test
