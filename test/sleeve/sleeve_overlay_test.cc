// One end of sleeve with its forwarder, datagram by datagram (spec/overlay.md sections 2.1 to 2.4).
#include "sleeve/sleeve_overlay.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/sleeve/datagrams.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Lines = std::vector<std::string>;

const PeerName kSelf(1);
const PeerName kRemote(2);
constexpr std::uint64_t kUid = 0x8b56e7de145a65a2;
const SocketAddress kOurEnd = {IpAddress::V4(0x0a4d0001), 6783};
const SocketAddress kTheirEnd = {IpAddress::V4(0x0a4d0002), 6783};

// What the vectors of spec/vectors/sleeve_plain.json start with.
constexpr char kOurHeartbeat[] = "000000000001000000000001000000000002001600000000000000000000000000008b56e7de145a65a2";
constexpr char kTheirHeartbeat[] =
    "000000000002000000000002000000000001001600000000000000000000000000008b56e7de145a65a2";

struct Peer {
  NullLogger logger;
  SleeveOverlay sleeve{kSelf, logger};
  RecordingIo io;
  PacketRouter router;
  SleeveForwarder forwarder{kSelf, router, io};
  Now now;

  void Prepare(ConnectionId id, bool outbound, std::uint64_t uid = kUid) {
    OverlayConnection connection;
    connection.connection = id;
    connection.uid = uid;
    connection.remote = kRemote;
    connection.outbound = outbound;
    connection.local_tcp = kOurEnd;
    connection.remote_tcp = outbound ? kTheirEnd : SocketAddress{kTheirEnd.ip, 50123};
    REQUIRE(sleeve.Prepare(now, connection).ok());
  }
  void Confirm(ConnectionId id) { sleeve.Confirm(now, id); }
  void Start(ConnectionId id, bool outbound) {
    Prepare(id, outbound);
    Confirm(id);
    Take();
  }
  void Receive(absl::string_view hex, const SocketAddress& from = kTheirEnd, const IpAddress& to = kOurEnd.ip) {
    TellForwarder();
    forwarder.OnDatagram(now.monotonic, to, from, FromHex(hex).value());
    forwarder.Flush();
    for (const SpecialFrameReceived& frame : std::exchange(io.special, {})) sleeve.OnSpecialFrame(now, frame);
  }
  void TellForwarder() {
    for (const SleeveCommand& command : sleeve.TakeCommands()) forwarder.OnCommand(command);
  }
  void Control(ConnectionId id, std::uint8_t tag, Bytes data = {}) { sleeve.OnControl(now, id, tag, data); }
  void Advance(Duration duration) {
    now.monotonic = now.monotonic + duration;
    sleeve.OnTimer(now);
  }
  // Large payloads are cut after what tells them apart.
  Lines Take() {
    Lines lines;
    for (const SubOverlayEvent& event : sleeve.TakeEvents()) {
      const std::string connection = absl::StrCat(" ", event.connection);
      if (std::holds_alternative<SubOverlayEstablished>(event.what)) {
        lines.push_back("established" + connection);
      } else if (const auto* failed = std::get_if<SubOverlayFailed>(&event.what)) {
        lines.push_back(absl::StrCat("failed", connection, " ", failed->status.message()));
      } else {
        const auto& control = std::get<SubOverlayControl>(event.what);
        lines.push_back(absl::StrCat("control", connection, " ", control.tag, " ", ToHex(control.data)));
      }
    }
    TellForwarder();
    for (const RecordingIo::Sent& sent : std::exchange(io.sent, {})) {
      const ByteView shown = ByteView(sent.payload).subspan(0, 42);
      lines.push_back(absl::StrCat(sent.dont_fragment ? "DF " : "   ", sent.route.remote.ToString(), " ",
                                   sent.payload.size(), " ", ToHex(shown)));
    }
    return lines;
  }
};

const std::string kHeartbeatSent = absl::StrCat("DF 10.77.0.2:6783 42 ", kOurHeartbeat);

TEST_CASE("A dialler sends heartbeats to the TCP address from confirmation on", "[sleeve]") {
  Peer peer;
  peer.Prepare(7, /*outbound=*/true);
  CHECK(peer.Take().empty());
  CHECK_FALSE(peer.sleeve.NextDeadline().has_value());
  peer.Confirm(7);
  CHECK(peer.Take() == Lines{kHeartbeatSent});
  peer.Advance(absl::Milliseconds(499));
  CHECK(peer.Take().empty());
  peer.Advance(absl::Milliseconds(1));
  CHECK(peer.Take() == Lines{kHeartbeatSent});
}

TEST_CASE("An acceptor answers the first heartbeat, to where it came from", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/false);
  peer.Advance(absl::Seconds(30));
  CHECK(peer.Take().empty());
  const SocketAddress translated = {IpAddress::V4(0x01020304), 4500};
  peer.Receive(kTheirHeartbeat, translated);
  CHECK(peer.Take() == Lines{"control 7 1 ", absl::StrCat("DF 1.2.3.4:4500 42 ", kOurHeartbeat)});
  peer.Receive(kTheirHeartbeat, translated);
  CHECK(peer.Take().empty());  // acknowledged once
}

