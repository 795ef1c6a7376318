// A fingerprint of bytes that nobody can forge: equal digests mean equal bytes.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace weave {

using Digest = std::array<std::uint8_t, 32>;

// SHA-256.
Digest DigestOf(ByteView bytes);

}  // namespace weave
