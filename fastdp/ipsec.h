// How two peers agree on the keys of the fast data path (spec/overlay.md sections 4.1 and 4.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "wire/session.h"

namespace weave {

// Security parameters index: 0x100..0xffffffff, chosen by the receiver of the traffic.
using Spi = std::uint32_t;
inline constexpr Spi kMinSpi = 0x100;  // those below are reserved (RFC 4303, section 2.1)

// AES-256 key and salt of rfc4106(gcm(aes)).
using EspKey = std::array<std::uint8_t, 36>;
using IpsecNonce = std::array<std::uint8_t, 32>;

// Packets with this bit of the mark belong into ESP (spec/overlay.md section 4.3).
inline constexpr std::uint32_t kIpsecMark = 0x20000;

// HKDF-SHA256 of the connection's session key; `receiver`: of the traffic.
EspKey DeriveEspKey(const SessionKey& session_key, const IpsecNonce& nonce, PeerName receiver);

// Data of control message 1: "send me traffic under this index". 28 zero bytes follow, which nobody reads.
struct IpsecOffer {
  IpsecNonce nonce = {};
  Spi spi = 0;
};
inline constexpr std::size_t kIpsecOfferSize = 64;
Bytes EncodeIpsecOffer(const IpsecOffer& offer);
// InvalidArgument: another length than kIpsecOfferSize, or an index below 0x100.
absl::StatusOr<IpsecOffer> DecodeIpsecOffer(ByteView data);

}  // namespace weave
