// What fits through a tunnel is found by trying, between what 2.8 takes for granted and what the kernel says.
#include "fastdp/tunnel_mtu.h"

#include <string>
#include <utility>
#include <vector>

#include "fastdp/fastdp_overlay.h"
#include "fastdp/heartbeat.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Tests = std::vector<std::size_t>;
constexpr ConnectionId kPathConnection = 7;

class NoEntropy final : public EntropySource {
 public:
  void Fill(absl::Span<std::uint8_t>) override {}
};

// An established connection over a path, whose other end is a peer of ours that answers every test that passes.
struct PathWorld {
  explicit PathWorld(bool search = true) : fastdp({PeerName(1), 6784, kDefaultTunnelMtu, search}, entropy, logger) {}

  void Start(std::size_t kernels_word, bool sealed = false) {
    OverlayConnection connection;
    connection.connection = kPathConnection;
    connection.uid = 1;
    connection.remote = PeerName(2);
    connection.remote_short_id = 2;
    connection.local_tcp = {IpAddress::V4(1), 6783};
    connection.remote_tcp = {IpAddress::V4(2), 6783};
    if (sealed) connection.key = SessionKey();
    REQUIRE(fastdp.Prepare(now, connection).ok());
    fastdp.Confirm(now, kPathConnection);
    if (sealed) {
      IpsecOffer offer;
      offer.spi = 1;
      fastdp.OnControl(now, kPathConnection, 1, EncodeIpsecOffer(offer));
      fastdp.OnIpsec(now, OutboundReady{kPathConnection, absl::OkStatus()});
    } else {
      fastdp.OnIpsec(now, ClearReady{kPathConnection, absl::OkStatus()});
    }
    KernelSays(kernels_word);
    Carry();
  }
  void Establish() {
    fastdp.OnControl(now, kPathConnection, 0, {});
    Carry();
  }
  // To a peer of ours whose interfaces have this MTU.
  void Connect(std::size_t kernels_word, std::size_t their_mtu) {
    Start(kernels_word);
    Interfaces(their_mtu, /*may_grow=*/false);
    Establish();
  }
  // The other end tells of its interfaces.
  void Interfaces(std::size_t mtu, bool may_grow) {
    fastdp.OnControl(now, kPathConnection, 17,
                     {static_cast<std::uint8_t>(mtu >> 8), static_cast<std::uint8_t>(mtu), may_grow});
    Carry();
  }
  void KernelSays(std::size_t path_mtu) {
    fastdp.OnPathMtu(now, {kPathConnection, path_mtu});
    Carry();
  }
  // What is sent passes or does not, until nothing is under way.
  void Carry() {
    for (std::vector<FastdpCommand> commands = fastdp.TakeCommands(); !commands.empty();
         commands = fastdp.TakeCommands()) {
      for (const FastdpCommand& command : commands) {
        if (const auto* set = std::get_if<SetFastdpTunnel>(&command)) tunnel_mtu = set->mtu;
        const auto* sent = std::get_if<SendFastdpHeartbeat>(&command);
        if (sent == nullptr || !sent->test) continue;
        const std::size_t mtu = sent->frame_size - kEthernetHeaderSize;
        tests.push_back(mtu);
        if (mtu <= passes && answers)
          fastdp.OnControl(now, kPathConnection, 18,
                           {static_cast<std::uint8_t>(mtu >> 8), static_cast<std::uint8_t>(mtu)});
      }
    }
    for (const SubOverlayEvent& event : fastdp.TakeEvents())
      if (const auto* health = std::get_if<SubOverlayHealth>(&event.what))
        healthy = health->healthy;
      else if (const auto* control = std::get_if<SubOverlayControl>(&event.what))
        told_of_interfaces += control->tag == 17 ? 1 : 0;
  }
  void Wait(Duration time) {
    const MonotonicTime end = now.monotonic + time;
    while (fastdp.NextDeadline().has_value() && *fastdp.NextDeadline() <= end) {
      now.monotonic = *fastdp.NextDeadline();
      fastdp.OnTimer(now);
      Carry();
      // Heartbeats come in all the time.
      fastdp.OnHeartbeat(now, {PeerName(2), IpAddress::V4(1), IpAddress::V4(2), 1, 1390});
    }
    now.monotonic = end;
  }
  Tests TakeTests() { return std::exchange(tests, {}); }
  std::size_t mtu() const { return fastdp.Find(kPathConnection)->mtu(); }
  std::string shown() const { return fastdp.Attributes(kPathConnection).at("mtu"); }

