// Peers and strangers that do what no peer does: each loses its own connection, and nobody else notices.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/mesh/mesh_world.h"
#include "test/mesh/records.h"
#include "test/mesh/scripted_peer.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

constexpr sim::HostId kStranger = 20;  // on the simulated network

// Two routers that are connected and must stay so, and somebody who talks to the first.
struct HostileWorld {
  explicit HostileWorld(ScriptedPeer::Options options = {}) : peer(world, kStranger, std::move(options)) {
    world.host(0).Connect(1);
    REQUIRE(world.RunUntil([&] { return world.Agreed() && world.AllEstablished(); }, absl::Seconds(10)));
  }

  void CheckOthersUnaffected() {
    CHECK(world.Established(0, 1));
    CHECK(world.Established(1, 0));
    CHECK(world.router(1).stats().terminations == 0);
    CHECK(world.RunUntil([&] { return world.Agreed(); }, absl::Seconds(5)));
  }

  MeshWorld world{2};
  ScriptedPeer peer;
};

Bytes Joined(ByteView a, ByteView b) {
  Bytes both(a.begin(), a.end());
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

Bytes Gossip(MessageTag tag, absl::string_view channel, ByteView payload, PeerName destination = {}) {
  return EncodeGossip(tag, {channel, PeerName(0xbad), destination, payload});
}

TEST_CASE("A malformed message ends the connection it came on, with a reason in the log", "[mesh]") {
  struct Row {
    const char* what;
    Bytes message;
  };
  const Bytes endless_definition = {4, 0x7f, 0xff, 0x81, 3, 1, 1};
  const Row row = GENERATE_COPY(values<Row>({
      {"a gob that is none", {4, 0xff, 0xff, 0xff}},
      {"a tag and nothing else", {4}},
      {"a definition without an end", endless_definition},
      {"a unicast cut short", Gossip(MessageTag::kGossipUnicast, "counter", Bytes{1}, PeerName(1))},
      {"topology that cannot be decoded", Gossip(MessageTag::kGossip, "topology", Bytes{1, 2, 3})},
      {"topology to one peer", Gossip(MessageTag::kGossipUnicast, "topology", {}, PeerName(1))},
      {"gossip that its consumer refuses", Gossip(MessageTag::kGossip, "counter", Bytes{1, 2})},
      {"a broadcast that its consumer refuses", Gossip(MessageTag::kGossipBroadcast, "counter", Bytes{1, 2})},
      {"a message to us that its consumer refuses",
       Gossip(MessageTag::kGossipUnicast, "counter", Bytes{0xff}, PeerName(1))},
      {"overlay control that the overlay refuses", {7}},
  }));
  CAPTURE(row.what);
  HostileWorld w;
  w.peer.Join(0);
  Bytes message = row.message;
  if (absl::StrContains(row.what, "cut short")) message.resize(message.size() - 1);
  w.peer.Say(message);
  CHECK(w.world.RunUntil([&] { return w.peer.closed; }, absl::Seconds(5)));
  CHECK(w.world.host(0).logger.Count("connection ended address=10.128.0.21:") == 1);
  CHECK(w.world.router(0).stats().terminations == 1);
  w.CheckOthersUnaffected();
}

TEST_CASE("Messages that mean nothing are ignored", "[mesh]") {
  HostileWorld w;
  w.peer.Join(0);
  for (const Bytes& message : {Bytes{}, Bytes{8}, Bytes{255, 1, 2}}) w.peer.Say(message);
  w.world.RunFor(absl::Seconds(1));
  CHECK(w.world.router(0).stats().ignored_messages == 3);
  CHECK_FALSE(w.peer.closed);
}

TEST_CASE("What cannot be an introduction ends the connection at once", "[mesh]") {
  struct Row {
    const char* what;
    Bytes bytes;
  };
  const Bytes header = EncodeVersionHeader({1, 2});
  const Row row = GENERATE_COPY(values<Row>({
      {"another protocol", Joined(AsBytes("GET / HTTP/1.1\r\n\r\n"), {})},
      {"no version in common", EncodeVersionHeader({3, 9})},
      {"an encryption flag out of range", Joined(header, Bytes{2})},
      {"encryption nobody asked for", Joined(header, Bytes(33, 1))},
      {"a frame beyond any limit", Joined(header, Bytes{0, 0xff, 0xff, 0xff, 0xff})},
      {"features that are too long", Joined(header, Bytes{0, 0, 2, 0, 0})},
      {"features that cannot be decoded", Joined(header, Bytes{0, 0, 0, 0, 2, 1, 1})},
  }));
  CAPTURE(row.what);
  HostileWorld w({.introduces_itself = false});
  w.peer.Dial(0);
  w.world.RunFor(absl::Seconds(1));
  w.peer.SayRaw(row.bytes);
  CHECK(w.world.RunUntil([&] { return w.peer.closed; }, absl::Seconds(2)));
  CHECK(w.world.host(0).logger.Count("connection ended address=10.128.0.21:") == 1);
  w.CheckOthersUnaffected();
}

TEST_CASE("An oversized frame ends the connection before its bytes have come", "[mesh]") {
  HostileWorld w;
  w.peer.Join(0);
  w.peer.SayRaw(Bytes{0, 0xa0, 0, 1});  // 10 MiB and a byte
  CHECK(w.world.RunUntil([&] { return w.peer.closed; }, absl::Seconds(2)));
  w.CheckOthersUnaffected();
}

TEST_CASE("A repeated or changed message of an encrypted connection ends it", "[mesh]") {
  MeshConfig config;
  config.password = "secret";
  MeshWorld world(1, 1, config);
  ScriptedPeer peer(world, kStranger, {.password = "secret"});
  peer.Join(0);
  peer.Say(EncodeHeartbeat());
  world.RunFor(absl::Seconds(1));
  CHECK_FALSE(peer.closed);
  Bytes garbled(21, 0x55);  // a box of the size of a heartbeat's
  garbled[0] = garbled[1] = garbled[2] = 0;
  garbled[3] = 17;
  peer.SayRaw(garbled);
  CHECK(world.RunUntil([&] { return peer.closed; }, absl::Seconds(2)));
  CHECK(world.host(0).logger.Count("cannot be decrypted") == 1);
}

TEST_CASE("Invented peers are forgotten as soon as nobody leads to them, and take nobody's place", "[mesh]") {
  HostileWorld w;
  w.peer.Join(0);
  std::vector<PeerSummary> invented;
  for (std::uint64_t i = 10'000; i < 12'000; ++i)
    invented.push_back(Record(Peer(i), 1, i, ShortId(i % 4096), {To(Peer(i + 1))}));
  // One of them is our neighbour, with a record that outdoes every one of its own.
  invented.push_back(Record(Peer(2), 1'000'000, 1, std::nullopt, {To(Peer(10'000))}));
  w.peer.SayGossip(MessageTag::kGossip, "topology", Update(invented), PeerName(0xbad));
  // The neighbour outdoes that record in turn, and says what it is really connected to.
  CHECK(w.world.RunUntil(
      [&] { return w.world.router(0).topology().peer_count() == 3 && w.world.router(1).topology().peer_count() == 3; },
      absl::Seconds(20)));
  CHECK(w.world.router(0).topology().Find(Peer(2))->version > 1'000'000);
  CHECK(w.world.Established(1, 0));
}

TEST_CASE("A flood of strangers is refused from some number on, and peers that are connected stay", "[mesh]") {
  HostileWorld w;
  std::vector<std::unique_ptr<ScriptedPeer>> strangers;
  for (sim::HostId i = 0; i < 600; ++i) {
    strangers.push_back(
        std::make_unique<ScriptedPeer>(w.world, 100 + i, ScriptedPeer::Options{.introduces_itself = false}));
    strangers.back()->Dial(0);
  }
  w.world.RunFor(absl::Seconds(5));
  const auto closed = std::count_if(strangers.begin(), strangers.end(), [](const auto& s) { return s->closed; });
  CHECK(closed == 600 - 512);
  CHECK(w.world.host(0).logger.Count("connection refused: too many have not introduced themselves") == 600 - 512);
  w.CheckOthersUnaffected();
  // The others had their time; after that there is room again.
  w.world.RunFor(absl::Seconds(10));
  w.peer.Join(0);
  CHECK(w.world.Established(0, 1));
}

}  // namespace
}  // namespace weave::test
