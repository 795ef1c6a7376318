// Peers that find in each other's gossip that they do not belong together: both are to know why.
#include <deque>
#include <memory>

#include "test/mesh/mesh_world.h"
#include "test/mesh/scripted_peer.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

// Refuses whoever has another state.
class OpinionGossiper final : public Gossiper {
 public:
  explicit OpinionGossiper(std::uint8_t ours) : ours_(ours) {}

  absl::Status OnUnicast(Now, PeerName, ByteView) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now, PeerName, ByteView) override { return nullptr; }
  absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now, PeerName, ByteView payload) override {
    if (payload[0] == ours_) return nullptr;
    return absl::FailedPreconditionError(absl::StrCat("received ", int{payload[0]}, ", ours is ", int{ours_}));
  }
  std::unique_ptr<GossipData> FullState(Now) override { return std::make_unique<CounterGossiper::Data>(ours_); }

 private:
  const std::uint8_t ours_;
};

// One end of a TCP connection, whose bytes come in any pieces, and behind them the reset.
struct TcpEnd {
  TcpEnd(std::uint8_t number, ConnectionId connection)
      : id(connection),
        opinion(number),
        entropy(number),
        router(Config(number), overlay, entropy, Random(number), logger) {
    router.AddChannel("opinions", opinion);
  }
  static MeshConfig Config(std::uint8_t number) {
    MeshConfig config = NoDiscovery();
    config.name = PeerName(number);
    return config;
  }

  template <typename Call>
  void Do(TcpEnd& other, Call call) {
    MeshOutput out;
    call(out);
    for (const MeshOutput::Send& send : out.sends) {
      other.waiting.insert(other.waiting.end(), send.bytes.begin(), send.bytes.end());
      owes_writable = true;
    }
    if (!out.closes.empty() || !out.leaves.empty()) open = false;
  }

  // The next thing that happens here; false: nothing does.
  bool Step(TcpEnd& other, Random& random, Now now) {
    if (!open) return false;
    if (std::exchange(owes_writable, false) && random.Chance(1, 2)) {
      Do(other, [&](MeshOutput& out) { router.OnWritable(now, id, out); });
    } else if (!waiting.empty()) {
      const std::size_t size = random.Chance(1, 2) ? waiting.size() : 1 + random.Below(waiting.size());
      const Bytes bytes(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(size));
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(size));
      Do(other, [&](MeshOutput& out) { router.OnReceived(now, id, bytes, out); });
    } else if (!other.open) {
      open = false;
      const absl::Status reset = absl::UnavailableError("connection reset by peer");
      Do(other, [&](MeshOutput& out) { router.OnClosed(now, id, reset, out); });
    } else {
      Do(other, [&](MeshOutput& out) { router.OnWritable(now, id, out); });
      return !waiting.empty() || !other.waiting.empty();
    }
    return true;
  }

  const ConnectionId id;
  HelloOverlay overlay;
  OpinionGossiper opinion;
  SeededEntropy entropy;
  MemoryLogger logger;
  MeshRouter router;
  Bytes waiting;  // sent by the other end and not read
  bool owes_writable = false;
  bool open = true;
};

TEST_CASE("Of two of our own peers that refuse each other both say why, whoever hears of it first", "[mesh]") {
  const Now now{MonotonicTime(1), absl::UnixEpoch()};
  const SocketAddress one = sim::MeshAddressOf(0), two = sim::MeshAddressOf(1);
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    TcpEnd accepts(1, 1), dials(2, kDialledBit + 1);
    accepts.router.Start(now);
    dials.router.Start(now);
    dials.Do(accepts, [&](MeshOutput& out) { dials.router.Connect(now, {{one.ToString(), {one}}}, true, out); });
    accepts.Do(dials, [&](MeshOutput& out) { accepts.router.OnAccepted(now, accepts.id, one, two, out); });
    dials.Do(accepts, [&](MeshOutput& out) { dials.router.OnConnected(now, dials.id, two, out); });
    for (bool goes_on = true; goes_on;) {
      const bool first = random.Chance(1, 2);
      goes_on = first ? accepts.Step(dials, random, now) : dials.Step(accepts, random, now);
      if (!goes_on) goes_on = first ? dials.Step(accepts, random, now) : accepts.Step(dials, random, now);
    }
    CHECK(accepts.logger.Count("received 2, ours is 1") == 1);
    CHECK(dials.logger.Count("received 1, ours is 2") == 1);
  }
}

TEST_CASE("A peer of 2.8 speaks first where it may find a reason to part", "[mesh]") {
  MeshWorld world(1, 1, NoDiscovery());
  world.host(0).counter.value = 7;
  world.host(0).counter.listens_first = true;
  ScriptedPeer old(world, 20);
  old.Join(0);
  world.RunFor(absl::Milliseconds(900));
  REQUIRE(old.CountOf(MessageTag::kGossip, "topology") > 0);
  CHECK(old.CountOf(MessageTag::kGossip, "counter") == 0);
  SECTION("it speaks, and is answered at once") {
    old.SayGossip(MessageTag::kGossip, "counter", Bytes{3}, PeerName(0xbad));
    world.RunFor(absl::Milliseconds(50));
    CHECK(old.CountOf(MessageTag::kGossip, "counter") == 1);
  }
  SECTION("it has nothing to say, and is told after a second") {
    world.RunFor(absl::Milliseconds(500));
    CHECK(old.CountOf(MessageTag::kGossip, "counter") == 1);
  }
}

}  // namespace
}  // namespace weave::test
