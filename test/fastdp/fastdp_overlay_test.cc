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

struct World {
  World() : fastdp({6784, 1376}, logger) {}

  static OverlayConnection Connection(bool outbound) {
    OverlayConnection connection;
    connection.connection = kConnection;
    connection.uid = kUid;
    connection.remote = PeerName(2);
    connection.remote_short_id = 2;
    connection.outbound = outbound;
    connection.local_tcp = {kHere, static_cast<std::uint16_t>(outbound ? 40001 : 6783)};
    connection.remote_tcp = {kThere, static_cast<std::uint16_t>(outbound ? 7000 : 40002)};
    return connection;
  }
  void Start(bool outbound = true) {
    REQUIRE(fastdp.Prepare(now, Connection(outbound)).ok());
    fastdp.Confirm(now, kConnection);
  }
  // What it did since the last call, commands first.
  Lines Take() {
    Lines lines;
    for (const FastdpCommand& command : fastdp.TakeCommands()) {
      if (const auto* set = std::get_if<SetFastdpTunnel>(&command))
        lines.push_back(
            absl::StrCat("tunnel ", set->local.ToString(), " ", set->remote.ToString(), ":", set->udp_port));
      else if (const auto* beat = std::get_if<SendFastdpHeartbeat>(&command))
        lines.push_back(absl::StrCat("heartbeat ", beat->frame_size, beat->uid == kUid ? "" : " with a foreign UID"));
      else
        lines.push_back("close");
    }
    for (const SubOverlayEvent& event : fastdp.TakeEvents()) {
      if (const auto* control = std::get_if<SubOverlayControl>(&event.what))
        lines.push_back(absl::StrCat("control ", control->tag));
      else if (const auto* health = std::get_if<SubOverlayHealth>(&event.what))
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
  FastdpOverlay fastdp;
};

TEST_CASE("Heartbeats go twice a second until one is acknowledged, every ten seconds after", "[fastdp]") {
  World world;
  world.Start();
  CHECK(world.Take() == Lines{"tunnel 10.0.0.1 10.0.0.2:7001", "heartbeat 1390"});
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
  CHECK(world.Take() == Lines{"tunnel 10.0.0.1 10.0.0.2:6784", "heartbeat 1390"});
  world.Heartbeat({PeerName(2), kHere, kThere, kUid, 1000});
  world.Heartbeat({PeerName(3), kHere, kThere, kUid, 1390});
  world.Heartbeat({PeerName(2), kHere, kThere, kUid + 1, 1390});
  CHECK(world.Take().empty());
  CHECK(world.fastdp.counters().foreign_heartbeats == 3);
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
  CHECK(world.Take().back() == "unhealthy");
  world.Wait(absl::Minutes(5));
  const Lines resting = world.Take();
  CHECK(resting == Lines(30, "heartbeat 1390"));
  world.Heartbeat();
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
  OverlayConnection connection = World::Connection(true);
  connection.remote_short_id.reset();
  CHECK(world.fastdp.Prepare(world.now, connection).message() ==
        "the peer has no short id, by which tunnels name peers");
  connection = World::Connection(true);
  connection.remote_tcp.ip = *IpAddress::Parse("fd00::2");
  CHECK(world.fastdp.Prepare(world.now, connection).message() ==
        "the connection to [fd00::2]:7000 is not over IPv4, which is all that the tunnels carry");
  CHECK(world.Take().empty());
}

TEST_CASE("A tunnel that the kernel refuses ends the path for this connection", "[fastdp]") {
  World world;
  world.Start();
  world.Take();
  world.fastdp.OnTunnelFailed(world.now, {kConnection, absl::UnavailableError("UDP port 7001 is taken")});
  CHECK(world.Take() == Lines{"failed: UDP port 7001 is taken"});
  CHECK_FALSE(world.fastdp.NextDeadline().has_value());
  world.Acknowledge();
  world.Heartbeat();
  CHECK(world.Take().empty());
}

TEST_CASE("A connection that ends closes its tunnel, and what comes late is nobody's", "[fastdp]") {
  World world;
  world.Start();
  world.Take();
  world.fastdp.Stop(world.now, kConnection);
  CHECK(world.Take() == Lines{"close"});
  world.Heartbeat();
  world.Acknowledge();
  world.fastdp.OnTunnelFailed(world.now, {kConnection, absl::UnavailableError("late")});
  world.fastdp.Stop(world.now, kConnection);
  CHECK(world.Take().empty());
  CHECK_FALSE(world.fastdp.NextDeadline().has_value());
}

}  // namespace
}  // namespace weave