  Now now;
  NullLogger logger;
  NoEntropy entropy;
  FastdpOverlay fastdp;
  std::size_t passes = 65535;  // through the path, of frames' payload
  bool answers = true;
  std::size_t tunnel_mtu = 0;  // as the datapath was told
  bool healthy = true;
  int told_of_interfaces = 0;
  Tests tests;
};

TEST_CASE("Headers cost what the kernel adds, in clear and in ESP", "[fastdp]") {
  CHECK(TunnelMtu(1500, false) == 1450);
  CHECK(TunnelMtu(9000, false) == 8950);
  CHECK(TunnelMtu(1500, true) == 1416);
  CHECK(TunnelMtu(1499, true) == 1412);
  CHECK(TunnelMtu(9000, true) == 8916);
  CHECK(TunnelMtu(40, true) == 0);
  CHECK(TunnelMtu(50, false) == 0);
}

TEST_CASE("One test finds what the kernel has said; containers and the status get it", "[fastdp]") {
  PathWorld world;
  world.Start(9000);
  CHECK(world.shown() == "1376");
  world.Interfaces(8950, false);
  CHECK(world.TakeTests().empty());  // not established yet
  world.Establish();
  CHECK(world.TakeTests() == Tests{8950});
  CHECK(world.shown() == "8950");
  CHECK(world.tunnel_mtu == 8950);
  CHECK_FALSE(world.fastdp.Find(kPathConnection)->searching_mtu());

  PathWorld sealed;
  sealed.Start(9000, /*sealed=*/true);
  sealed.Interfaces(8950, false);
  sealed.Establish();
  CHECK(sealed.TakeTests() == Tests{8916});
  CHECK(sealed.shown() == "8916");
}

TEST_CASE("A hop that is narrower than the kernel knows is found in bounded time, and kept", "[fastdp]") {
  PathWorld world;
  world.passes = 5000;
  world.Connect(9000, 9000);
  world.Wait(absl::Seconds(3));  // the largest was tried eight times
  CHECK(world.mtu() >= kDefaultTunnelMtu);
  CHECK(world.mtu() <= 5000);
  world.Wait(absl::Seconds(40));
  CHECK(world.mtu() == 5000);
  CHECK(world.TakeTests().size() <= 8 * 14 + 4);
  // It is tested every ten seconds; what is larger less and less often.
  world.Wait(absl::Minutes(20));
  std::size_t larger = 0;
  for (const std::size_t test : world.TakeTests()) larger += test > 5000 ? 1 : 0;
  CHECK(larger > 0);
  CHECK(larger <= 8 * 14 * 7);
  for (int i = 0; i < 100; ++i) {
    world.Wait(absl::Seconds(5));
    CHECK(world.mtu() == 5000);
  }
  world.passes = 65535;
  world.Wait(absl::Minutes(6));
  CHECK(world.mtu() == 8950);
}

TEST_CASE("When every test was lost, another search half a minute later finds what passes", "[fastdp]") {
  PathWorld world;
  world.passes = 0;
  world.Connect(9000, 9000);
  world.Wait(absl::Minutes(1));
  CHECK(world.mtu() == kDefaultTunnelMtu);
  world.passes = 65535;
  world.Wait(absl::Minutes(2));
  CHECK(world.mtu() == 8950);
}

TEST_CASE("A change that the other end's kernel tells of is a reason to look again", "[fastdp]") {
  PathWorld world;
  world.passes = 1450;
  world.Connect(9000, 9000);
  world.Wait(absl::Minutes(1));
  REQUIRE(world.mtu() == 1450);
  world.passes = 65535;
  world.Interfaces(9000, false);
  world.Wait(absl::Seconds(5));  // a search may be under way that has found something lost
  CHECK(world.mtu() == 8950);

  world.KernelSays(1500);
  CHECK(world.told_of_interfaces == 2);  // at first, and for the change
}

TEST_CASE("A path that becomes narrower without a word is noticed", "[fastdp]") {
  PathWorld world;
  world.Connect(9000, 9000);
  REQUIRE(world.mtu() == 8950);
  world.passes = 1450;
  world.Wait(absl::Seconds(13));
  CHECK(world.mtu() <= 1450);
  world.Wait(absl::Seconds(40));
  CHECK(world.mtu() == 1450);
  CHECK(world.tunnel_mtu == 1450);
}

