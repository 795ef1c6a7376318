// The data path frame by frame: what becomes of each on the way out and in (spec/overlay.md sections 2.7 and 2.8).
#include "sleeve/sleeve_forwarder.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/overlay/routes_world.h"
#include "test/sleeve/datagrams.h"
#include "test/sleeve/packets.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Lines = std::vector<std::string>;

constexpr std::size_t kMtu = 1438;
constexpr std::size_t kMaxPayload = 1472;

// Peer 1, with a path to peer 2.
struct World {
  explicit World(std::optional<SessionKey> key = {}) {
    router.SetForwarding(MakeForwarding(1, {{1, 2}, {1, 3}}, {2, 3}));
    forwarder.OnCommand(OpenSleevePath{2, PeerName(2), /*outbound=*/true, key});
    Update();
  }
  void Update(bool fragments_pass = true, std::size_t mtu = kMtu) {
    forwarder.OnCommand(UpdateSleevePath{
        2, {std::nullopt, {IpAddress::V4(0x0a4d0002), 6783}}, mtu, mtu + kMaxPayload - kMtu, fragments_pass});
  }
  void Capture(const Bytes& frame, const FrameOffload& offload = {}) { forwarder.OnCaptured({}, {frame, offload}); }
  // A frame from peer 2 for us.
  void Receive(const Bytes& frame) {
    Bytes frames;
    AppendSleeveFrame({PeerName(2), PeerName(1), frame}, frames);
    ReceiveDatagram(SealDatagram(sealer, frames));
  }
  void ReceiveDatagram(const Bytes& datagram) {
    forwarder.OnDatagram({}, IpAddress::V4(0x0a4d0001), {IpAddress::V4(0x0a4d0002), 6783}, datagram);
  }
  // "DF 2: 1>2 100, 1>2 60" for each datagram: frames with their ends and sizes. Three MACs are enough to know.
  Lines Sent() {
    forwarder.Flush();
    Lines lines;
    for (const RecordingIo::Sent& sent : std::exchange(io.sent, {})) {
      std::string& line = lines.emplace_back(sent.dont_fragment ? "DF" : "--");
      SleeveFrameReader reader(ByteView(sent.payload).subspan(6));
      while (const auto frame = reader.Next()) {
        absl::StrAppend(&line, " ", frame->source.value(), ">", frame->destination.value(), " ", frame->frame.size());
        last_frame.assign(frame->frame.begin(), frame->frame.end());
      }
      CHECK(reader.status().ok());
    }
    return lines;
  }
  const SleeveCounters& counters() const { return forwarder.counters(); }

  RecordingIo io;
  PacketRouter router;
  SleeveForwarder forwarder{PeerName(1), router, io};
  FrameSealer sealer{PeerName(2), std::nullopt, /*sender_dialled=*/false, /*dont_fragment=*/true};
  Bytes last_frame;
};

// The server's MAC is known to be at peer 2.
void LearnServer(World& world) {
  world.Receive(MakeIpv4({.to = kClientMac, .from = kServerMac}));
  world.forwarder.Flush();
  world.io.injected.clear();
}

TEST_CASE("A frame with DF that fits goes with DF, one without it goes without", "[sleeve]") {
  World world;
  LearnServer(world);
  const Bytes with = MakeIpv4({.dont_fragment = true, .payload = Counting(kMtu - 20)});
  world.Capture(with);
  CHECK(world.Sent() == Lines{"DF 1>2 1452"});
  CHECK(world.last_frame == with);
  world.Capture(MakeIpv4({.payload = Counting(5000)}));
  CHECK(world.Sent() == Lines{"-- 1>2 5034"});
  world.Capture(FromHex(kServerMac + kClientMac + "080600").value());
  CHECK(world.Sent() == Lines{"-- 1>2 15"});
}

TEST_CASE("A frame with DF that does not fit is refused to its sender; a broadcast just ends", "[sleeve]") {
  World world;
  LearnServer(world);
  world.Capture(MakeIpv4({.dont_fragment = true, .payload = Counting(kMtu - 19)}));
  CHECK(world.Sent().empty());
  REQUIRE(world.io.injected.size() == 1);
  CHECK(ToHex(ByteView(world.io.injected[0].bytes).first(12)) == kClientMac + kServerMac);
  CHECK(Read16(world.io.injected[0].bytes.data() + 40) == kMtu);
  CHECK(world.counters().icmp_sent == 1);
  world.Capture(MakeIpv4({.dont_fragment = true, .payload = Counting(kMtu - 19), .to = "ffffffffffff"}));
  CHECK(world.Sent().empty());
  CHECK(world.io.injected.size() == 1);
  CHECK(world.counters().too_big_broadcasts == 1);
}

