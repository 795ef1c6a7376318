// Integers and byte strings of gob (spec/gob.md section 1): appending them, and a cursor that reads them back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace weave {

void AppendGobUint(std::uint64_t value, Bytes& out);
void AppendGobInt(std::int64_t value, Bytes& out);
// With the size before it. A string is the same on the wire.
void AppendGobBytes(ByteView value, Bytes& out);

// Bytes that AppendGobUint appends.
std::size_t GobUintSize(std::uint64_t value);

// Walks through bytes from outside. Every function returns InvalidArgument, naming the position in the stream, for what
// is cut short or out of range; the cursor is of no use afterwards.
class GobInput {
 public:
  GobInput() = default;
  // `offset`: where `bytes` begin in the stream, for messages only. The bytes outlive the cursor and what it returns.
  explicit GobInput(ByteView bytes, std::size_t offset = 0) : bytes_(bytes), offset_(offset) {}

  absl::Status Uint(std::uint64_t& value) {
    if (position_ < bytes_.size() && bytes_[position_] < 0x80) {
      value = bytes_[position_++];
      return absl::OkStatus();
    }
    return LongUint(value);
  }

  absl::Status Int(std::int64_t& value);
  absl::Status ByteString(ByteView& value);

  // The count of elements that follow. Every one takes a byte at least, so more than there are bytes left is refused:
  // whoever trusts the count makes no more than that.
  absl::Status Count(std::size_t& value);

  bool empty() const { return position_ == bytes_.size(); }
  std::size_t position() const { return position_; }
  ByteView rest() const { return bytes_.subspan(position_); }

  // What is wrong at the present position.
  absl::Status Invalid(absl::string_view what) const;

 private:
  absl::Status LongUint(std::uint64_t& value);

  ByteView bytes_;
  std::size_t offset_ = 0;
  std::size_t position_ = 0;
};

}  // namespace weave
