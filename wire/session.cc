#include "wire/session.h"

#include <sodium/crypto_box.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_scalarmult.h>
#include <sodium/crypto_secretbox.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {
namespace {

static_assert(crypto_box_PUBLICKEYBYTES == std::tuple_size_v<PublicKey>);
static_assert(crypto_box_SECRETKEYBYTES == std::tuple_size_v<PrivateKey>);
static_assert(crypto_box_BEFORENMBYTES == std::tuple_size_v<SessionKey>);
static_assert(crypto_hash_sha256_BYTES == std::tuple_size_v<SessionKey>);
static_assert(crypto_secretbox_KEYBYTES == std::tuple_size_v<SessionKey>);
static_assert(crypto_secretbox_MACBYTES == kSealOverhead);

using Nonce = std::array<std::uint8_t, crypto_secretbox_NONCEBYTES>;

// Byte 0 tells the two directions of TCP from each other and from the overlay's messages (spec/mesh.md section 3.2).
constexpr std::uint8_t kSenderDialled = 0x80;
constexpr std::uint8_t kTcp = 0x40;

Nonce FirstNonce(bool sender_dialled) {
  Nonce nonce = {};
  nonce[0] = static_cast<std::uint8_t>(kTcp | (sender_dialled ? kSenderDialled : 0));
  return nonce;
}

// The last eight bytes are the counter, big-endian.
void SetCount(std::uint64_t count, Nonce& nonce) {
  for (std::size_t i = 0; i < 8; ++i) nonce[nonce.size() - 1 - i] = static_cast<std::uint8_t>(count >> (8 * i));
}

}  // namespace

PublicKey PublicKeyOf(const PrivateKey& key) {
  PublicKey result;
  CHECK(crypto_scalarmult_base(result.data(), key.data()) == 0);
  return result;
}

absl::StatusOr<SessionKey> MakeSessionKey(const PrivateKey& own, const PublicKey& remote, absl::string_view password) {
  SessionKey shared;
  if (crypto_box_beforenm(shared.data(), remote.data(), own.data()) != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("public key ", ToHex(remote), " gives no secret: it is a point of low order"));
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, shared.data(), shared.size());
  crypto_hash_sha256_update(&state, AsBytes(password).data(), password.size());
  SessionKey key;
  crypto_hash_sha256_final(&state, key.data());
  return key;
}

TcpSealer::TcpSealer(const SessionKey& key, bool sender_dialled) : key_(key), nonce_(FirstNonce(sender_dialled)) {}

void TcpSealer::Seal(ByteView message, Bytes& out) {
  const std::size_t start = out.size();
  out.resize(start + kSealOverhead + message.size());
  CHECK(crypto_secretbox_easy(out.data() + start, message.data(), message.size(), nonce_.data(), key_.data()) == 0);
  SetCount(++count_, nonce_);
}

TcpOpener::TcpOpener(const SessionKey& key, bool sender_dialled) : key_(key), nonce_(FirstNonce(sender_dialled)) {}

absl::StatusOr<Bytes> TcpOpener::Open(ByteView box) {
  if (box.size() < kSealOverhead)
    return absl::InvalidArgumentError(
        absl::StrCat("encrypted message of ", box.size(), " bytes, want at least ", kSealOverhead));
  Bytes message(box.size() - kSealOverhead);
  if (crypto_secretbox_open_easy(message.data(), box.data(), box.size(), nonce_.data(), key_.data()) != 0)
    return absl::InvalidArgumentError(
        absl::StrCat("message ", count_ + 1,
                     " of the connection cannot be decrypted: another password, or it was "
                     "changed, lost or repeated on the way"));
  SetCount(++count_, nonce_);
  return message;
}

}  // namespace weave
