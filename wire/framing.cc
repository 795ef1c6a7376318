#include "wire/framing.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wire/gob.h"
#include "wire/messages.h"

namespace weave {
namespace {

constexpr std::size_t kPrefixSize = 4;
constexpr std::size_t kMaxUintSize = 9;

// Beyond its content, what the gob message of a byte slice holds: type id, zero, size.
constexpr std::size_t kGobOverhead = 2 + kMaxUintSize;

// A buffer that has grown to this is given back once it is empty.
constexpr std::size_t kKeptCapacity = 256 * 1024;

absl::Status TooLarge(std::uint64_t size, std::size_t max) {
  return absl::InvalidArgumentError(absl::StrCat("message of ", size, " bytes, want at most ", max));
}

}  // namespace

void FrameReader::Append(ByteView bytes) {
  if (!failure_.ok()) return;
  if (start_ == buffer_.size()) {
    buffer_.clear();
    if (buffer_.capacity() > kKeptCapacity) Bytes().swap(buffer_);
    start_ = 0;
  } else if (start_ > buffer_.size() / 2) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(start_));
    start_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

absl::StatusOr<std::optional<ByteView>> FrameReader::Next() {
  std::optional<ByteView> message;
  if (failure_.ok()) {
    failure_ = version_ == 1 ? NextOfStream(message) : NextOfPrefixed(message);
    if (!failure_.ok()) Bytes().swap(buffer_), start_ = 0;
  }
  if (!failure_.ok()) return failure_;
  return message;
}

absl::Status FrameReader::NextOfPrefixed(std::optional<ByteView>& message) {
  const ByteView held = absl::MakeConstSpan(buffer_).subspan(start_);
  if (held.size() < kPrefixSize) return absl::OkStatus();
  std::size_t size = 0;
  for (std::size_t i = 0; i < kPrefixSize; ++i) size = size << 8 | held[i];
  if (size > max_size()) return TooLarge(size, max_size());
  if (held.size() - kPrefixSize < size) return absl::OkStatus();
  message = held.subspan(kPrefixSize, size);
  start_ += kPrefixSize + size;
  first_ = false;
  return absl::OkStatus();
}

absl::Status FrameReader::NextOfStream(std::optional<ByteView>& message) {
  while (!message.has_value()) {
    ByteView content;
    std::size_t size = 0;
    RETURN_IF_ERROR(PeekGobMessage(content, size));
    if (size == 0) return absl::OkStatus();
    scanned_ += size;
    GobInput in(content);
    std::int64_t id = 0;
    RETURN_IF_ERROR(in.Int(id));
    if (first_) {
      // The map with its definitions is one message.
      if (id < 0) continue;
      message = absl::MakeConstSpan(buffer_).subspan(start_, scanned_);
    } else if (id > 0) {
      RETURN_IF_ERROR(TakeByteSlice(id, in, message));
    }
    // A later definition is dropped: byte slices need none.
    start_ += std::exchange(scanned_, 0);
    first_ = first_ && !message.has_value();
  }
  return absl::OkStatus();
}

// The gob message behind what was scanned, with its size; 0: not complete yet.
absl::Status FrameReader::PeekGobMessage(ByteView& content, std::size_t& size) const {
  size = 0;
  const ByteView held = absl::MakeConstSpan(buffer_).subspan(start_ + scanned_);
  const std::size_t prefix_size = held.empty() ? 1 : held[0] < 0x80 ? 1 : 1 + (0x100 - held[0]);
  if (held.size() < std::min(prefix_size, kMaxUintSize)) return absl::OkStatus();
  GobInput in(held);
  std::uint64_t length = 0;
  RETURN_IF_ERROR(in.Uint(length));
  const std::size_t max = max_size() + (first_ ? 0 : kGobOverhead);
  if (length > max || scanned_ + in.position() + length > max + kMaxUintSize) return TooLarge(scanned_ + length, max);
  if (in.rest().size() < length) return absl::OkStatus();
  content = in.rest().first(length);
  size = in.position() + length;
  return absl::OkStatus();
}

absl::Status FrameReader::TakeByteSlice(std::int64_t id, GobInput& in, std::optional<ByteView>& message) {
  if (id != static_cast<std::int64_t>(GobKind::kBytes))
    return absl::InvalidArgumentError(absl::StrCat("value of type ", id, " on the connection, want a byte slice"));
  std::uint64_t zero = 0;
  RETURN_IF_ERROR(in.Uint(zero));
  if (zero != 0) return in.Invalid("no zero before a value that is not a struct");
  ByteView bytes;
  RETURN_IF_ERROR(in.ByteString(bytes));
  if (!in.empty()) return in.Invalid(absl::StrCat(in.rest().size(), " bytes left over after a value"));
  if (bytes.size() > kMaxMessageSize) return TooLarge(bytes.size(), kMaxMessageSize);
  message = bytes;
  return absl::OkStatus();
}

std::size_t FrameReader::max_size() const { return first_ ? kMaxFeaturesSize : kMaxMessageSize; }

absl::Status AppendFrame(int version, bool first, ByteView message, Bytes& out) {
  const std::size_t max = first ? kMaxFeaturesSize : kMaxMessageSize;
  if (message.size() > max) return TooLarge(message.size(), max);
  if (version == 1) {
    if (first)
      out.insert(out.end(), message.begin(), message.end());
    else
      AppendGobBytesMessage(message, out);
    return absl::OkStatus();
  }
  for (std::size_t i = 0; i < kPrefixSize; ++i)
    out.push_back(static_cast<std::uint8_t>(message.size() >> (8 * (kPrefixSize - 1 - i))));
  out.insert(out.end(), message.begin(), message.end());
  return absl::OkStatus();
}

}  // namespace weave
