#include "sleeve/frame_crypto.h"

#include <optional>
#include <string>
#include <vector>

#include "sleeve/sleeve_codec.h"
#include "test/sleeve/datagrams.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Outcome = FrameOpener::Outcome;

const PeerName kSender(0xa1);
const PeerName kReceiver(0xb2);
constexpr SessionKey kKey = {1, 2, 3};

Bytes Seal(FrameSealer& sealer, std::uint8_t content) {
  Bytes frames;
  AppendSleeveFrame({kSender, kReceiver, Bytes{content}}, frames);
  return SealDatagram(sealer, frames);
}

std::string Opened(FrameOpener& opener, const Bytes& datagram) {
  const FrameOpener::Result result = opener.Open(datagram);
  switch (result.outcome) {
    case Outcome::kMalformed:
      return "malformed";
    case Outcome::kForged:
      return "forged";
    case Outcome::kReplayed:
      return "replayed";
    case Outcome::kOpened:
      break;
  }
  return ToHex(result.frames);
}

TEST_CASE("What one end seals the other opens, in clear and with a key", "[sleeve]") {
  for (const bool sealed : {false, true}) {
    for (const bool dont_fragment : {false, true}) {
      CAPTURE(sealed, dont_fragment);
      const auto key = sealed ? std::optional<SessionKey>(kKey) : std::nullopt;
      FrameSealer sealer(kSender, key, /*sender_dialled=*/true, dont_fragment);
      FrameOpener opener(key, /*sender_dialled=*/true);
      for (int i = 0; i < 3; ++i) {
        const Bytes datagram = Seal(sealer, static_cast<std::uint8_t>(i));
        CHECK(datagram.size() == 6 + (sealed ? 24 : 0) + 14 + 1);
        CHECK(DatagramSender(datagram) == kSender);
        CHECK(Opened(opener, datagram) == "0000000000a10000000000b200010" + std::to_string(i));
      }
    }
  }
}

TEST_CASE("The clear word counts each sequence by itself and tells whether DF is set", "[sleeve]") {
  FrameSealer ordinary(kSender, kKey, true, /*dont_fragment=*/false);
  FrameSealer dont_fragment(kSender, kKey, true, /*dont_fragment=*/true);
  const auto word = [](const Bytes& datagram) { return ToHex(ByteView(datagram).subspan(6, 8)); };
  CHECK(word(Seal(ordinary, 1)) == "0000000000000000");
  CHECK(word(Seal(ordinary, 1)) == "0000000000000001");
  CHECK(word(Seal(dont_fragment, 1)) == "8000000000000000");
  CHECK(word(Seal(dont_fragment, 1)) == "8000000000000001");
}

TEST_CASE("A datagram that was changed, of another key or of the other direction does not open", "[sleeve]") {
  FrameSealer sealer(kSender, kKey, true, false);
  const Bytes datagram = Seal(sealer, 1);
  FrameOpener opener(kKey, true);
  for (std::size_t i = kSenderNameSize; i < datagram.size(); ++i) {
    CAPTURE(i);
    Bytes changed = datagram;
    changed[i] ^= 0x01;
    CHECK(Opened(opener, changed) == "forged");
  }
  FrameOpener other_key(SessionKey{9}, true);
  CHECK(Opened(other_key, datagram) == "forged");
  FrameOpener other_direction(kKey, false);
  CHECK(Opened(other_direction, datagram) == "forged");
  CHECK(Opened(opener, datagram) == "0000000000a10000000000b2000101");  // none of it moved the window
}

TEST_CASE("A datagram cut short is malformed or forged", "[sleeve]") {
  FrameSealer sealer(kSender, kKey, true, false);
  const Bytes datagram = Seal(sealer, 1);
  FrameOpener opener(kKey, true);
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    CAPTURE(size);
    CHECK(Opened(opener, Bytes(datagram.begin(), datagram.begin() + size)) == (size < 30 ? "malformed" : "forged"));
  }
  FrameOpener clear(std::nullopt, true);
  CHECK(Opened(clear, Bytes(5)) == "malformed");
  CHECK(Opened(clear, Bytes(6)).empty());
}

TEST_CASE("A datagram opens once, whatever order they arrive in", "[sleeve]") {
  FrameSealer sealer(kSender, kKey, true, true);
  FrameOpener opener(kKey, true);
  std::vector<Bytes> datagrams;
  for (std::uint8_t i = 0; i < 4; ++i) datagrams.push_back(Seal(sealer, i));
  for (const std::size_t i : {2U, 0U, 3U, 1U}) CHECK(Opened(opener, datagrams[i]).size() == 2 * 15);
  for (const Bytes& datagram : datagrams) CHECK(Opened(opener, datagram) == "replayed");
}

TEST_CASE("Numbers are known exactly in the highest block of 2^20 and the one before", "[sleeve]") {
  constexpr std::uint64_t kBlock = std::uint64_t{1} << 20;
  struct Row {
    std::string what;
    std::vector<std::uint64_t> marked;
    std::vector<std::uint64_t> fresh;
    std::vector<std::uint64_t> stale;
  };
  const Row rows[] = {
      {"nothing seen", {}, {0, 1, kBlock, (std::uint64_t{1} << 63) - 1}, {}},
      {"first block", {0, 5}, {1, 4, 6, kBlock - 1, kBlock}, {0, 5}},
      {"block after", {5, kBlock}, {0, 4, 6, kBlock - 1, kBlock + 1}, {5, kBlock}},
      {"seen late in the block before", {kBlock, 7}, {6, 8}, {7, kBlock}},
      {"two blocks on", {5, kBlock + 3, 2 * kBlock}, {kBlock, kBlock + 4}, {0, 5, kBlock - 1, kBlock + 3, 2 * kBlock}},
      {"a jump forgets both",
       {5, kBlock + 3, 9 * kBlock + 1},
       {8 * kBlock + 3, 9 * kBlock},
       {5, kBlock + 3, 7 * kBlock}},
      {"as far as it goes",
       {(std::uint64_t{1} << 63) - 1},
       {(std::uint64_t{1} << 63) - 2},
       {(std::uint64_t{1} << 63) - 1, 0}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    ReplayWindow window;
    for (const std::uint64_t number : row.marked) window.Mark(number);
    for (const std::uint64_t number : row.fresh) CHECK(window.IsFresh(number));
    for (const std::uint64_t number : row.stale) CHECK_FALSE(window.IsFresh(number));
  }
}

}  // namespace
}  // namespace weave
