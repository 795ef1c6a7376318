#include "fastdp/ipsec.h"

#include <sodium/crypto_auth_hmacsha256.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weave {
namespace {

constexpr std::size_t kHashSize = crypto_auth_hmacsha256_BYTES;
using Hash = std::array<std::uint8_t, kHashSize>;

Hash Hmac(ByteView key, ByteView message) {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, message.data(), message.size());
  Hash result;
  crypto_auth_hmacsha256_final(&state, result.data());
  return result;
}

template <typename Value>
void PutBigEndian(Value value, Bytes& out) {
  for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

// RFC 5869, section 2.3. Debian 12's libsodium has HMAC but not this.
template <std::size_t kSize>
std::array<std::uint8_t, kSize> HkdfExpand(const Hash& pseudorandom_key, ByteView info) {
  std::array<std::uint8_t, kSize> result;
  Bytes block;
  std::uint8_t count = 0;
  for (std::size_t done = 0; done < kSize; done += kHashSize) {
    block.insert(block.end(), info.begin(), info.end());
    block.push_back(++count);
    const Hash hash = Hmac(pseudorandom_key, block);
    std::copy_n(hash.begin(), std::min(kHashSize, kSize - done), result.begin() + static_cast<std::ptrdiff_t>(done));
    block.assign(hash.begin(), hash.end());
  }
  return result;
}

}  // namespace

EspKey DeriveEspKey(const SessionKey& session_key, const IpsecNonce& nonce, PeerName receiver) {
  Bytes info;
  PutBigEndian(receiver.value(), info);
  return HkdfExpand<std::tuple_size_v<EspKey>>(Hmac(nonce, session_key), info);
}

Bytes EncodeIpsecOffer(const IpsecOffer& offer) {
  Bytes data(offer.nonce.begin(), offer.nonce.end());
  PutBigEndian(offer.spi, data);
  data.resize(kIpsecOfferSize);
  return data;
}

absl::StatusOr<IpsecOffer> DecodeIpsecOffer(ByteView data) {
  if (data.size() != kIpsecOfferSize)
    return absl::InvalidArgumentError(absl::StrCat("IPsec offer of ", data.size(), " bytes, want ", kIpsecOfferSize));
  IpsecOffer offer;
  std::copy_n(data.begin(), offer.nonce.size(), offer.nonce.begin());
  for (const std::uint8_t byte : data.subspan(offer.nonce.size(), sizeof offer.spi)) offer.spi = offer.spi << 8 | byte;
  if (offer.spi < kMinSpi)
    return absl::InvalidArgumentError(
        absl::StrCat("IPsec offer: index 0x", absl::Hex(offer.spi), " is not in 0x100 to 0xffffffff"));
  return offer;
}

}  // namespace weave
