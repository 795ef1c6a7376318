// Datagrams captured between reference peers: each is understood, and what was understood gives the same bytes.
#include <sodium/crypto_hash_sha256.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sleeve/frame_crypto.h"
#include "sleeve/sleeve_codec.h"
#include "test/sleeve/datagrams.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

namespace weave {
namespace {

using Json = nlohmann::json;

Json ReadVectors(const std::string& name) { return ReadGolden(name)["vectors"]; }

PeerName ReadName(const Json& json) { return PeerName::Parse(json.get<std::string>()).value(); }

std::optional<SessionKey> ReadKey(const Json& vector) {
  if (!vector.contains("session_key")) return std::nullopt;
  const Bytes bytes = FromHex(vector["session_key"].get<std::string>()).value();
  SessionKey key = {};
  REQUIRE(bytes.size() == key.size());
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

// None: the vector has only a digest of it.
std::optional<Bytes> ReadPayload(const Json& vector) {
  if (vector.contains("payload")) return FromHex(vector["payload"].get<std::string>()).value();
  if (!vector.contains("zero_fill")) return std::nullopt;
  Bytes payload = FromHex(vector["payload_prefix"].get<std::string>()).value();
  payload.resize(payload.size() + vector["zero_fill"].get<std::size_t>());
  return payload;
}

// What the frames are by our codec, in the words of the vectors.
std::string Describe(const SleeveFrame& frame) {
  const std::string ends = absl::StrCat(frame.source.ToString(), ">", frame.destination.ToString());
  switch (SpecialFrameOf(frame.frame)) {
    case SpecialFrame::kHeartbeat:
      return absl::StrCat(ends, " heartbeat ", HeartbeatUid(frame.frame));
    case SpecialFrame::kFragmentationTest:
      return absl::StrCat(ends, " fragtest");
    case SpecialFrame::kMtuTest:
      return absl::StrCat(ends, " mtutest ", frame.frame.size() - kEthernetHeaderSize);
    case SpecialFrame::kNone:
      break;
  }
  return absl::StrCat(ends, " ", frame.frame.size(), " ", ToHex(frame.frame.first(kEthernetHeaderSize)));
}

std::string WithoutColons(std::string mac) {
  mac.erase(std::remove(mac.begin(), mac.end(), ':'), mac.end());
  return mac;
}

std::string Describe(const Json& frame) {
  const std::string ends = absl::StrCat(frame["src"].get<std::string>(), ">", frame["dst"].get<std::string>());
  const std::string special = frame.value("special", "");
  if (special == "heartbeat") return absl::StrCat(ends, " heartbeat ", frame["conn_uid"].get<std::uint64_t>());
  if (special == "fragtest") return absl::StrCat(ends, " fragtest");
  if (special == "mtutest") return absl::StrCat(ends, " mtutest ", frame["mtu"].get<int>());
  return absl::StrCat(ends, " ", frame["len"].get<int>(), " ", WithoutColons(frame["eth_dst"].get<std::string>()),
                      WithoutColons(frame["eth_src"].get<std::string>()), frame["ethertype"].get<std::string>());
}

// A sealer whose next number is `number`.
FrameSealer SealerAt(PeerName sender, const std::optional<SessionKey>& key, bool dialled, bool dont_fragment,
                     std::uint64_t number) {
  FrameSealer sealer(sender, key, dialled, dont_fragment);
  for (std::uint64_t i = 0; i < number; ++i) {
    SealDatagram(sealer, {});
  }
  return sealer;
}

TEST_CASE("Captured datagrams open, decode and are written again as they were", "[sleeve][golden]") {
  const std::pair<std::string, std::size_t> files[] = {{"sleeve_plain", 24}, {"sleeve_encrypted", 14}};
  for (const auto& [name, count] : files) {
    const Json vectors = ReadVectors(name);
    REQUIRE(vectors.size() == count);
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      const Json& vector = vectors[i];
      const Json& decoded = vector["decoded"];
      const std::optional<Bytes> payload = ReadPayload(vector);
      if (!payload.has_value()) continue;
      CAPTURE(name, i);
      const std::optional<SessionKey> key = ReadKey(vector);
      const bool dialled = vector["sender_is_tcp_client"];

      CHECK(DatagramSender(*payload) == ReadName(decoded["sender"]));
      FrameOpener opener(key, dialled);
      const FrameOpener::Result opened = opener.Open(*payload);
      REQUIRE(opened.outcome == FrameOpener::Outcome::kOpened);

      FrameSealer sealer = SealerAt(ReadName(decoded["sender"]), key, dialled, decoded.value("df_bit", 0) == 1,
                                    decoded.value("seq", std::uint64_t{0}));
      Bytes frames;
      std::vector<std::string> ours;
      SleeveFrameReader reader(opened.frames);
      while (const auto frame = reader.Next()) {
        ours.push_back(Describe(*frame));
        AppendSleeveFrame(*frame, frames);
      }
      CHECK(reader.status().ok());
      CHECK(SealDatagram(sealer, frames) == *payload);

      std::vector<std::string> theirs;
      for (const Json& frame : decoded["frames"]) theirs.push_back(Describe(frame));
      CHECK(ours == theirs);
    }
  }
}

TEST_CASE("A captured fragmentation test is what we would send", "[sleeve][golden]") {
  int count = 0;
  for (const Json& vector : ReadVectors("sleeve_encrypted")) {
    if (!vector.contains("payload_sha256")) continue;
    ++count;
    const Json& decoded = vector["decoded"];
    const Json& frame = decoded["frames"][0];
    REQUIRE(frame["special"] == "fragtest");
    FrameSealer sealer = SealerAt(ReadName(decoded["sender"]), ReadKey(vector), vector["sender_is_tcp_client"],
                                  decoded["df_bit"] == 1, decoded["seq"]);
    Bytes test;
    AppendSleeveFrame({ReadName(frame["src"]), ReadName(frame["dst"]), Bytes(kFragmentationTestSize)}, test);
    const Bytes written = SealDatagram(sealer, test);

    CHECK(written.size() == vector["payload_length"].get<std::size_t>());
    std::array<std::uint8_t, crypto_hash_sha256_BYTES> digest;
    crypto_hash_sha256(digest.data(), written.data(), written.size());
    CHECK(ToHex(digest) == vector["payload_sha256"].get<std::string>());
  }
  CHECK(count == 2);
}

}  // namespace
}  // namespace weave
