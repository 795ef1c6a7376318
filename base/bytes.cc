#include "base/bytes.h"

#include "absl/strings/str_cat.h"

namespace weave {
namespace {

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void WriteBigEndian(std::uint64_t value, std::size_t size, std::uint8_t* out) {
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * (size - 1 - i)));
}

std::uint64_t ReadBigEndian(ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

void AppendBigEndian(std::uint64_t value, std::size_t size, Bytes& out) {
  out.resize(out.size() + size);
  WriteBigEndian(value, size, out.data() + out.size() - size);
}

std::uint64_t TakeBigEndian(std::size_t size, ByteView& bytes) {
  const std::uint64_t value = ReadBigEndian(bytes.subspan(0, size));
  bytes.remove_prefix(size);
  return value;
}

std::string ToHex(ByteView bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 0x0f]);
  }
  return text;
}

absl::StatusOr<Bytes> FromHex(absl::string_view text) {
  if (text.size() % 2 != 0)
    return absl::InvalidArgumentError(absl::StrCat("hex text has ", text.size(), " digits, want an even count"));
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = DigitValue(text[i]);
    const int low = DigitValue(text[i + 1]);
    if (high < 0 || low < 0)
      return absl::InvalidArgumentError(absl::StrCat("hex text has another character near position ", i));
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

}  // namespace weave
