// Recorded peers of Weave Net 2.8 talk to the real `weaver`, dialling it or dialled by it (test/golden/vectors).
#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "test/support/catch.h"
#include "test/system/recorded_peer.h"
#include "wire/topology.h"

namespace weave {
namespace {

// One side of a recording in the clear.
struct Recorded {
  const StreamVector& stream;
  const HalfStream& half;
  Bytes start;  // version header, flag and public key
  Bytes features;
  std::vector<Bytes> messages;

  PeerName name() const { return PeerName::Parse(half.features.at("Name")).value(); }
  bool encrypted() const { return stream.password.has_value(); }
};

Recorded Understand(const StreamVector& stream, const HalfStream& half) {
  Recorded recorded{stream, half, {}, {}, {}};
  std::size_t start_size = kVersionHeaderSize;
  if (stream.version == 2) start_size += recorded.encrypted() ? 1 + std::tuple_size_v<PublicKey> : 1;
  recorded.start = Bytes(half.bytes.begin(), half.bytes.begin() + static_cast<std::ptrdiff_t>(start_size));
  // The recorded server of version 1 could do 2: here nobody else holds it to 1.
  recorded.start[kVersionHeaderSize - 1] = static_cast<std::uint8_t>(stream.version);
  FrameReader reader(stream.version);
  reader.Append(ByteView(half.bytes).subspan(start_size));
  TcpOpener opener(stream.session_key, half.dialled);
  for (bool first = true;; first = false) {
    const std::optional<ByteView> frame = reader.Next().value();
    if (!frame.has_value()) return recorded;
    const bool sealed = recorded.encrypted() && !(first && stream.version == 1);
    Bytes message = sealed ? opener.Open(*frame).value() : Bytes(frame->begin(), frame->end());
    (first ? recorded.features : recorded.messages.emplace_back()) = std::move(message);
  }
}

// Says what a recorded peer said, sealed for this connection where there is a password, and listens to the weaver.
class Replay {
 public:
  Replay(const Recorded& recorded, TestConnection& connection)
      : recorded_(recorded),
        connection_(connection),
        words_(connection, recorded.stream.version, /*weaver_dialled=*/!recorded.half.dialled,
               recorded.encrypted() ? WeaverWords::FindKey([this](const PublicKey& weaver) {
                 return MakeSessionKey(*recorded_.half.private_key, weaver, *recorded_.stream.password).value();
               })
                                    : nullptr) {}

  // All that was recorded. Gives what the weaver says of itself.
  Features Run() {
    connection_.Send(recorded_.start);
    words_.ReadStart();
    Seal();
    Say(recorded_.features, /*first=*/true);
    Features features = words_.ReadFeatures();
    Seal();
    for (const Bytes& message : recorded_.messages) Say(message);
    return features;
  }

  void Say(const Bytes& message, bool first = false) {
    Bytes sealed;
    if (sealer_.has_value()) sealer_->Seal(message, sealed);
    Bytes frame;
    REQUIRE(AppendFrame(recorded_.stream.version, first, sealer_.has_value() ? sealed : message, frame).ok());
    connection_.Send(frame);
  }

  WeaverWords& words() { return words_; }

 private:
  void Seal() {
    if (words_.session_key().has_value() && !sealer_.has_value())
      sealer_.emplace(*words_.session_key(), recorded_.half.dialled);
  }

