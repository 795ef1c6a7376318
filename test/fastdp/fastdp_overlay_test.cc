// When the kernel's path to a neighbour counts as working (spec/overlay.md sections 1.1, 1.2 and 3.2).
#include "fastdp/fastdp_overlay.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/catch.h"

namespace weave {
namespace {

constexpr ConnectionId kConnection = 7;
constexpr std::uint64_t kUid = 0x1122334455667788;
const IpAddress kHere = IpAddress::V4(0x0a000001);
const IpAddress kThere = IpAddress::V4(0x0a000002);
using Lines = std::vector<std::string>;

// 1, 2, 3, ...
class CountingEntropy final : public EntropySource {
 public:
  void Fill(absl::Span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = ++last_;
  }

 private:
  std::uint8_t last_ = 0;
};

struct World {
  OverlayConnection Connection(bool outbound) const {
    OverlayConnection connection;
    connection.connection = kConnection;
    connection.uid = kUid;
    connection.remote = PeerName(2);
    connection.remote_short_id = 2;
    connection.outbound = outbound;
    if (key.has_value()) connection.key = key;
    connection.local_tcp = {kHere, static_cast<std::uint16_t>(outbound ? 40001 : 6783)};
    connection.remote_tcp = {kThere, static_cast<std::uint16_t>(outbound ? 7000 : 40002)};
    return connection;
  }
  void Start(bool outbound = true) {
    REQUIRE(fastdp.Prepare(now, Connection(outbound)).ok());
    fastdp.Confirm(now, kConnection);
    if (key.has_value()) return;
    CHECK(Take() == Lines{"pass 10.0.0.1 10.0.0.2"});
    fastdp.OnIpsec(now, ClearReady{kConnection, absl::OkStatus()});
  }
  // What it did since the last call, commands first.
  Lines Take() {
    Lines lines;
    for (const FastdpCommand& command : fastdp.TakeCommands()) {
      if (const auto* set = std::get_if<SetFastdpTunnel>(&command))
        lines.push_back(absl::StrCat("tunnel ", set->local.ToString(), " ", set->remote.ToString(), ":", set->udp_port,
                                     set->mtu == 1376 ? "" : absl::StrCat(" mtu ", set->mtu)));
      else if (const auto* beat = std::get_if<SendFastdpHeartbeat>(&command))
        lines.push_back(absl::StrCat(beat->test ? "test " : "heartbeat ", beat->frame_size,
                                     beat->uid == kUid ? "" : " with a foreign UID"));
      else
        lines.push_back("close");
    }
    for (const IpsecCommand& command : fastdp.TakeIpsecCommands()) {
      if (const auto* in = std::get_if<SetUpInbound>(&command)) {
        inbound_key = in->key;
        lines.push_back(absl::StrCat("inbound ", in->local.ToString(), ":", in->local_port, " ", in->remote.ToString(),
                                     ":", in->remote_port));
      } else if (const auto* to = std::get_if<SetUpOutbound>(&command)) {
        outbound_key = to->key;
        lines.push_back(absl::StrCat("outbound ", to->local.ToString(), " ", to->remote.ToString(), ":",
                                     to->remote_port, " ", to->spi));
      } else if (const auto* pass = std::get_if<PassInClear>(&command)) {
        lines.push_back(absl::StrCat("pass ", pass->local.ToString(), " ", pass->remote.ToString()));
      } else {
        lines.push_back("tear down");
      }
    }
    for (const SubOverlayEvent& event : fastdp.TakeEvents()) {
      if (const auto* control = std::get_if<SubOverlayControl>(&event.what)) {
        lines.push_back(absl::StrCat("control ", control->tag));
        control_data = control->data;
      } else if (const auto* health = std::get_if<SubOverlayHealth>(&event.what))
        lines.push_back(health->healthy ? "healthy" : "unhealthy");
      else if (const auto* failed = std::get_if<SubOverlayFailed>(&event.what))
        lines.push_back(absl::StrCat("failed: ", failed->status.message()));
      else
        lines.push_back("established");
    }
    return lines;
  }
  void Acknowledge() { fastdp.OnControl(now, kConnection, 0, {}); }
  void Heartbeat(FastdpHeartbeatReceived heartbeat = {PeerName(2), kHere, kThere, kUid, 1390}) {
    fastdp.OnHeartbeat(now, heartbeat);
  }
  // To the time of the next deadline.
  Duration Advance() {
    REQUIRE(fastdp.NextDeadline().has_value());
    const Duration time = *fastdp.NextDeadline() - now.monotonic;
    now.monotonic = *fastdp.NextDeadline();
    fastdp.OnTimer(now);
    return time;
  }
  void Wait(Duration time) {
    const MonotonicTime end = now.monotonic + time;
    while (fastdp.NextDeadline().has_value() && *fastdp.NextDeadline() <= end) Advance();
    now.monotonic = end;
  }

