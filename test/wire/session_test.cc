#include "wire/session.h"

#include <sodium/crypto_secretbox.h>

#include <string>

#include "base/random.h"
#include "test/support/catch.h"

namespace weave {
namespace {

PrivateKey PrivateKeyFor(std::uint64_t seed) {
  Random random(seed);
  PrivateKey key;
  for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random.Next());
  return key;
}

SessionKey KeyOf(absl::string_view password) {
  return MakeSessionKey(PrivateKeyFor(1), PublicKeyOf(PrivateKeyFor(2)), password).value();
}

Bytes Sealed(TcpSealer& sealer, absl::string_view text) {
  Bytes box;
  sealer.Seal(AsBytes(text), box);
  return box;
}

TEST_CASE("Both ends compute the same key from the same password, and another from another", "[wire]") {
  const SessionKey key = KeyOf("secret");
  CHECK(MakeSessionKey(PrivateKeyFor(2), PublicKeyOf(PrivateKeyFor(1)), "secret").value() == key);
  CHECK(KeyOf("Secret") != key);
  CHECK(KeyOf("") != key);
  CHECK(MakeSessionKey(PrivateKeyFor(1), PublicKeyOf(PrivateKeyFor(3)), "secret").value() != key);
}

TEST_CASE("A public key that fixes the secret is refused", "[wire]") {
  PublicKey one = {};
  one[0] = 1;
  for (const PublicKey& key : {PublicKey{}, one}) {
    const auto session = MakeSessionKey(PrivateKeyFor(1), key, "secret");
    CHECK(session.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(session.status().message()).find(ToHex(key)) != std::string::npos);
  }
}

// A nonce is the direction, zeros, and the count of messages before (spec/mesh.md section 3.2).
TEST_CASE("Message n of a direction is a secretbox under its nonce", "[wire]") {
  const SessionKey key = KeyOf("secret");
  for (const bool dialled : {true, false}) {
    CAPTURE(dialled);
    TcpSealer sealer(key, dialled);
    TcpOpener opener(key, dialled);
    for (unsigned count = 0; count < 300; ++count) {
      const Bytes box = Sealed(sealer, "message");
      std::array<std::uint8_t, 24> nonce = {};
      nonce[0] = dialled ? 0xc0 : 0x40;
      nonce[22] = static_cast<std::uint8_t>(count >> 8);
      nonce[23] = static_cast<std::uint8_t>(count);
      Bytes expected(box.size());
      crypto_secretbox_easy(expected.data(), AsBytes("message").data(), 7, nonce.data(), key.data());
      REQUIRE(box == expected);
      REQUIRE(AsText(opener.Open(box).value()) == "message");
    }
  }
}

TEST_CASE("A box is appended to what is there", "[wire]") {
  TcpSealer sealer(KeyOf("secret"), true);
  Bytes out = {1, 2};
  sealer.Seal(AsBytes("abc"), out);
  CHECK(out.size() == 2 + 3 + kSealOverhead);
  CHECK(TcpOpener(KeyOf("secret"), true).Open(ByteView(out).subspan(2)).value() == Bytes{'a', 'b', 'c'});
}

TEST_CASE("A message that was changed, repeated, lost, sent back or sealed under another password does not open",
          "[wire]") {
  const SessionKey key = KeyOf("secret");
  TcpSealer sealer(key, true);
  const Bytes first = Sealed(sealer, "first");
  const Bytes second = Sealed(sealer, "second");
  const auto opens = [&](const SessionKey& with, bool dialled, const std::vector<Bytes>& boxes) {
    TcpOpener opener(with, dialled);
    for (std::size_t i = 0; i + 1 < boxes.size(); ++i) REQUIRE(opener.Open(boxes[i]).ok());
    return opener.Open(boxes.back()).ok();
  };
  REQUIRE(opens(key, true, {first, second}));
  CHECK_FALSE(opens(key, true, {second}));
  CHECK_FALSE(opens(key, true, {first, first}));
  CHECK_FALSE(opens(key, false, {first}));
  CHECK_FALSE(opens(KeyOf("other"), true, {first}));
  for (std::size_t i = 0; i < first.size(); ++i) {
    Bytes changed = first;
    changed[i] ^= 0x10;
    CHECK_FALSE(opens(key, true, {changed}));
  }
  for (std::size_t size = 0; size < first.size(); ++size)
    CHECK_FALSE(opens(key, true, {Bytes(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(size))}));

  TcpOpener opener(key, true);
  CHECK(std::string(opener.Open(Bytes(15)).status().message()) == "encrypted message of 15 bytes, want at least 16");
  REQUIRE(opener.Open(first).ok());
  CHECK(std::string(opener.Open(first).status().message()).find("message 2 of the connection") == 0);
}

TEST_CASE("An empty message is a box too", "[wire]") {
  TcpSealer sealer(KeyOf("secret"), false);
  const Bytes box = Sealed(sealer, "");
  CHECK(box.size() == kSealOverhead);
  CHECK(TcpOpener(KeyOf("secret"), false).Open(box).value().empty());
}

}  // namespace
}  // namespace weave