TEST_CASE("Datagrams leave from the address of ours that the other end sends to", "[sleeve]") {
  Peer peer;
  peer.Prepare(7, /*outbound=*/true);
  peer.Confirm(7);
  const auto sent_from = [&] {
    peer.TellForwarder();
    REQUIRE(peer.io.sent.size() == 1);
    return std::exchange(peer.io.sent, {})[0].route.local.value();
  };
  CHECK(sent_from() == kOurEnd.ip);  // that of the TCP connection, until we know better
  const IpAddress other = IpAddress::V4(0x0a4d0063);
  peer.Receive(kTheirHeartbeat, kTheirEnd, other);
  peer.Take();
  peer.Advance(absl::Milliseconds(500));
  CHECK(sent_from() == other);
}

TEST_CASE("The acknowledgement of a heartbeat establishes, slows heartbeats and starts the tests", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/true);
  peer.Control(7, 1);
  const std::string names = "000000000001000000000001000000000002";
  CHECK(peer.Take() == Lines{"established 7",
                             absl::StrCat("   10.77.0.2:6783 60021 ", names, "ea61", std::string(44, '0')),
                             absl::StrCat("DF 10.77.0.2:6783 60020 ", names, "ea60", std::string(44, '0'))});
  peer.Control(7, 1);
  CHECK(peer.Take().empty());  // whoever repeats it gets no 120 kB for it
  peer.Advance(absl::Milliseconds(9'999));
  CHECK(peer.Take().empty());
  peer.Advance(absl::Milliseconds(1));
  CHECK(peer.Take() == Lines{kHeartbeatSent});

  peer.sleeve.OnMessageTooBig(peer.now, kTheirEnd, 1500);
  CHECK(peer.Take() ==
        Lines{absl::StrCat("DF 10.77.0.2:6783 1472 ", names, "05ac", std::string(44, '0'))});  // as captured
  CHECK(peer.sleeve.Attributes(7).at("mtu") == "1438");
}

TEST_CASE("Connections that were established apart send their heartbeats together, none later than 10 s", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/true);
  peer.Start(8, /*outbound=*/true);
  peer.Control(7, 1);
  peer.Advance(absl::Milliseconds(400));
  peer.Control(8, 1);
  peer.Take();
  peer.Advance(absl::Milliseconds(9'599));
  CHECK(peer.Take().empty());
  peer.Advance(absl::Milliseconds(1));
  CHECK(peer.Take() == Lines{kHeartbeatSent, kHeartbeatSent});
}

TEST_CASE("Tests of the other end are acknowledged", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/false);
  const std::string names = "000000000002000000000002000000000001";
  peer.Receive(absl::StrCat(names, "ea61", std::string(2 * 60001, '0')));
  CHECK(peer.Take() == Lines{"control 7 2 "});
  peer.Receive(absl::StrCat(names, "05ac", std::string(2 * 1452, '0')));
  CHECK(peer.Take() == Lines{"control 7 3 059e"});
}

TEST_CASE("More tests than a path needs go unanswered", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/false);
  const std::string test = absl::StrCat("000000000002000000000002000000000001000e", std::string(28, '0'));
  peer.now.monotonic = peer.now.monotonic + absl::Seconds(2);
  for (int i = 0; i < 1000; ++i) peer.Receive(test);
  CHECK(peer.Take().size() == 100);
  CHECK(peer.sleeve.counters().unanswered_tests == 900);
  peer.Advance(absl::Seconds(1));
  peer.Receive(test);
  CHECK(peer.Take() == Lines{"control 7 3 0000"});
}

TEST_CASE("What is not for a connection is dropped and counted", "[sleeve]") {
  struct Row {
    std::string what;
    std::string datagram;
    std::uint64_t SleeveCounters::*counter;
  };
  const std::string heartbeat_body = "00000000000000000000000000008b56e7de145a65a2";
  const Row rows[] = {
      {"empty", "", &SleeveCounters::malformed},
      {"no whole name", "0000000000", &SleeveCounters::malformed},
      {"unknown peer", "000000000003", &SleeveCounters::unknown_senders},
      {"ourselves", kOurHeartbeat, &SleeveCounters::unknown_senders},
      {"trailing bytes", "00000000000200", &SleeveCounters::malformed},
      {"length beyond the end", "0000000000020000000000020000000000010002ee", &SleeveCounters::malformed},
      {"no Ethernet header", "0000000000020000000000020000000000010001ee", &SleeveCounters::bad_frames},
      {"heartbeat to another peer", "0000000000020000000000020000000000030016" + heartbeat_body,
       &SleeveCounters::bad_frames},
      {"heartbeat from another peer", "0000000000020000000000030000000000010016" + heartbeat_body,
       &SleeveCounters::bad_frames},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Peer peer;
    peer.Start(7, /*outbound=*/false);
    peer.Receive(row.datagram);
    CHECK(peer.Take().empty());
    CHECK(peer.forwarder.counters().*row.counter == 1);
    CHECK(peer.forwarder.counters().datagrams_received == 1);
    CHECK_FALSE(peer.sleeve.Find(7)->remote_address().has_value());
  }
}