  Now now;
  NullLogger logger;
  CountingEntropy entropy;
  FastdpOverlay fastdp{{PeerName(1), 6784, 1376}, entropy, logger};
  std::optional<SessionKey> key;
  EspKey inbound_key = {};
  EspKey outbound_key = {};
  Bytes control_data;
};

TEST_CASE("Heartbeats go twice a second until one is acknowledged, every ten seconds after", "[fastdp]") {
  World world;
  world.Start();
  CHECK(world.Take() == Lines{"tunnel 10.0.0.1 10.0.0.2:7001", "heartbeat 1390", "control 17"});
  CHECK(world.Advance() == absl::Milliseconds(500));
  CHECK(world.Take() == Lines{"heartbeat 1390"});
  world.Acknowledge();
  CHECK(world.Take() == Lines{"established"});
  CHECK(world.Advance() == absl::Seconds(10));
  CHECK(world.Take() == Lines{"heartbeat 1390"});
  world.Acknowledge();
  CHECK(world.Take().empty());
  CHECK(world.fastdp.Attributes(kConnection) == absl::btree_map<std::string, std::string>{{"mtu", "1376"}});
}

TEST_CASE("Whoever was dialled answers on its own port, and acknowledges the first whole heartbeat", "[fastdp]") {
  World world;
  world.Start(/*outbound=*/false);
  CHECK(world.Take() == Lines{"tunnel 10.0.0.1 10.0.0.2:6784", "heartbeat 1390", "control 17"});
  world.Heartbeat({PeerName(3), kHere, kThere, kUid, 1390});
  world.Heartbeat({PeerName(2), kHere, kThere, kUid + 1, 1390});
  CHECK(world.Take().empty());
  CHECK(world.fastdp.counters().foreign_heartbeats == 2);
  world.Heartbeat();
  CHECK(world.Take() == Lines{"control 0"});
  world.Heartbeat();
  CHECK(world.Take().empty());
}

TEST_CASE("A minute without heartbeats lets the path rest; the next one brings it back", "[fastdp]") {
  World world;
  world.Start();
  world.Acknowledge();
  world.Heartbeat();
  world.Take();
  for (int i = 0; i < 8; ++i) {
    world.Wait(absl::Seconds(50));
    world.Heartbeat();
  }
  for (const std::string& line : world.Take()) CHECK(line == "heartbeat 1390");
  world.Wait(absl::Seconds(59));
  for (const std::string& line : world.Take()) CHECK(line == "heartbeat 1390");
  world.Wait(absl::Seconds(1));
  const Lines silent = world.Take();
  REQUIRE(silent.size() >= 2);
  CHECK(Lines(silent.end() - 2, silent.end()) == Lines{"unhealthy", "control 16"});
  CHECK(world.control_data == Bytes{0});
  world.Wait(absl::Minutes(5));
  const Lines resting = world.Take();
  CHECK(resting == Lines(30, "heartbeat 1390"));
  world.Heartbeat();
  CHECK(world.Take() == Lines{"healthy", "control 16"});
  CHECK(world.control_data == Bytes{1});
}

TEST_CASE("The path rests too while the other end says that it hears nothing", "[fastdp]") {
  World world;
  world.Start();
  world.Acknowledge();
  world.Heartbeat();
  world.Take();
  const auto hears = [&](const Bytes& data) { world.fastdp.OnControl(world.now, kConnection, 16, data); };
  hears({0});
  CHECK(world.Take() == Lines{"unhealthy"});
  hears({0});
  hears({});
  hears({1, 1});
  world.Heartbeat();
  CHECK(world.Take().empty());
  hears({1});
  CHECK(world.Take() == Lines{"healthy"});
}

TEST_CASE("The tunnel follows a neighbour that sends from elsewhere", "[fastdp]") {
  World world;
  world.Start();
  world.Take();
  world.Heartbeat({PeerName(2), kHere, IpAddress::V4(0x0a000063), kUid, 1390});
  CHECK(world.Take() == Lines{"tunnel 10.0.0.1 10.0.0.99:7001", "control 0"});
}

TEST_CASE("What the tunnels cannot carry is refused with a reason", "[fastdp]") {
  World world;
  OverlayConnection connection = world.Connection(true);
  connection.remote_short_id.reset();
  CHECK(world.fastdp.Prepare(world.now, connection).message() ==
        "the peer has no short id, by which tunnels name peers");
  connection = world.Connection(true);
  connection.remote_tcp.ip = *IpAddress::Parse("fd00::2");
  CHECK(world.fastdp.Prepare(world.now, connection).message() ==
        "the connection to [fd00::2]:7000 is not over IPv4, which is all that the tunnels carry");
  CHECK(world.Take().empty());
}

TEST_CASE("A path whose tunnel has no port in the kernel rests until it has, and the other end is told", "[fastdp]") {
  World world;
  world.Start();
  world.Acknowledge();
  world.Heartbeat();
  world.Take();
  const absl::Status taken = absl::UnavailableError("UDP port 7001 is taken");
  world.fastdp.OnTunnelPort(world.now, {kConnection, taken});
  world.fastdp.OnTunnelPort(world.now, {kConnection, taken});
  CHECK(world.Take() == Lines{"unhealthy", "control 16"});
  CHECK(world.control_data == Bytes{0});
  world.fastdp.OnTunnelPort(world.now, {kConnection, absl::OkStatus()});
  CHECK(world.Take() == Lines{"healthy", "control 16"});
  CHECK(world.control_data == Bytes{1});
}

TEST_CASE("After a minute without a port the path waits for a heartbeat, too", "[fastdp]") {
  World world;
  world.Start();
  world.Acknowledge();
  world.Heartbeat();
  world.fastdp.OnTunnelPort(world.now, {kConnection, absl::UnavailableError("UDP port 7001 is taken")});
  world.Wait(FastdpConnection::kHeartbeatTimeout);
  world.Take();
  world.fastdp.OnTunnelPort(world.now, {kConnection, absl::OkStatus()});
  CHECK(world.Take() == Lines{"control 16"});
  CHECK(world.control_data == Bytes{0});
  world.Heartbeat();
  CHECK(world.Take() == Lines{"healthy", "control 16"});
  CHECK(world.control_data == Bytes{1});
}

SessionKey MakeKey() {
  SessionKey key = {};
  key[0] = 7;
  return key;
}

// The offer of a peer whose kernel chose this index.
Bytes Offer(Spi spi) {
  IpsecOffer offer;
  offer.nonce[0] = 9;
  offer.spi = spi;
  return EncodeIpsecOffer(offer);
}

TEST_CASE("With a key, the offer goes out once our side is ready, and heartbeats once the other side's is in place",
          "[fastdp]") {
  World world;
  world.key = MakeKey();
  world.Start();
  CHECK(world.Take() == Lines{"inbound 10.0.0.1:6784 10.0.0.2:7001"});
  CHECK_FALSE(world.fastdp.NextDeadline().has_value());
  world.fastdp.OnIpsec(world.now, InboundReady{kConnection, absl::OkStatus(), 0x1234});
  CHECK(world.Take() == Lines{"control 1"});
  const absl::StatusOr<IpsecOffer> ours = DecodeIpsecOffer(world.control_data);
  REQUIRE(ours.ok());
  CHECK(ours->spi == 0x1234);
  CHECK(world.inbound_key == DeriveEspKey(MakeKey(), ours->nonce, PeerName(1)));
  world.Acknowledge();
  world.Heartbeat();
  CHECK(world.Take().empty());

  world.fastdp.OnControl(world.now, kConnection, 1, Offer(0x5678));
  CHECK(world.Take() == Lines{"outbound 10.0.0.1 10.0.0.2:7001 22136"});
  CHECK(world.outbound_key == DeriveEspKey(MakeKey(), DecodeIpsecOffer(Offer(0x5678))->nonce, PeerName(2)));
  world.fastdp.OnIpsec(world.now, OutboundReady{kConnection, absl::OkStatus()});
  CHECK(world.Take() == Lines{"tunnel 10.0.0.1 10.0.0.2:7001", "heartbeat 1390", "control 17"});
  world.Acknowledge();
  CHECK(world.Take() == Lines{"established"});
  world.fastdp.Stop(world.now, kConnection);
  CHECK(world.Take() == Lines{"close", "tear down"});
}

TEST_CASE("An offer may come before we are confirmed; one that makes no sense changes nothing", "[fastdp]") {
  World world;
  world.key = MakeKey();
  REQUIRE(world.fastdp.Prepare(world.now, world.Connection(true)).ok());
  world.fastdp.OnControl(world.now, kConnection, 1, Bytes(63, 1));
  CHECK(world.Take().empty());
  CHECK(world.fastdp.counters().bad_offers == 1);
  world.fastdp.OnControl(world.now, kConnection, 1, Offer(0x5678));
  CHECK(world.Take() == Lines{"outbound 10.0.0.1 10.0.0.2:7001 22136"});
  world.fastdp.Stop(world.now, kConnection);
  CHECK(world.Take() == Lines{"tear down"});

  World clear;
  clear.Start();
  clear.Take();
  clear.fastdp.OnControl(clear.now, kConnection, 1, Offer(0x5678));
  CHECK(clear.Take().empty());
}

TEST_CASE("Keys that the kernel does not take leave the connection to sleeve", "[fastdp]") {
  World world;
  world.key = MakeKey();
  world.Start();
  world.Take();
  world.fastdp.OnIpsec(world.now, InboundReady{kConnection, absl::FailedPreconditionError("no ESP here"), 0});
  CHECK(world.Take() == Lines{"failed: no ESP here"});
  world.fastdp.OnControl(world.now, kConnection, 1, Offer(0x5678));
  CHECK(world.Take().empty());
}

TEST_CASE("With a key, a heartbeat from another address is nobody's: it came in clear", "[fastdp]") {
  World world;
  world.key = MakeKey();
  world.Start();
  world.fastdp.OnIpsec(world.now, InboundReady{kConnection, absl::OkStatus(), 0x1234});
  world.fastdp.OnControl(world.now, kConnection, 1, Offer(0x5678));
  world.fastdp.OnIpsec(world.now, OutboundReady{kConnection, absl::OkStatus()});
  world.Take();
  world.Heartbeat({PeerName(2), kHere, IpAddress::V4(0x0a000063), kUid, 1390});
  CHECK(world.Take().empty());
  CHECK(world.fastdp.counters().foreign_heartbeats == 1);
}

TEST_CASE("A connection that ends closes its tunnel, and what comes late is nobody's", "[fastdp]") {
  World world;
  world.Start();
  world.Take();
  world.fastdp.Stop(world.now, kConnection);
  CHECK(world.Take() == Lines{"close", "tear down"});
  world.Heartbeat();
  world.Acknowledge();
  world.fastdp.OnTunnelPort(world.now, {kConnection, absl::UnavailableError("late")});
  world.fastdp.Stop(world.now, kConnection);
  CHECK(world.Take().empty());
  CHECK_FALSE(world.fastdp.NextDeadline().has_value());
}

}  // namespace
}  // namespace weave
