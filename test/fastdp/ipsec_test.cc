#include "fastdp/ipsec.h"

#include <sodium.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

namespace weave {
namespace {

Bytes Hex(const nlohmann::json& text) { return FromHex(text.get<std::string>()).value(); }

template <typename Array>
Array HexArray(const nlohmann::json& text) {
  const Bytes bytes = Hex(text);
  Array result;
  REQUIRE(bytes.size() == result.size());
  std::copy(bytes.begin(), bytes.end(), result.begin());
  return result;
}

// Of a whole message: protocol tag, forwarder index, the overlay's own tag.
IpsecOffer OfferIn(const nlohmann::json& vector) {
  const Bytes message = Hex(vector["control_message"]);
  return DecodeIpsecOffer(ByteView(message).subspan(3)).value();
}

TEST_CASE("Offers of 2.8 peers are read and written again byte for byte, and give their keys", "[fastdp][golden]") {
  const nlohmann::json golden = ReadGolden("fastdp_ipsec");
  for (const nlohmann::json& vector : golden["vectors"]) {
    const Bytes message = Hex(vector["control_message"]);
    const IpsecOffer offer = OfferIn(vector);
    CHECK(EncodeIpsecOffer(offer) == Bytes(message.begin() + 3, message.end()));
    CHECK(offer.nonce == HexArray<IpsecNonce>(vector["nonce"]));
    CHECK(offer.spi == std::stoul(vector["spi"].get<std::string>(), nullptr, 16));
    const PeerName receiver = PeerName::Parse(vector["message_sender"].get<std::string>()).value();
    const EspKey key = DeriveEspKey(HexArray<SessionKey>(vector["session_key"]), offer.nonce, receiver);
    CHECK(ToHex(key) == vector["aes_key"].get<std::string>() + vector["salt"].get<std::string>());
  }
}

TEST_CASE("Among captured control messages exactly the offer is one", "[fastdp][golden]") {
  int offers = 0;
  const nlohmann::json golden = ReadGolden("overlay_control");
  for (const nlohmann::json& vector : golden["vectors"]) {
    const Bytes data = Hex(vector["decoded"]["body_hex"]);
    const absl::StatusOr<IpsecOffer> offer = DecodeIpsecOffer(data);
    CHECK(offer.ok() == (data.size() == kIpsecOfferSize));
    if (!offer.ok()) continue;
    ++offers;
    CHECK(EncodeIpsecOffer(*offer) == data);
  }
  CHECK(offers == 1);
}

// What rfc4106(gcm(aes)) does with extended sequence numbers: the salt and the packet's own 8 bytes are the nonce;
// index and 64 bits of sequence number are authenticated with the payload.
Bytes OpenEsp(const EspKey& key, ByteView packet) {
  const ByteView index = packet.first(4), sequence = packet.subspan(4, 4), sealed = packet.subspan(16);
  Bytes nonce(key.begin() + 32, key.end());
  nonce.insert(nonce.end(), packet.begin() + 8, packet.begin() + 16);
  Bytes authenticated(index.begin(), index.end());
  authenticated.resize(8);  // the high half: no packet of the capture is that far
  authenticated.insert(authenticated.end(), sequence.begin(), sequence.end());
  Bytes plain(sealed.size() - crypto_aead_aes256gcm_ABYTES);
  REQUIRE(crypto_aead_aes256gcm_decrypt(plain.data(), nullptr, nullptr, sealed.data(), sealed.size(),
                                        authenticated.data(), authenticated.size(), nonce.data(), key.data()) == 0);
  return plain;
}

TEST_CASE("Captured ESP packets open with the derived keys", "[fastdp][golden]") {
  REQUIRE(sodium_init() >= 0);
  if (crypto_aead_aes256gcm_is_available() == 0) {
    WARN("skipped: this processor has no AES-GCM for libsodium");
    return;
  }
  const nlohmann::json golden = ReadGolden("fastdp_ipsec");
  for (const nlohmann::json& vector : golden["vectors"]) {
    const EspKey key = DeriveEspKey(HexArray<SessionKey>(vector["session_key"]), OfferIn(vector).nonce,
                                    PeerName::Parse(vector["message_sender"].get<std::string>()).value());
    for (const nlohmann::json& packet : vector["esp_packets"]) {
      const Bytes plain = OpenEsp(key, Hex(packet["esp"]));
      CHECK(absl::StartsWith(ToHex(plain), packet["udp_datagram"].get<std::string>()));
      CHECK(plain.back() == 17);  // next header: UDP
    }
  }
}

TEST_CASE("What is no offer is refused by its length or its index", "[fastdp]") {
  const auto message = [](const Bytes& data) { return std::string(DecodeIpsecOffer(data).status().message()); };
  CHECK(message(Bytes(63, 1)) == "IPsec offer of 63 bytes, want 64");
  CHECK(message(Bytes(65, 1)) == "IPsec offer of 65 bytes, want 64");
  CHECK(message({}) == "IPsec offer of 0 bytes, want 64");
  CHECK(message(EncodeIpsecOffer({{}, 0xff})) == "IPsec offer: index 0xff is not in 0x100 to 0xffffffff");
  CHECK(DecodeIpsecOffer(EncodeIpsecOffer({{}, 0x100})).ok());
  CHECK(DecodeIpsecOffer(EncodeIpsecOffer({{}, 0xffffffff})).ok());
}

}  // namespace
}  // namespace weave