TEST_CASE("A heartbeat of another connection counts for nothing", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/false);
  peer.Receive("000000000002000000000002000000000001001600000000000000000000000000008b56e7de145a65a3");
  CHECK(peer.Take().empty());
  CHECK(peer.sleeve.counters().foreign_heartbeats == 1);
  CHECK_FALSE(peer.sleeve.Find(7)->remote_address().has_value());
}

TEST_CASE("Nothing is taken from a peer before its connection is confirmed, nor after it stopped", "[sleeve]") {
  Peer peer;
  peer.Prepare(7, /*outbound=*/false);
  peer.Receive(kTheirHeartbeat);
  CHECK(peer.Take().empty());
  peer.Confirm(7);
  peer.sleeve.Stop(peer.now, 7);
  peer.Receive(kTheirHeartbeat);
  CHECK(peer.Take().empty());
  CHECK(peer.forwarder.counters().unknown_senders == 2);
  CHECK_FALSE(peer.sleeve.NextDeadline().has_value());
  CHECK(peer.sleeve.Find(7) == nullptr);
  CHECK(peer.sleeve.Attributes(7).empty());
}

TEST_CASE("Control messages that answer nothing are ignored", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/false);
  peer.Control(7, 1);  // we have not sent a heartbeat
  peer.Control(7, 2);
  peer.Control(7, 3);
  peer.Control(7, 3, {5});
  peer.Control(7, 3, {5, 0x9e, 0});
  peer.Control(7, 0);
  peer.Control(7, 255, Bytes(1000));
  peer.Control(99, 1);
  CHECK(peer.Take().empty());
  CHECK_FALSE(peer.sleeve.Find(7)->fragments_pass());
  CHECK_FALSE(peer.sleeve.Find(7)->established());
}

TEST_CASE("Of two connections to a peer the one confirmed last hears its datagrams", "[sleeve]") {
  Peer peer;
  peer.Prepare(7, /*outbound=*/true, /*uid=*/5);
  peer.Confirm(7);
  peer.Prepare(8, /*outbound=*/false);
  peer.Confirm(8);
  peer.Take();
  peer.sleeve.Stop(peer.now, 7);  // the loser goes afterwards
  peer.Receive(kTheirHeartbeat);
  CHECK(peer.Take() == Lines{"control 8 1 ", kHeartbeatSent});
}

TEST_CASE("A connection without heartbeats fails after 60 s, one with them never", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/true);
  peer.Advance(absl::Seconds(59));
  peer.Take();
  peer.Receive(kTheirHeartbeat);
  peer.Advance(absl::Seconds(59));
  for (const std::string& line : peer.Take()) CHECK(line.substr(0, 6) != "failed");
  peer.Advance(absl::Seconds(1));
  CHECK(peer.Take() == Lines{"failed 7 timed out waiting for UDP heartbeat from 10.77.0.2:6783: none for 60 s"});
  CHECK_FALSE(peer.sleeve.NextDeadline().has_value());
  peer.Receive(kTheirHeartbeat);  // too late
  peer.Control(7, 1);
  peer.sleeve.OnMessageTooBig(peer.now, kTheirEnd, 1500);
  CHECK(peer.Take().empty());
}

TEST_CASE("A kernel's refusal that concerns no established connection is ignored", "[sleeve]") {
  Peer peer;
  peer.Start(7, /*outbound=*/true);
  peer.sleeve.OnMessageTooBig(peer.now, kTheirEnd, 1500);
  peer.Control(7, 1);
  peer.Take();
  peer.sleeve.OnMessageTooBig(peer.now, {kTheirEnd.ip, 1}, 1500);
  CHECK(peer.Take().empty());
  CHECK(peer.sleeve.Attributes(7).at("mtu") == "65535");
}

TEST_CASE("Sleeve refuses a connection that is not over IPv4", "[sleeve]") {
  Peer peer;
  OverlayConnection connection;
  connection.connection = 7;
  connection.remote = kRemote;
  connection.local_tcp = SocketAddress::Parse("[fd00::1]:6783").value();
  connection.remote_tcp = SocketAddress::Parse("[fd00::2]:6783").value();
  const absl::Status refused = peer.sleeve.Prepare(peer.now, connection);
  CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(refused.message() ==
        "sleeve: the connection to [fd00::2]:6783 is not over IPv4, which is all that sleeve carries");
  peer.Confirm(7);
  CHECK(peer.Take().empty());
}

}  // namespace
}  // namespace weave