  const Recorded& recorded_;
  TestConnection& connection_;
  WeaverWords words_;
  std::optional<TcpSealer> sealer_;
};

Bytes TopologyMessage(PeerName sender, const std::vector<PeerSummary>& peers) {
  std::vector<EncodedSummary> encoded;
  for (const PeerSummary& peer : peers) encoded.push_back(EncodeSummary(peer));
  std::vector<const EncodedSummary*> pointers;
  for (const EncodedSummary& one : encoded) pointers.push_back(&one);
  const Bytes payload = EncodeTopology(pointers);
  return EncodeGossip(MessageTag::kGossip, {"topology", sender, {}, payload});
}

// News that the recording has not: the recorded peer has met somebody. Who knows it has taken everything before.
Bytes LastWord(const Recorded& recorded, PeerName weaver) {
  PeerSummary peer;
  peer.name = recorded.name();
  peer.nickname = recorded.half.features.at("NickName");
  peer.uid = std::stoull(recorded.half.features.at("UID"));
  peer.version = 1'000'000;
  PeerSummary other;
  other.name = PeerName(0xaa);
  other.nickname = "last-word";
  other.uid = 1;
  other.version = 1;
  other.connections = {{peer.name, "10.0.0.1:6783", false, true}};
  peer.connections = {{weaver, "10.0.0.2:6783", recorded.half.dialled, false},
                      {other.name, "10.0.0.3:6783", true, true}};
  return TopologyMessage(peer.name, {peer, other});
}

// The message is gossip in which the weaver calls itself connected with `peer`.
bool TellsOfConnection(const Bytes& message, PeerName weaver, PeerName peer) {
  if (message.empty() || message[0] < 4 || message[0] > 6) return false;
  const GossipMessage gossip = DecodeGossip(message).value();
  if (gossip.channel != "topology") return false;
  TopologyReader reader(gossip.payload);
  while (true) {
    const std::optional<PeerSummary> summary = reader.Next().value();
    if (!summary.has_value()) return false;
    const std::vector<ConnectionSummary> connections = reader.Connections().value();
    if (summary->name == weaver &&
        std::any_of(connections.begin(), connections.end(), [&](const ConnectionSummary& c) { return c.peer == peer; }))
      return true;
  }
}

TestConnection Join(const WeaverHost& weaver, const HalfStream& half) {
  if (half.dialled) return TestConnection::Dial();
  const TestListener listener;
  weaver.Connect(listener.address());
  return listener.Accept();
}

const HalfStream& Half(const StreamVector& stream, bool client) { return client ? stream.client : stream.server; }

std::vector<std::string> PasswordFlag(const StreamVector& stream) {
  if (!stream.password.has_value()) return {};
  return {absl::StrCat("--password=", *stream.password)};
}

}  // namespace

TEST_CASE("A recorded 2.8 peer is taken in, whichever side dials", "[system][golden]") {
  const char* name = GENERATE("stream_v2_plain", "stream_v2_plain_long", "stream_v1_plain", "stream_v2_encrypted",
                              "stream_v2_encrypted_fixed_key", "stream_v1_encrypted");
  const bool client = GENERATE(true, false);
  CAPTURE(name, client);
  const StreamVector stream = ReadStream(name);
  const Recorded recorded = Understand(stream, Half(stream, client));
  if (recorded.encrypted() && !recorded.half.private_key.has_value()) return;  // one client kept its key to itself
  // It takes the place of the other recorded peer, name and all: for the recorded one it has just restarted.
  const PeerName self = PeerName::Parse(Half(stream, !client).features.at("Name")).value();
  const WeaverHost weaver(self.ToString(), PasswordFlag(stream));
  TestConnection connection = Join(weaver, recorded.half);
  Replay replay(recorded, connection);

  const Features features = replay.Run();
  CHECK(features.name == self);
  CHECK(features.nickname == "weaver");
  CHECK(features.uid != 0);
  CHECK(features.connection_id != 0);
  CHECK_FALSE(features.trusted);
  CHECK(features.short_id.has_value() == (stream.version == 2));
  CHECK(features.overlays.has_value() == (stream.version == 2));

  replay.words().ReadUntil([&](const Bytes& message) { return TellsOfConnection(message, self, recorded.name()); });
  replay.Say(LastWord(recorded, self));
  const bool heard = Eventually([&] { return absl::StrContains(weaver.Page("/status/peers"), "(last-word)"); });
  INFO(weaver.Page("/status/peers") << weaver.Log());
  CHECK(heard);
  CHECK(connection.IsOpen());
  const std::string connections = weaver.Page("/status/connections");
  CHECK(absl::StrContains(connections, recorded.name().ToString()));
  CHECK(absl::StrContains(connections, client ? "<- 127.0.0.1" : "-> 127.0.0.1"));
  CHECK(absl::StrContains(connections, " encrypted   ") == stream.password.has_value());
}

TEST_CASE("A recorded 2.8 peer that does not fit is refused with a reason", "[system][golden]") {
  struct Case {
    const char* recording;
    bool client;
    const char* flag;
    const char* reason;
  };
  const Case cases[] = {
      {"stream_v2_plain", true, "--password=x", "a password is set here"},
      {"stream_v2_plain", false, "--password=x", "a password is set here"},
      {"stream_v1_plain", true, "--password=x", "a password is set here"},
      {"stream_v1_plain", false, "--password=x", "a password is set here"},
      {"stream_v2_encrypted_fixed_key", true, "--password=x", "another password"},
      {"stream_v2_encrypted_fixed_key", false, "--password=x", "another password"},
      {"stream_v1_encrypted", false, "--password=x", "another password"},  // the client says nothing sealed
      {"stream_v2_encrypted_fixed_key", true, "--password=", "no password is set here"},
      {"stream_v2_encrypted_fixed_key", false, "--password=", "no password is set here"},
      {"stream_v1_encrypted", true, "--password=", "no password is set here"},
      {"stream_v1_encrypted", false, "--password=", "no password is set here"},
      {"stream_v1_plain", true, "--min-protocol-version=2", "version"},
      {"stream_v1_plain", false, "--min-protocol-version=2", "version"},
  };
  const Case& c = cases[GENERATE(range(0, 13))];
  CAPTURE(c.recording, c.client, c.flag);
  const StreamVector stream = ReadStream(c.recording);
  const HalfStream& half = Half(stream, c.client);
  Bytes words = Understand(stream, half).start;
  words.insert(words.end(), half.bytes.begin() + static_cast<std::ptrdiff_t>(words.size()), half.bytes.end());
  const WeaverHost weaver("::7", {c.flag});
  TestConnection connection = Join(weaver, half);
  connection.Send(words);
  Bytes received;
  while (connection.Receive(received)) {
  }
  const bool told = Eventually([&] { return absl::StrContains(weaver.Log(), c.reason); });
  INFO(weaver.Log());
  CHECK(told);
  CHECK(weaver.IsRunning());
  CHECK_FALSE(absl::StrContains(weaver.Page("/status/peers"), half.features.at("Name")));
  CHECK(absl::StrContains(weaver.Log(), "address=127.0.0.1:"));
}

}  // namespace weave
