// What pages, report and metrics say of the allocator, in the words of 2.8 (spec/control.md sections 3 to 5).
#include "peer/ipam_pages.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peer/metrics.h"
#include "peer/status_pages.h"
#include "test/support/catch.h"

namespace weave {
namespace {

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }

// A /24 of which we own three quarters, the last of them across the origin.
IpamStatus Shared() {
  IpamStatus status;
  status.range = *Cidr::Parse("10.32.0.0/24");
  status.default_subnet = *Cidr::Parse("10.32.0.0/25");
  status.elector = true;
  status.entries = {{Ip("10.32.0.64"), PeerName(2), 3, 10}, {Ip("10.32.0.128"), PeerName(1), 7, 100}};
  status.owners = {{PeerName(1), "peer1", 192, true}, {PeerName(2), "peer2", 64, true}};
  status.active_count = 2;
  return status;
}

TEST_CASE("Every state of the allocator has its words", "[peer][pages]") {
  IpamStatus status = Shared();
  CHECK(IpamStatusText(status) == "ready");
  status.pending_allocations.push_back({"c1", status.default_subnet});
  CHECK(IpamStatusText(status) == "waiting for IP(s) to become available");
  status.owners = {{PeerName(1), "peer1", 0, true}, {PeerName(2), "peer2", 256, false}};
  CHECK(IpamStatusText(status) == "all IP ranges owned by unreachable peers - use 'rmpeer' if they are dead");

  status = Shared();
  status.entries.clear();
  CHECK(IpamStatusText(status) == "idle");
  status.priming = true;
  CHECK(IpamStatusText(status) == "priming");
  status.election = IpamStatus::Election{1, 2};
  CHECK(IpamStatusText(status) == "awaiting consensus (quorum: 2, known: 1)");
}

TEST_CASE("The page has a line for each owner, ourselves first", "[peer][pages]") {
  IpamStatus status = Shared();
  CHECK(IpamPage(status) ==
        "00:00:00:00:00:01(peer1)                   192 IPs (75.0% of total) (2 active)\n"
        "00:00:00:00:00:02(peer2)                    64 IPs (25.0% of total) \n");
  status.owners = {{PeerName(1), "peer1", 250, true}, {PeerName(2), "peer2\n\x1b[2J", 6, false}};
  CHECK(IpamPage(status) ==
        "00:00:00:00:00:01(peer1)                   250 IPs (97.7% of total) (2 active)\n"
        "00:00:00:00:00:02(peer2  [2J)                6 IPs (02.3% of total) - unreachable!\n");
}

TEST_CASE("The page tells of peers that are being removed, and of no other time", "[peer][pages]") {
  IpamStatus status = Shared();
  status.owners.clear();
  status.removals.push_back({{PeerName(2), "peer2"}, IpamStatus::Named{PeerName(3), "peer3"}, 0, 0, {}});
  status.removals.push_back({{PeerName(4), "peer4"}, std::nullopt, 1, 3, {{PeerName(2), "peer2"}, {PeerName(4), ""}}});
  CHECK(IpamPage(status) ==
        "00:00:00:00:00:02(peer2) is promised to 00:00:00:00:00:03(peer3)\n"
        "00:00:00:00:00:04(peer4) is to be removed: 1 of 3 peers voted, not heard: 00:00:00:00:00:02(peer2) "
        "00:00:00:00:00:04()\n");
}

TEST_CASE("The page names the addresses in use here that are another peer's, as many as one reads", "[peer][pages]") {
  IpamStatus status = Shared();
  status.owners.clear();
  status.strays.push_back({*IpAddress::Parse("10.32.0.7"), "c1", {PeerName(2), "peer2"}, false});
  status.strays.push_back({*IpAddress::Parse("10.32.0.8"), "c2\x1b[2J", {PeerName(3), "peer3"}, true});
  CHECK(IpamPage(status) ==
        "10.32.0.7 is in use here by c1 and owned by 00:00:00:00:00:02(peer2)\n"
        "10.32.0.8 is in use here by c2 [2J and, it seems, at its owner 00:00:00:00:00:03(peer3)\n");
  status.strays.resize(22, status.strays[0]);
  CHECK(absl::EndsWith(IpamPage(status), "\nand 2 more addresses in use here\n"));
}

TEST_CASE("The status page has a section for the allocator", "[peer][pages]") {
  StatusView view;
  CHECK_FALSE(absl::StrContains(StatusPage(view), "ipam"));
  view.ipam = Shared();
  CHECK(absl::StrContains(StatusPage(view),
                          "\n"
                          "        Service: ipam\n"
                          "         Status: ready\n"
                          "          Range: 10.32.0.0/24\n"
                          "  DefaultSubnet: 10.32.0.0/25\n"));
}

TEST_CASE("The report tells the ring in parts that do not cross the origin", "[peer][report]") {
  IpamStatus status = Shared();
  CHECK(
      IpamValue(status).ToJson() ==
      R"({"Paxos":null,"Range":"10.32.0.0/24","RangeNumIPs":256,"ActiveIPs":2,"DefaultSubnet":"10.32.0.0/25",)"
      R"("Entries":[)"
      R"({"Token":"10.32.0.0","Size":64,"Peer":"00:00:00:00:00:01","Nickname":"peer1","IsKnownPeer":true,"Version":7},)"
      R"({"Token":"10.32.0.64","Size":64,"Peer":"00:00:00:00:00:02","Nickname":"peer2","IsKnownPeer":true,"Version":3},)"
      R"({"Token":"10.32.0.128","Size":128,"Peer":"00:00:00:00:00:01","Nickname":"peer1","IsKnownPeer":true,"Version":7}],)"
      R"("PendingClaims":null,"PendingAllocates":null})");
  status.entries.clear();
  status.election = IpamStatus::Election{1, 2};
  status.pending_claims.push_back({"c1", *Cidr::Parse("10.32.0.9/24")});
  status.pending_allocations.push_back({"c2", status.default_subnet});
  CHECK(IpamValue(status).ToJson() ==
        R"({"Paxos":{"Elector":true,"KnownNodes":1,"Quorum":2},"Range":"10.32.0.0/24","RangeNumIPs":256,"ActiveIPs":2,)"
        R"("DefaultSubnet":"10.32.0.0/25","Entries":null,)"
        R"("PendingClaims":[{"Ident":"c1","CIDR":{"Addr":"10.32.0.9","PrefixLen":24}}],)"
        R"("PendingAllocates":["c2 10.32.0.0/25"]})");
}

TEST_CASE("Metrics count addresses, waiting callers and what unreachable peers own", "[peer][metrics]") {
  MetricsView view;
  CHECK_FALSE(absl::StrContains(MetricsPage(view), "weave_ips"));
  CHECK_FALSE(absl::StrContains(MetricsPage(view), "weave_ipam"));
  view.ipam = Shared();
  view.ipam->owners[1].reachable = false;
  view.ipam->pending_allocations.push_back({"c2", view.ipam->default_subnet});
  view.ipam->strays.push_back({*IpAddress::Parse("10.32.0.7"), "c1", {PeerName(2), "peer2"}, false});
  CHECK_FALSE(absl::StrContains(MetricsPage(view), "weave_ipam_quorum"));
  view.ipam->reachable_voter_count = 2;
  view.ipam->unreachable_voter_count = 1;
  view.ipam->quorum = true;
  view.claimed_address_count = 3;
  view.released_address_count = 5;
  const std::string page = MetricsPage(view);
  for (const char* line :
       {"weave_ips{state=\"local-used\"} 2\n", "weave_max_ips 256\n", "weave_ipam_unreachable_count 1\n",
        "weave_ipam_unreachable_percentage 25\n", "weave_ipam_pending_allocates 1\n", "weave_ipam_pending_claims 0\n",
        "weave_ipam_voters{state=\"reachable\"} 2\n", "weave_ipam_voters{state=\"unreachable\"} 1\n",
        "weave_ipam_quorum 1\n", "weave_ipam_conflicts 1\n", "weave_ipam_found_in_use_total 3\n",
        "weave_ipam_found_unused_total 5\n"}) {
    INFO(page);
    CHECK(absl::StrContains(page, absl::StrCat("\n", line)));
  }
}

}  // namespace
}  // namespace weave
