#include "wire/messages.h"

#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"
#include "test/wire/foreign_gob.h"
#include "test/wire/vectors.h"

namespace weave {
namespace {

using foreign::Join;

TEST_CASE("Gossip is written as the reference peer writes it", "[wire][golden]") {
  const Bytes payload = {'p', 'a', 'y', 'l', 'o', 'a', 'd'};
  const GossipMessage gossip{
      .channel = "topology", .source = PeerName(0x0a0b0c0d0e0f), .destination = {}, .payload = payload};
  CHECK(EncodeGossip(MessageTag::kGossip, gossip) == Join({{4}, ReadGobStream("gossip-envelope")}));
  CHECK(EncodeGossip(MessageTag::kGossipBroadcast, gossip) == Join({{6}, ReadGobStream("gossip-envelope")}));
  const Bytes request = {0, 1};
  CHECK(EncodeGossip(MessageTag::kGossipUnicast, {"IPallocation", PeerName(1), PeerName(2), request}) ==
        Join({{5}, ReadGobStream("unicast-envelope")}));
  CHECK(EncodeHeartbeat() == Bytes{0});
}

TEST_CASE("Gossip is read as views into the message", "[wire]") {
  const Bytes message = Join({{5}, ReadGobStream("unicast-envelope")});
  const GossipMessage gossip = DecodeGossip(message).value();
  CHECK(gossip.channel == "IPallocation");
  CHECK(gossip.source == PeerName(1));
  CHECK(gossip.destination == PeerName(2));
  CHECK(gossip.payload == ByteView(Bytes{0, 1}));
  CHECK(gossip.payload.data() + gossip.payload.size() == message.data() + message.size());
  // What stands behind the payload is for somebody else.
  CHECK(DecodeGossip(Join({message, {1, 2, 3}})).ok());
}

TEST_CASE("Gossip of any size of payload comes back", "[wire]") {
  for (const std::size_t size : {0, 1, 124, 125, 126, 127, 128, 252, 253, 254, 65'536, 1'000'000}) {
    CAPTURE(size);
    const Bytes payload(size, 0xa5);
    const Bytes message = EncodeGossip(MessageTag::kGossip,
                                       {.channel = "c", .source = PeerName(1), .destination = {}, .payload = payload});
    CHECK(DecodeGossip(message).value().payload == ByteView(payload));
  }
}

TEST_CASE("What is not gossip is refused with the part that is wrong", "[wire]") {
  using foreign::Value;
  const Bytes channel = Value(6, foreign::Text("topology"));
  const Bytes name = Value(3, {1});
  const std::vector<std::pair<Bytes, std::string>> rows = {
      {{}, "gossip: message without tag, want 4 to 6"},
      {{0}, "gossip: message with tag 0, want 4 to 6"},
      {{7, 1}, "gossip: message with tag 7, want 4 to 6"},
      {{4}, "gossip, channel: gob: the stream ends where a string is expected"},
      {Join({{4}, name}), "gossip, channel: gob: an unsigned integer where a string is expected"},
      {Join({{4}, channel}), "gossip, source: gob: the stream ends where an unsigned integer is expected"},
      {Join({{4}, channel, Value(3, foreign::Uint(std::uint64_t{1} << 48))}),
       "gossip, source: gob, byte 23: 281474976710656 is not a peer name of 48 bits"},
      {Join({{4}, channel, name}), "gossip, payload: gob: the stream ends where a byte slice is expected"},
      {Join({{4}, channel, name, channel}), "gossip, payload: gob: a string where a byte slice is expected"},
      {Join({{6}, channel, name, name}), "gossip, payload: gob: an unsigned integer where a byte slice is expected"},
      {Join({{5}, channel, name, Value(5, foreign::Text("x"))}),
       "gossip, destination: gob: a byte slice where an unsigned integer is expected"},
      {Join({{4}, channel, name, {5, 10, 0, 9, 1, 2}}), "gossip, payload: gob, byte 20: 9 bytes announced, 2 left"},
  };
  for (const auto& [message, error] : rows) {
    CAPTURE(ToHex(message));
    const auto gossip = DecodeGossip(message);
    CHECK(gossip.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(gossip.status().message()) == error);
  }
}

}  // namespace
}  // namespace weave
