// Who has which address, and what killed programs left.
#include "test/doctor/facts.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

AddressFacts On(const std::string& address, const std::string& netns) {
  return {Cidr::Parse(address).value(), "vethwepl2", netns};
}

}  // namespace

TEST_CASE("An address in two places is told with both, whatever it belongs to", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.addresses.push_back(On("10.32.0.5/24", "/run/netns/b"));
  CHECK(Complaints(facts) ==
        Lines{"fail  addresses: 10.32.0.5 is given twice on this host: to the container at /proc/7/ns/net and to the "
              "container at /run/netns/b; type: weave detach 10.32.0.5/24 /run/netns/b"});
  facts = HealthyHost();
  facts.addresses = {On("10.2.1.1/24", "/run/netns/a"), {Cidr::Parse("10.2.1.1/24").value(), "weave", ""}};
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  addresses: 10.2.1.1 is given twice on this host: to the container at /run/netns/a and to this host's "
          "interface weave; type: weave hide 10.2.1.1/24"});
}

TEST_CASE("An address that another peer has a name for is given twice", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.peer.rivals = {{IpAddress::Parse("10.32.0.5").value(), "00:00:00:00:00:02(host2)", "web.weave.local."}};
  CHECK(Complaints(facts) ==
        Lines{"fail  addresses: 10.32.0.5 is given twice: to the container at /proc/7/ns/net and, by the name "
              "web.weave.local., to a container of 00:00:00:00:00:02(host2); type: weave detach 10.32.0.5/12 "
              "/proc/7/ns/net"});
  facts.addresses.clear();
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  addresses: 10.32.0.5 is given twice: to somebody on this host and, by the name web.weave.local., to a "
          "container of 00:00:00:00:00:02(host2); type: weave ps"});
}

TEST_CASE("An address of the range is this peer's to give, and the peer must know", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.addresses.push_back(On("10.40.0.7/12", "/run/netns/b"));
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  addresses: 10.40.0.7 is on the container at /run/netns/b, but it is 00:00:00:00:00:02's to give, who "
          "may give it to another; type: weave detach 10.40.0.7/12 /run/netns/b"});
  facts = HealthyHost();
  facts.addresses.push_back(On("10.32.0.7/12", "/run/netns/b"));
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  addresses: 10.32.0.7 is on the container at /run/netns/b, and the peer does not know: it may give it "
          "to another; type: weave attach 10.32.0.7/12 /run/netns/b"});
  facts.addresses.back() = On("10.2.1.1/24", "/run/netns/b");  // outside the range a person decides
  CHECK(Complaints(facts).empty());
}

TEST_CASE("A range that a route of the host leads into, and peers that have not agreed", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.overlap = "10.32.0.0/12 and 10.0.0.0/8 dev eth0";
  CHECK(
      Complaints(facts) ==
      Lines{
          "fail  addresses: the range and a route of this host overlap: 10.32.0.0/12 and 10.0.0.0/8 dev eth0; what is "
          "sent there goes one way or the other; type: weave reset && weave launch --ipalloc-range <another, on all "
          "hosts>"});
  facts = HealthyHost();
  facts.addresses.clear();
  facts.peer.allocator->ready = false;
  facts.peer.allocator->owners.clear();
  facts.peer.allocator->status = "idle";  // nobody has asked yet
  CHECK(Complaints(facts).empty());
  facts.peer.allocator->status = "awaiting consensus (quorum: 2, known: 1)";
  CHECK(
      Complaints(facts) ==
      Lines{
          "warn  addresses: the peers have not agreed who owns which addresses (awaiting consensus (quorum: 2, known: "
          "1)): nobody is given one before; type: weave connect <a peer that runs>"});
}

TEST_CASE("Interfaces without their other end, bridge or container are told with what removes them", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.links.push_back({"vethweplb", LinkEnd::kHost, false, "", LinkPartner::kHere, "vethwepgb"});
  facts.links.push_back({"vethwepgb", LinkEnd::kContainer, false, "", LinkPartner::kHere, "vethweplb"});
  CHECK(Complaints(facts) ==
        Lines{"warn  leftovers: interface vethwepgb belongs into a container and is in this host's "
              "namespace: left by an attach that was killed; type: ip link del vethwepgb"});
  facts = HealthyHost();
  facts.links.push_back({"vethweplb", LinkEnd::kHost, true, "weave", LinkPartner::kHere, "eth7"});
  CHECK(Complaints(facts) ==
        Lines{"warn  leftovers: interface vethweplb and its other end eth7 are both in this host's "
              "namespace: no container has it; type: ip link del vethweplb"});
  facts = HealthyHost();
  facts.links[0].partner = LinkPartner::kLost;
  CHECK(Complaints(facts) ==
        Lines{"warn  leftovers: interface vethwepl1 leads into a namespace that no process is in and "
              "nothing names: its container is gone; type: ip link del vethwepl1"});
  facts = HealthyHost();
  facts.links[0].bridge = "";
  CHECK(Complaints(facts) ==
        Lines{"fail  leftovers: interface vethwepl1 is not in the bridge weave: its container is cut "
              "off; type: ip link set vethwepl1 master weave"});
  facts = HealthyHost();
  facts.links[2].up = false;
  CHECK(Complaints(facts) ==
        Lines{"fail  leftovers: interface vethwe-pcap is down: no frame leaves this host; type: ip "
              "link set vethwe-pcap up"});
}

TEST_CASE("A bridge that is down, gone, of another kind, or no bridge at all", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.bridge->up = false;
  CHECK(Complaints(facts) ==
        Lines{"fail  leftovers: the bridge weave is down: containers cannot talk; type: ip link set "
              "weave up"});
  facts.bridge->kind = "none";
  CHECK(Complaints(facts) ==
        Lines{"fail  leftovers: there is no bridge weave; type: weave stop && weave launch --resume"});
  facts.bridge->kind = "fastdp";
  CHECK(Complaints(facts) ==
        Lines{"fail  leftovers: the bridge weave is of type fastdp, the peer made one of type bridge; "
              "type: weave reset && weave launch <peer>"});
  facts.bridge->error = "device weave is a dummy";
  CHECK(Complaints(facts) == Lines{"fail  leftovers: device weave is a dummy; type: weave reset --force"});
}

TEST_CASE("Sockets behind which nobody is", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.sockets.push_back({"/run/docker/plugins/weave.sock", true, false});
  CHECK(
      Complaints(facts) ==
      Lines{"warn  leftovers: /run/docker/plugins/weave.sock is the socket of a plugin that does not run: Docker waits "
            "for it; type: weave stop && weave launch --resume"});
  facts = HealthyHost();
  facts.peer = {};
  facts.peer.state = PeerState::kStopped;
  facts.ports.clear();
  facts.store.lock_pid = 0;
  facts.sockets[0].answered = false;
  CHECK(Complaints(facts)[1] ==
        "warn  leftovers: /run/weave/peer.sock is the socket of a peer that was killed; type: "
        "weave launch --resume");
}

}  // namespace weave::test
