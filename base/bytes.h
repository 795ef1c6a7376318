// Bytes on their way in and out: views, owned buffers, big-endian access, hex text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weave {

using Bytes = std::vector<std::uint8_t>;
using ByteView = absl::Span<const std::uint8_t>;

inline ByteView AsBytes(absl::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline absl::string_view AsText(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Network order: the lowest `size` bytes of `value`, at most 8; and back, of up to 8 bytes.
void WriteBigEndian(std::uint64_t value, std::size_t size, std::uint8_t* out);
std::uint64_t ReadBigEndian(ByteView bytes);
void AppendBigEndian(std::uint64_t value, std::size_t size, Bytes& out);
// Takes the first `size` bytes, which are there, away from `bytes`.
std::uint64_t TakeBigEndian(std::size_t size, ByteView& bytes);

inline constexpr char kHexDigits[] = "0123456789abcdef";

// Lower-case hex, two digits a byte, no separators.
std::string ToHex(ByteView bytes);

// Either case; an odd count of digits or another character is InvalidArgument naming the position.
absl::StatusOr<Bytes> FromHex(absl::string_view text);

}  // namespace weave
