// Keys and sealed messages of one connection (spec/mesh.md section 3). Deterministic: whoever makes a key pair brings
// the random bytes.
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace weave {

using PublicKey = std::array<std::uint8_t, 32>;
using PrivateKey = std::array<std::uint8_t, 32>;
using SessionKey = std::array<std::uint8_t, 32>;

// Curve25519: the public key that goes with 32 random bytes.
PublicKey PublicKeyOf(const PrivateKey& key);

// What both ends compute from their own private key, the other's public key and the common password. InvalidArgument
// for a public key that gives no secret (a point of low order).
absl::StatusOr<SessionKey> MakeSessionKey(const PrivateKey& own, const PublicKey& remote, absl::string_view password);

// NaCl secretbox: 16 bytes of tag, then the ciphertext.
inline constexpr std::size_t kSealOverhead = 16;

// One direction of a TCP connection: the nonce counts messages from 0.
class TcpSealer {
 public:
  // `sender_dialled`: the end that seals opened the TCP connection.
  TcpSealer(const SessionKey& key, bool sender_dialled);

  // Appends the box of `message` to `out`.
  void Seal(ByteView message, Bytes& out);

 private:
  SessionKey key_;
  std::array<std::uint8_t, 24> nonce_;
  std::uint64_t count_ = 0;
};

class TcpOpener {
 public:
  TcpOpener(const SessionKey& key, bool sender_dialled);

  // InvalidArgument when the box does not open: another password, a replayed, lost or changed message. The opener is of
  // no use afterwards.
  absl::StatusOr<Bytes> Open(ByteView box);

 private:
  SessionKey key_;
  std::array<std::uint8_t, 24> nonce_;
  std::uint64_t count_ = 0;
};

}  // namespace weave
