// What `weave doctor` takes from a peer's answers, and where it looks after them.
#include "cli/doctor_facts.h"

#include "test/support/catch.h"

namespace weave {
namespace {

v1::Diagnosis Connected() {
  v1::Diagnosis diagnosis;
  diagnosis.set_port(7000);
  for (const char* address : {"10.0.0.2:7000", "10.0.0.2:51234", "10.0.0.3:7000", "[fe80::1]:7000", "host:7000", ""}) {
    v1::Diagnosis::Connection* connection = diagnosis.add_connections();
    connection->set_address(address);
    connection->set_state("established");
  }
  return diagnosis;
}

std::vector<std::string> Words(const std::vector<PortFacts>& ports) {
  std::vector<std::string> words;
  for (const PortFacts& port : ports)
    words.push_back(port.protocol + " " + (port.address.has_value() ? port.address->ToString() : "*") + " " +
                    std::to_string(port.port) + " " + port.purpose);
  return words;
}

}  // namespace

TEST_CASE("Ways are looked at to each address of a peer once", "[cli][doctor]") {
  GatherOptions options;
  AimByDiagnosis(Connected(), {}, options);
  CHECK(options.remotes ==
        std::vector<IpAddress>{IpAddress::Parse("10.0.0.2").value(), IpAddress::Parse("10.0.0.3").value()});
  CHECK(options.port == 7000);
  CHECK_FALSE(options.range.has_value());
}

TEST_CASE("The rules that a peer should have are those that it tells of", "[cli][doctor]") {
  v1::Diagnosis diagnosis = Connected();
  v1::Diagnosis::Firewall& firewall = *diagnosis.mutable_firewall();
  firewall.set_backend("legacy");
  firewall.set_docker_bridge("docker0");
  firewall.set_docker_bridge_address("172.17.0.1");
  firewall.set_control_address("127.0.0.1");
  firewall.set_control_port(6784);
  v1::Diagnosis::Exposure* exposure = diagnosis.add_exposures();
  exposure->set_address("10.32.0.1/12");
  exposure->set_masquerade(true);
  v1::PeerInfo info;
  info.set_bridge("other");
  GatherOptions options;
  AimByDiagnosis(diagnosis, info, options);
  FirewallConfig expected;
  expected.bridge = "other";
  expected.docker_bridge = "docker0";
  expected.docker_bridge_address = IpAddress::Parse("172.17.0.1").value();
  expected.port = 7000;
  expected.control = FirewallControlPort{IpAddress::Parse("127.0.0.1").value(), 6784};
  expected.exposures = {{Cidr::Parse("10.32.0.1/12").value(), true}};
  CHECK(options.firewall == expected);
  CHECK(options.firewall_backend == FirewallBackend::kLegacy);
}

TEST_CASE("Ports are those of the peer's listeners; a unix socket is none", "[cli][doctor]") {
  v1::Diagnosis diagnosis;
  diagnosis.set_port(7000);
  diagnosis.set_http_address("/run/weave/http.sock");
  diagnosis.set_status_address("0.0.0.0:6782");
  diagnosis.set_dns_address("172.17.0.1:53");
  CHECK(Words(PortsOf(diagnosis, false)) ==
        std::vector<std::string>{"TCP * 7000 connections", "UDP * 7000 sleeve", "UDP * 7001 VXLAN", "TCP * 6782 status",
                                 "TCP 172.17.0.1 53 names", "UDP 172.17.0.1 53 names"});
  CHECK(PortsOf(diagnosis, false)[2].use == PortUse::kTunnel);
  CHECK(PortsOf(diagnosis, true)[2].use == PortUse::kKernel);

  LaunchState state;
  state.port = "99999";  // no port: a launch would refuse it
  CHECK(Words(PortsOf(state)) == std::vector<std::string>{"TCP * 6783 connections", "UDP * 6783 sleeve",
                                                          "UDP * 6784 VXLAN", "TCP 127.0.0.1 6782 status"});
}

TEST_CASE("A connection that is just being made is waited for", "[cli][doctor]") {
  v1::Diagnosis diagnosis = Connected();
  CHECK_FALSE(IsUnsettled(diagnosis));
  diagnosis.mutable_connections(3)->set_state("failed");
  CHECK_FALSE(IsUnsettled(diagnosis));
  diagnosis.mutable_connections(3)->set_state("connecting");
  CHECK(IsUnsettled(diagnosis));
}

TEST_CASE("Holders of addresses are read with or without a prefix, and what is no address is passed over",
          "[cli][doctor]") {
  v1::AllocationList list;
  v1::AllocationList::Allocation* allocation = list.add_allocations();
  allocation->set_holder("c1");
  for (const char* address : {"10.32.0.1/12", "10.32.0.2", "nonsense"}) allocation->add_addresses(address);
  PeerFacts peer;
  TakeHolders(list, peer);
  REQUIRE(peer.holders.size() == 2);
  CHECK(peer.holders[1].address == IpAddress::Parse("10.32.0.2").value());
  CHECK(peer.holders[1].holder == "c1");
}

}  // namespace weave