TEST_CASE("A relay tells the peer a frame came from, in the name of the peer it was for", "[sleeve]") {
  World world;
  world.forwarder.OnCommand(OpenSleevePath{3, PeerName(3), /*outbound=*/true, {}});
  world.forwarder.OnCommand(UpdateSleevePath{3, {{}, {IpAddress::V4(0x0a4d0003), 6783}}, 500, 534, true});
  Bytes frames;
  AppendSleeveFrame({PeerName(2), PeerName(3), MakeIpv4({.dont_fragment = true, .payload = Counting(1000)})}, frames);
  world.ReceiveDatagram(SealDatagram(world.sealer, frames));
  CHECK(world.Sent() == Lines{"-- 3>2 70"});
  CHECK(Read16(world.last_frame.data() + 40) == 500);
  CHECK(world.io.injected.empty());
}

TEST_CASE("Where fragments do not pass, what is too large is cut inside", "[sleeve]") {
  World world;
  LearnServer(world);
  world.Update(/*fragments_pass=*/false);
  world.Capture(MakeIpv4({.payload = Counting(1000)}));
  CHECK(world.Sent() == Lines{"DF 1>2 1034"});
  world.Capture(MakeIpv4({.payload = Counting(2000)}));
  CHECK(world.Sent() == Lines{"DF 1>2 1450", "DF 1>2 618"});
  world.Capture(FromHex(kServerMac + kClientMac + "0806" + ToHex(Counting(2000))).value());
  CHECK(world.Sent() == Lines{"-- 1>2 2014"});  // not IPv4: the kernel's fragments are all there is
}

TEST_CASE("IPv6 that is too large goes where the kernel's fragments pass; where not, its sender is told", "[sleeve]") {
  World world;
  LearnServer(world);
  const Bytes frame = MakeIpv6({.payload = Counting(2000)});
  world.Capture(frame);
  CHECK(world.Sent() == Lines{"-- 1>2 2054"});
  world.Update(/*fragments_pass=*/false);
  world.Capture(frame);
  CHECK(world.Sent().empty());
  REQUIRE(world.io.injected.size() == 1);
  CHECK(ReadInnerIpv6(world.io.injected[0].bytes)->next_header == 58);
  CHECK(Read32(world.io.injected[0].bytes.data() + 58) == kMtu);
  CHECK(world.counters().icmp_sent == 1);
  world.Capture(MakeTcp6(7, 5000), Tcp6Offload(3000));
  CHECK(world.Sent().empty());
  CHECK(world.counters().icmp_sent == 2);
  world.Capture(MakeIpv6({.payload = Counting(1000)}));
  CHECK(world.Sent() == Lines{"-- 1>2 1054"});
  world.Update(/*fragments_pass=*/false, /*mtu=*/700);
  world.Capture(MakeIpv6({.payload = Counting(1000)}));
  CHECK(world.Sent() == Lines{"-- 1>2 1054"});  // too small for any IPv6: it may yet arrive
}

TEST_CASE("What exceeds every datagram is cut inside too, or dropped", "[sleeve]") {
  World world;
  LearnServer(world);
  world.Capture(MakeIpv4({.payload = Counting(65507)}));
  CHECK(world.Sent().size() == 47);
  world.Capture(FromHex(kServerMac + kClientMac + "0806" + ToHex(Counting(65500))).value());
  CHECK(world.Sent().empty());
  CHECK(world.counters().too_big == 1);
  world.Update(true, /*mtu=*/65535);  // until the kernel refuses something
  world.Capture(MakeIpv4({.dont_fragment = true, .payload = Counting(65515)}));
  CHECK(world.Sent().empty());
  REQUIRE(world.io.injected.size() == 1);
  CHECK(Read16(world.io.injected[0].bytes.data() + 40) == 65507 - 20 - 14);
}

TEST_CASE("Small frames for the same neighbour share a datagram as long as it fits the path", "[sleeve]") {
  World world;
  LearnServer(world);
  const Bytes frame = MakeIpv4({.dont_fragment = true, .payload = Counting(500)});
  for (int i = 0; i < 3; ++i) world.Capture(frame);
  CHECK(world.Sent() == Lines{"DF 1>2 534 1>2 534", "DF 1>2 534"});
  world.Capture(frame);
  world.Capture(MakeIpv4({.payload = Counting(100)}));
  CHECK(world.Sent() == Lines{"DF 1>2 534", "-- 1>2 134"});
}

