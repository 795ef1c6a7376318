#include "wire/gob_primitives.h"

#include <bit>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr std::size_t kMaxUintBytes = 8;

// Bytes of `value` without leading zero bytes.
std::size_t SignificantBytes(std::uint64_t value) { return (static_cast<std::size_t>(std::bit_width(value)) + 7) / 8; }

}  // namespace

void AppendGobUint(std::uint64_t value, Bytes& out) {
  if (value < 0x80) {
    out.push_back(static_cast<std::uint8_t>(value));
    return;
  }
  const std::size_t size = SignificantBytes(value);
  out.push_back(static_cast<std::uint8_t>(0x100 - size));
  for (std::size_t i = size; i > 0; --i) out.push_back(static_cast<std::uint8_t>(value >> (8 * (i - 1))));
}

void AppendGobInt(std::int64_t value, Bytes& out) {
  const auto bits = static_cast<std::uint64_t>(value);
  AppendGobUint(value < 0 ? ~bits << 1 | 1 : bits << 1, out);
}

void AppendGobBytes(ByteView value, Bytes& out) {
  AppendGobUint(value.size(), out);
  out.insert(out.end(), value.begin(), value.end());
}

std::size_t GobUintSize(std::uint64_t value) { return value < 0x80 ? 1 : 1 + SignificantBytes(value); }

absl::Status GobInput::LongUint(std::uint64_t& value) {
  if (empty()) return Invalid("cut short");
  const std::size_t size = 0x100 - bytes_[position_];
  if (size > kMaxUintBytes) return Invalid(absl::StrCat("integer of ", size, " bytes, want at most ", kMaxUintBytes));
  if (bytes_.size() - position_ - 1 < size) return Invalid("integer cut short");
  ++position_;
  value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes_[position_++];
  return absl::OkStatus();
}

absl::Status GobInput::Int(std::int64_t& value) {
  std::uint64_t bits = 0;
  RETURN_IF_ERROR(Uint(bits));
  value = static_cast<std::int64_t>((bits & 1) != 0 ? ~(bits >> 1) : bits >> 1);
  return absl::OkStatus();
}

absl::Status GobInput::ByteString(ByteView& value) {
  std::uint64_t size = 0;
  RETURN_IF_ERROR(Uint(size));
  if (size > bytes_.size() - position_)
    return Invalid(absl::StrCat(size, " bytes announced, ", bytes_.size() - position_, " left"));
  value = bytes_.subspan(position_, size);
  position_ += size;
  return absl::OkStatus();
}

absl::Status GobInput::Count(std::size_t& value) {
  std::uint64_t count = 0;
  RETURN_IF_ERROR(Uint(count));
  if (count > bytes_.size() - position_)
    return Invalid(absl::StrCat(count, " elements announced in ", bytes_.size() - position_, " bytes"));
  value = count;
  return absl::OkStatus();
}

absl::Status GobInput::Invalid(absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat("gob, byte ", offset_ + position_, ": ", what));
}

}  // namespace weave
