// The peer and its ways to others.
#include "test/doctor/facts.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

// What is said of a target that was refused so.
Lines Refused(const std::string& error, const std::string& address = "10.0.0.3:6783") {
  DoctorFacts facts = HealthyHost();
  facts.peer.targets.push_back("10.0.0.3");
  ConnectionFacts target;
  target.address = address;
  target.state = "failed";
  target.error = error;
  facts.peer.connections.push_back(target);
  return Complaints(facts);
}

DoctorFacts Without(PeerState state, int pid) {
  DoctorFacts facts = HealthyHost();
  facts.peer = {};
  facts.peer.state = state;
  facts.peer.pid = pid;
  facts.peer.log_path = "/var/log/weave/weave.log";
  facts.ports.clear();
  facts.store.lock_pid = pid;
  return facts;
}

}  // namespace

TEST_CASE("A peer that does not run, or does not answer, comes first", "[doctor]") {
  CHECK(Complaints(Without(PeerState::kAbsent, 0)) ==
        Lines{"fail  peer: no peer was launched on this host; type: weave launch"});
  CHECK(Complaints(Without(PeerState::kStopped, 0)) ==
        Lines{"fail  peer: the peer was launched but does not run; /var/log/weave/weave.log says how it ended; type: "
              "weave launch --resume"});
  DoctorFacts hung = Without(PeerState::kHangs, 100);
  hung.peer.error = "no answer in time";
  CHECK(Complaints(hung) ==
        Lines{"fail  peer: the peer (pid 100) does not answer: no answer in time; type: weave stop && weave launch "
              "--resume"});
  DoctorFacts restarting = Without(PeerState::kRestarting, 99);
  restarting.store.lock_pid = 0;
  CHECK(Complaints(restarting) ==
        Lines{"fail  peer: the peer ends whenever it is started; its supervisor (pid 99) tries again; type: tail -n 30 "
              "/var/log/weave/weave.log"});
}

TEST_CASE("A host that is not as the peer wants it is told with the peer's words", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.peer.host_error = "packet filter: no iptables-restore";
  facts.peer.ready = false;
  CHECK(Complaints(facts) == Lines{"fail  peer: bridge and packet filter are not as they should be: packet filter: no "
                                   "iptables-restore; type: tail -n 30 /var/log/weave/weave.log"});
}

TEST_CASE("Each reason for a connection that does not come about has a meaning and a command", "[doctor]") {
  CHECK(
      Refused("connection refused") ==
      Lines{"fail  connections: to 10.0.0.3:6783: connection refused (the host answers, but nobody listens there: its "
            "peer does not run, or has another port); type on 10.0.0.3: weave launch"});
  CHECK(Refused("message 1 of the connection cannot be decrypted: another password, or it was changed") ==
        Lines{"fail  connections: to 10.0.0.3:6783: message 1 of the connection cannot be decrypted: another password, "
              "or it was changed (it has another password); type: weave stop && weave launch --resume --password "
              "<that of the others>"});
  CHECK(Refused("IP allocation was seeded by different peers (received: a, ours: b)") ==
        Lines{"fail  connections: to 10.0.0.3:6783: IP allocation was seeded by different peers (received: a, ours: b) "
              "(its network and ours began apart: both have given addresses from one range. What is on the smaller one "
              "must start anew); type: weave reset && weave launch <peer>"});
  CHECK(Refused("no answer within 10s") ==
        Lines{"fail  connections: to 10.0.0.3:6783: no answer within 10s (nothing comes back: the host is down, or a "
              "packet filter drops TCP there); type on 10.0.0.3: weave doctor"});
  CHECK(Refused("no route to host") ==
        Lines{"fail  connections: to 10.0.0.3:6783: no route to host (no way leads to that host, or it is down); type: "
              "ip route get 10.0.0.3"});
  CHECK(Refused("cannot connect to ourself") ==
        Lines{"fail  connections: to 10.0.0.3:6783: cannot connect to ourself (it is this peer's own address); type: "
              "weave forget 10.0.0.3"});
  // Of a peer that nobody named there is nothing to forget, and what we do not know is told as it came.
  CHECK(Refused("stars were wrong", "10.0.0.9:6783") ==
        Lines{"fail  connections: to 10.0.0.9:6783: stars were wrong; type: weave status targets"});
}

TEST_CASE("Who cannot be dialled but is reached through others is worth a warning", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.peer.peers.push_back({"00:00:00:00:00:03", "host3", true, {"10.0.0.3:6783"}});
  ConnectionFacts target;
  target.address = "10.0.0.3:6783";
  target.state = "failed";
  target.error = "no answer within 10s";
  facts.peer.connections.push_back(target);
  CHECK(Complaints(facts) ==
        Lines{"warn  connections: to 10.0.0.3:6783: no answer within 10s (nothing comes back: the host is down, or a "
              "packet filter drops TCP there); frames to 00:00:00:00:00:03(host3) go through other peers; type on "
              "10.0.0.3: weave doctor"});
}

TEST_CASE("A connection over which no frame passes blames UDP", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.peer.connections[0].state = "pending";
  CHECK(
      Complaints(facts) ==
      Lines{"fail  connections: to 00:00:00:00:00:02(host2) at 10.0.0.2:6783: TCP passes, but no frame does: something "
            "on the way drops UDP, or the other host's packet filter does; type on 10.0.0.2: weave doctor"});
}

TEST_CASE("Peers without a way and owners that are not heard are named with what brings them back", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.peer.peers.push_back({"00:00:00:00:00:03", "host3", false, {"10.0.0.3:6783"}});
  CHECK(Complaints(facts) ==
        Lines{"fail  peers: 00:00:00:00:00:03(host3) is known to others, but no way leads there: its containers cannot "
              "be reached; type: weave connect 10.0.0.3:6783"});
  facts = HealthyHost();
  facts.peer.connections.clear();
  facts.peer.peers.clear();
  facts.peer.allocator->owners[1].reachable = false;
  CHECK(
      Complaints(facts) ==
      Lines{"fail  peers: 00:00:00:00:00:02(host2) owns 524288 addresses (50% of 10.32.0.0/12) and is not heard: they "
            "are given to nobody until it is back, or is removed because it will never be; type: weave rmpeer "
            "00:00:00:00:00:02"});
  facts.peer.allocator->owners[1].address_count = 0;
  CHECK(Complaints(facts).empty());
}

TEST_CASE("A clock is noted at a tenth of what names allow, and refused above", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  const auto skewed = [&](std::int64_t ahead) {
    facts.peer.clocks[0].ahead_seconds = ahead;
    return Complaints(facts);
  };
  CHECK(skewed(90).empty());
  CHECK(skewed(-91) ==
        Lines{"warn  clock: that of 00:00:00:00:00:02(host2) is 91 s behind ours; above 900 s it would be "
              "refused; type on whichever host is wrong: timedatectl set-ntp true"});
  CHECK(skewed(901) == Lines{"fail  clock: that of 00:00:00:00:00:02(host2) is 901 s ahead of ours: names are not "
                             "exchanged and the connection is refused above 900 s; type on whichever host is wrong: "
                             "timedatectl set-ntp true"});
  facts.peer.clocks[0].age_seconds = 601;  // it may be right by now
  CHECK(Complaints(facts).empty());
}

}  // namespace weave::test
