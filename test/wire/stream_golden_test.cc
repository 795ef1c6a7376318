// Whole TCP connections of reference peers, both directions: every byte is understood, and what was understood gives
// the same bytes again.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/catch.h"
#include "test/wire/gob_types.h"
#include "test/wire/vectors.h"
#include "wire/framing.h"
#include "wire/handshake.h"
#include "wire/messages.h"
#include "wire/session.h"
#include "wire/topology.h"

namespace weave {
namespace {

constexpr std::size_t kKeySize = 32;

std::map<std::string, std::string> AsText(const Features& features, int version) {
  std::map<std::string, std::string> text = {{"PeerNameFlavour", "mac"},
                                             {"Name", features.name.ToString()},
                                             {"NickName", features.nickname},
                                             {"UID", absl::StrCat(features.uid)},
                                             {"ConnID", absl::StrCat(features.connection_id)}};
  if (features.short_id.has_value()) text["ShortID"] = absl::StrCat(*features.short_id);
  if (version == 2) text["Trusted"] = features.trusted ? "true" : "false";
  if (features.overlays.has_value()) text["Overlays"] = *features.overlays;
  if (features.public_key.has_value()) text["PublicKey"] = ToHex(*features.public_key);
  return text;
}

// Type ids depend on what a Go process has encoded before. All that occur take the two bytes `ff xx`.
bool EqualButForTypeIds(ByteView a, ByteView b) {
  if (a.size() != b.size() || a.empty()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && (i == 0 || a[i - 1] != 0xff || b[i - 1] != 0xff)) return false;
  }
  return true;
}

std::vector<PeerSummary> ReadTopology(ByteView update) {
  std::vector<PeerSummary> peers;
  TopologyReader reader(update);
  for (;;) {
    auto peer = reader.Next();
    INFO(peer.status());
    REQUIRE(peer.ok());
    if (!peer->has_value()) return peers;
    peers.push_back(**peer);
    peers.back().connections = reader.Connections().value();
  }
}

Bytes WriteTopology(const std::vector<PeerSummary>& peers) {
  std::vector<EncodedSummary> summaries;
  for (const PeerSummary& peer : peers) summaries.push_back(EncodeSummary(peer));
  std::vector<const EncodedSummary*> pointers;
  for (const EncodedSummary& summary : summaries) pointers.push_back(&summary);
  return EncodeTopology(pointers);
}

// In a peer, names of types that mention another one begin with the package of that; gob_types.json has them from
// another program.
void NameAsInPeer(Bytes& stream) {
  constexpr absl::string_view kProgram = "main.PeerName";
  constexpr absl::string_view kPeer = "mesh.PeerName";
  for (auto at = stream.begin();; std::copy(kPeer.begin(), kPeer.end(), at)) {
    at = std::search(at, stream.end(), kProgram.begin(), kProgram.end());
    if (at == stream.end()) return;
  }
}

template <typename T>
Bytes Reencoded(ByteView stream) {
  GobReader reader(stream);
  T value;
  const absl::Status status = reader.Read(value);
  INFO(status);
  REQUIRE(status.ok());
  REQUIRE_FALSE(reader.HasValue().value());
  GobWriter writer;
  writer.Write(value);
  Bytes bytes = writer.Take();
  NameAsInPeer(bytes);
  return bytes;
}

void CheckPayload(const GossipMessage& gossip, const MessageVector& expected) {
  if (gossip.channel == "topology") {
    const std::vector<PeerSummary> peers = ReadTopology(gossip.payload);
    if (expected.topology.has_value()) CHECK(peers == *expected.topology);
    CHECK(EqualButForTypeIds(WriteTopology(peers), gossip.payload));
  } else if (gossip.channel == "nameserver") {
    CHECK(EqualButForTypeIds(Reencoded<GobNames>(gossip.payload), gossip.payload));
  } else if (expected.tag != static_cast<int>(MessageTag::kGossipUnicast)) {
    CHECK(EqualButForTypeIds(Reencoded<GobIpamState>(gossip.payload), gossip.payload));
  }
}

// The message as we write it after reading it.
Bytes CheckMessage(ByteView message, const MessageVector& expected) {
  CHECK(message.size() == expected.length);
  if (expected.plaintext.has_value()) CHECK(message == ByteView(*expected.plaintext));
  REQUIRE(!message.empty());
  REQUIRE(message.front() == expected.tag);
  if (expected.tag == static_cast<int>(MessageTag::kHeartbeat)) return EncodeHeartbeat();
  if (expected.channel.empty()) return Bytes(message.begin(), message.end());
  const auto gossip = DecodeGossip(message);
  REQUIRE(gossip.ok());
  CHECK(std::string(gossip->channel) == expected.channel);
  CHECK(gossip->source.ToString() == expected.source);
  if (!expected.destination.empty()) CHECK(gossip->destination.ToString() == expected.destination);
  CheckPayload(*gossip, expected);
  return EncodeGossip(static_cast<MessageTag>(expected.tag), *gossip);
}

class Replay {
 public:
  Replay(const StreamVector& stream, const HalfStream& half)
      : half_(half), version_(stream.version), frames_(version_), encrypted_(stream.password.has_value()) {
    if (!encrypted_) return;
    opener_.emplace(stream.session_key, half.dialled);
    sealer_.emplace(stream.session_key, half.dialled);
  }