TEST_CASE("A large TCP frame becomes datagrams of one size, with complete checksums", "[sleeve]") {
  World world;
  LearnServer(world);
  world.Capture(MakeTcp(1, 4000), TcpOffload(1386));
  CHECK(world.Sent() == Lines{"DF 1>2 1452", "DF 1>2 1452", "DF 1>2 1294"});
  CHECK(TcpChecksumIsRight(world.last_frame, 34));
  const Bytes small = MakeTcp(1, 100);
  world.Capture(small, TcpOffload(0));
  CHECK(world.Sent() == Lines{"DF 1>2 166"});
  CHECK(world.last_frame == Completed(small, TcpOffload(0)));
  world.Capture(MakeTcp(1, 4000), TcpOffload(1387));  // each too large by a byte
  CHECK(world.Sent().empty());
  CHECK(world.counters().icmp_sent == 1);
}

TEST_CASE("Hostile offloads are dropped", "[sleeve]") {
  World world;
  LearnServer(world);
  FrameOffload offload = TcpOffload(1386);
  offload.checksum_start = 65535;
  world.Capture(MakeTcp(1, 4000), offload);
  CHECK(world.Sent().empty());
  CHECK(world.counters().bad_frames == 1);
}

TEST_CASE("Frames in a datagram are injected in order, also those before a malformed one", "[sleeve]") {
  World world;
  Bytes frames;
  const Bytes first = MakeIpv4({.payload = Counting(10)});
  const Bytes second = MakeIpv4({.payload = Counting(20)});
  for (const Bytes& frame : {first, second}) AppendSleeveFrame({PeerName(2), PeerName(1), frame}, frames);
  frames.push_back(0);
  world.ReceiveDatagram(SealDatagram(world.sealer, frames));
  world.forwarder.Flush();
  REQUIRE(world.io.injected.size() == 2);
  CHECK(world.io.injected[0].bytes == first);
  CHECK(world.io.injected[1].bytes == second);
  CHECK(world.counters().malformed == 1);
  CHECK(world.counters().frames_received == 2);
}

TEST_CASE("With a key every datagram opens at the other end, and opens once", "[sleeve]") {
  const SessionKey key = {1, 2, 3};
  World world(key);
  FrameOpener opener(key, /*sender_dialled=*/true);
  std::vector<Bytes> datagrams;
  for (int i = 0; i < 3; ++i) {
    world.Capture(MakeIpv4({.dont_fragment = i % 2 == 0, .payload = Counting(100)}));
    world.forwarder.Flush();
  }
  REQUIRE(world.io.sent.size() == 3);
  for (const RecordingIo::Sent& sent : world.io.sent) {
    const FrameOpener::Result opened = opener.Open(sent.payload);
    REQUIRE(opened.outcome == FrameOpener::Outcome::kOpened);
    CHECK(SleeveFrameReader(opened.frames).Next()->frame.size() == 134);
    CHECK(opener.Open(sent.payload).outcome == FrameOpener::Outcome::kReplayed);
  }
}

TEST_CASE("Nothing is sent to a neighbour whose address is not known, or whose path was closed", "[sleeve]") {
  World world;
  LearnServer(world);
  const std::uint64_t before = world.counters().no_path;
  world.forwarder.OnCommand(CloseSleevePath{2});
  world.Capture(MakeIpv4({.payload = Counting(10)}));
  world.forwarder.OnCommand(OpenSleevePath{4, PeerName(2), true, {}});
  world.forwarder.OnCommand(SendSpecialFrame{4, kHeartbeatSize, 7, true});
  CHECK(world.Sent().empty());
  CHECK(world.counters().no_path == before + 1);
}

TEST_CASE("The path opened last hears what its peer sends", "[sleeve]") {
  World world;
  const SessionKey key = {9};
  world.forwarder.OnCommand(OpenSleevePath{5, PeerName(2), true, key});
  world.Receive(MakeIpv4({}));  // in clear
  CHECK(world.counters().malformed + world.counters().forged == 1);
  world.forwarder.OnCommand(CloseSleevePath{5});
  world.Receive(MakeIpv4({}));
  CHECK(world.counters().unknown_senders == 1);
}

}  // namespace
}  // namespace weave