TEST_CASE("A few lost tests are no narrower path", "[fastdp]") {
  PathWorld world;
  world.Connect(1500, 1450);
  world.Wait(absl::Seconds(10));
  world.answers = false;
  world.Wait(absl::Seconds(10) + absl::Milliseconds(700));
  world.answers = true;
  for (int i = 0; i < 60; ++i) {
    world.Wait(absl::Milliseconds(100));
    CHECK(world.mtu() == 1450);
  }
}

TEST_CASE("What the kernel says of a change counts at once", "[fastdp]") {
  PathWorld world;
  world.Connect(9000, 9000);
  world.KernelSays(1500);
  CHECK(world.mtu() == 1450);
  world.KernelSays(9000);
  CHECK(world.mtu() == 8950);
  // Less than what every tunnel must carry: not to be used, until the word is another.
  world.KernelSays(1400);
  CHECK_FALSE(world.healthy);
  world.Wait(absl::Minutes(2));
  CHECK_FALSE(world.healthy);
  CHECK(world.mtu() == kDefaultTunnelMtu);
  world.KernelSays(1500);
  CHECK(world.healthy);
  CHECK(world.mtu() == 1450);
}

TEST_CASE("A peer of 2.8 answers no tests, gets none, and what its heartbeats have", "[fastdp]") {
  PathWorld world;
  world.Start(9000);
  world.Establish();
  world.Wait(absl::Minutes(10));
  CHECK(world.TakeTests().empty());
  CHECK(world.mtu() == 1376);
  CHECK(world.fastdp.Find(kPathConnection)->possible_mtu() == 1376);
  // Launched with --mtu 1300.
  world.fastdp.OnHeartbeat(world.now, {PeerName(2), IpAddress::V4(1), IpAddress::V4(2), 1, 1314});
  CHECK(world.mtu() == 1300);
}

TEST_CASE("Interfaces at the other end bound what is sent; those that may grow do not bound ours", "[fastdp]") {
  PathWorld world;
  world.Start(9000);
  world.Interfaces(1376, true);
  world.Establish();
  CHECK(world.mtu() == 1376);
  CHECK(world.fastdp.Find(kPathConnection)->possible_mtu() == 8950);
  world.Interfaces(1376, false);
  CHECK(world.fastdp.Find(kPathConnection)->possible_mtu() == 1376);
  world.Interfaces(8950, false);
  CHECK(world.mtu() == 8950);
  CHECK(world.tunnel_mtu == 8950);
}

TEST_CASE("An MTU that was asked for is not searched, and words of a stranger do not hurt", "[fastdp]") {
  PathWorld world(/*search=*/false);
  world.Connect(9000, 9000);
  world.Wait(absl::Minutes(10));
  CHECK(world.TakeTests().empty());
  CHECK(world.mtu() == kDefaultTunnelMtu);

  PathWorld other;
  const auto say = [&](std::uint8_t tag, const Bytes& data) {
    other.fastdp.OnControl(other.now, kPathConnection, tag, data);
    other.Carry();
  };
  other.Start(9000);
  for (const Bytes& data : {Bytes{}, Bytes{1}, Bytes{255, 255}}) {
    say(17, data);
    say(18, data);
  }
  say(18, {34, 246});
  CHECK(other.mtu() == 1376);
  other.Interfaces(0, false);
  other.Establish();
  CHECK(other.mtu() == MtuSearch::kLeast);
}

TEST_CASE("A test is answered and proves nothing else; a heartbeat is no test", "[fastdp]") {
  PathWorld world;
  world.Start(1500);
  FastdpHeartbeatReceived test{PeerName(2), IpAddress::V4(1), IpAddress::V4(2), 1, 1464, /*test=*/true};
  world.fastdp.OnHeartbeat(world.now, test);
  std::vector<SubOverlayEvent> events = world.fastdp.TakeEvents();
  REQUIRE(events.size() == 1);
  const auto* answer = std::get_if<SubOverlayControl>(&events[0].what);
  REQUIRE(answer != nullptr);
  CHECK(answer->tag == 18);
  CHECK(answer->data == Bytes{1450 >> 8, 1450 & 0xff});

  const auto read = ReadFastdpHeartbeat(MakeFastdpHeartbeat(5, 1464, /*test=*/true));
  REQUIRE(read.has_value());
  CHECK(read->test);
  CHECK(read->uid == 5);
  CHECK_FALSE(ReadFastdpHeartbeat(MakeFastdpHeartbeat(5, 1464))->test);
}

}  // namespace
}  // namespace weave
