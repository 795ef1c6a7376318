// A host on which all is well, for tests that break one thing.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "doctor/facts.h"
#include "doctor/finding.h"
#include "doctor/judge.h"

namespace weave::test {

// Peer host1 is connected to host2 at 10.0.0.2 by sleeve; a container has 10.32.0.5.
inline DoctorFacts HealthyHost() {
  DoctorFacts facts;
  PeerFacts& peer = facts.peer;
  peer.state = PeerState::kAnswers;
  peer.pid = 100;
  peer.log_path = "/var/log/weave/weave.log";
  peer.name = "00:00:00:00:00:01";
  peer.nickname = "host1";
  peer.version = "3.0.0";
  peer.ready = true;
  peer.tells = true;
  peer.bridge_type = "bridge";
  peer.targets = {"10.0.0.2"};
  peer.connections = {
      {"10.0.0.2:6783", "established", "", true, false, "00:00:00:00:00:02(host2)", "sleeve", 1438, false}};
  peer.peers = {{"00:00:00:00:00:02", "host2", true, {"10.0.0.2:6783"}}};
  AllocatorFacts& allocator = peer.allocator.emplace();
  allocator.range = Cidr::Parse("10.32.0.0/12").value();
  allocator.status = "ready";
  allocator.ready = true;
  allocator.owners = {{"00:00:00:00:00:01", "host1", 524288, true}, {"00:00:00:00:00:02", "host2", 524288, true}};
  allocator.ranges = {{{IpAddress::Parse("10.32.0.0").value(), 524288}, "00:00:00:00:00:01"},
                      {{IpAddress::Parse("10.40.0.0").value(), 524288}, "00:00:00:00:00:02"}};
  peer.clocks = {{"00:00:00:00:00:02", "host2", -1, 12}};
  peer.holders = {{IpAddress::Parse("10.32.0.5").value(), "c1"}};

  facts.ports = {{"TCP", std::nullopt, 6783, "connections", "--port", PortUse::kPeer, true, 100, "weaver"},
                 {"UDP", std::nullopt, 6783, "sleeve", "--port", PortUse::kPeer, true, 100, "weaver"},
                 {"UDP", std::nullopt, 6784, "VXLAN", "--port", PortUse::kTunnel}};
  facts.firewall.emplace();
  facts.paths = {{"10.0.0.2", "eth0", "10.0.0.1", 1500, ""}};
  facts.bridge = BridgeFacts{"weave", "bridge", "", 65535, true};
  facts.kernel.release = "6.1.0";
  facts.store.path = "/var/lib/weave/weavedata.db";
  facts.store.kind = StoreKind::kOurs;
  facts.store.free_bytes = 5ULL << 30;
  facts.store.lock_pid = 100;
  facts.links = {{"vethwepl1", LinkEnd::kHost, true, "weave", LinkPartner::kContainer, ""},
                 {"vethwe-bridge", LinkEnd::kRouter, true, "weave", LinkPartner::kHere, "vethwe-pcap"},
                 {"vethwe-pcap", LinkEnd::kRouter, true, "", LinkPartner::kHere, "vethwe-bridge"}};
  facts.addresses = {{Cidr::Parse("10.32.0.5/12").value(), "vethwepl1", "/proc/7/ns/net"}};
  facts.sockets = {{"/run/weave/peer.sock", false, true}};
  return facts;
}

// What a person would read of warnings and failures.
inline std::vector<std::string> Complaints(const DoctorFacts& facts) {
  std::vector<std::string> lines;
  for (const Finding& finding : Judge(facts))
    if (finding.severity != Severity::kOk) lines.push_back(FormatFinding(finding));
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace weave::test