  // Gives the frame reader `step` bytes at a time. Returns the features.
  Features Run(std::size_t step) {
    ByteView rest = TakeIntroduction();
    while (!rest.empty()) {
      const std::size_t size = std::min(step, rest.size());
      frames_.Append(rest.first(size));
      rest.remove_prefix(size);
      for (;;) {
        const auto message = frames_.Next();
        INFO(message.status());
        REQUIRE(message.ok());
        if (!message->has_value()) break;
        TakeMessage(**message);
      }
    }
    CHECK(frames_.buffered_size() == 0);
    REQUIRE(features_.has_value());
    CHECK(next_ == half_.messages.size());
    CHECK(written_ == half_.bytes);
    return *features_;
  }

  VersionRange range() const { return range_; }

 private:
  ByteView TakeIntroduction() {
    ByteView rest = half_.bytes;
    const VersionRange range = DecodeVersionHeader(rest.first(kVersionHeaderSize)).value();
    range_ = range;
    written_ = EncodeVersionHeader(range);
    rest.remove_prefix(kVersionHeaderSize);
    if (version_ == 1) return rest;
    const std::size_t size = encrypted_ ? 1 + kKeySize : 1;
    CHECK(rest[0] == (encrypted_ ? 1 : 0));
    if (encrypted_) CHECK(rest.subspan(1, kKeySize) == ByteView(*half_.public_key));
    written_.insert(written_.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size));
    rest.remove_prefix(size);
    return rest;
  }

  void TakeMessage(ByteView received) {
    const bool first = !features_.has_value();
    const bool sealed = encrypted_ && !(first && version_ == 1);
    Bytes message(received.begin(), received.end());
    if (sealed) message = opener_->Open(received).value();
    if (first) {
      const auto features = DecodeFeatures(message, version_);
      INFO(features.status());
      REQUIRE(features.ok());
      CHECK(AsText(*features, version_) == half_.features);
      CHECK(DecodeFeatures(EncodeFeatures(*features, version_), version_).value() == *features);
      // A Go map has no order of its own, so the bytes need not be the same: their count is.
      CHECK(EncodeFeatures(*features, version_).size() == message.size());
      features_ = *features;
    } else {
      REQUIRE(next_ < half_.messages.size());
      CAPTURE(next_);
      CHECK(written_.size() == half_.messages[next_].offset);
      message = CheckMessage(message, half_.messages[next_++]);
    }
    Bytes box;
    if (sealed) sealer_->Seal(message, box);
    REQUIRE(AppendFrame(version_, first, sealed ? box : message, written_).ok());
  }

  const HalfStream& half_;
  VersionRange range_;
  const int version_;
  FrameReader frames_;
  const bool encrypted_;
  std::optional<TcpOpener> opener_;
  std::optional<TcpSealer> sealer_;
  std::optional<Features> features_;
  std::size_t next_ = 0;
  Bytes written_;
};

TEST_CASE("Whole connections of reference peers are understood and written again byte for byte", "[wire][golden]") {
  for (const char* name : {"stream_v1_encrypted", "stream_v1_plain", "stream_v2_encrypted",
                           "stream_v2_encrypted_fixed_key", "stream_v2_plain", "stream_v2_plain_long"}) {
    CAPTURE(name);
    const StreamVector stream = ReadStream(name);
    for (const std::size_t step : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20}) {
      CAPTURE(step);
      Replay client_replay(stream, stream.client);
      Replay server_replay(stream, stream.server);
      const Features client = client_replay.Run(step);
      const Features server = server_replay.Run(step);
      CHECK(ChooseVersion(client_replay.range(), server_replay.range()).value() == stream.version);
      CHECK((client.connection_id ^ server.connection_id) == stream.connection_uid);
    }
  }
}

TEST_CASE("Both ends of recorded connections compute the recorded session key", "[wire][golden]") {
  int computed = 0;
  for (const char* name : {"stream_v1_encrypted", "stream_v2_encrypted", "stream_v2_encrypted_fixed_key"}) {
    CAPTURE(name);
    const StreamVector stream = ReadStream(name);
    for (const auto& [own, remote] : {std::pair(&stream.client, &stream.server), {&stream.server, &stream.client}}) {
      if (!own->private_key.has_value()) continue;
      ++computed;
      CHECK(PublicKeyOf(*own->private_key) == *own->public_key);
      CHECK(MakeSessionKey(*own->private_key, *remote->public_key, *stream.password).value() == stream.session_key);
    }
  }
  CHECK(computed == 5);
}

TEST_CASE("Topology of reference peers is read as the vectors tell", "[wire][golden]") {
  const std::vector<MessageVector> messages = ReadTopologyMessages();
  REQUIRE(messages.size() == 15);
  for (const MessageVector& message : messages) {
    const GossipMessage gossip = DecodeGossip(*message.plaintext).value();
    CHECK(gossip.source.ToString() == message.source);
    CheckPayload(gossip, message);
    CHECK(EncodeGossip(MessageTag::kGossip, gossip) == *message.plaintext);
  }
}

}  // namespace
}  // namespace weave
