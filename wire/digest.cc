#include "wire/digest.h"

#include <sodium/crypto_hash_sha256.h>

namespace weave {

Digest DigestOf(ByteView bytes) {
  Digest digest;
  crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
  return digest;
}

}  // namespace weave
