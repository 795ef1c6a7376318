// Netlink attributes (linux/netlink.h, struct nlattr) as values: read from bytes that need not make sense, written into
// a buffer. Numbers are in the host's order.
#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/check.h"

namespace weave {

struct NetlinkAttribute {
  int type = 0;
  ByteView value;

  // None: another size than the number's.
  template <typename Number>
  std::optional<Number> As() const {
    Number number;
    if (value.size() != sizeof number) return std::nullopt;
    std::memcpy(&number, value.data(), sizeof number);
    return number;
  }
  // Up to the first zero byte.
  absl::string_view Text() const {
    const absl::string_view text = AsText(value);
    return text.substr(0, text.find('\0'));
  }
  bool IsAll(std::uint8_t byte) const {
    return std::all_of(value.begin(), value.end(), [byte](std::uint8_t each) { return each == byte; });
  }
};

// Attributes one behind the other, up to the end or to one that does not fit into the bytes.
class NetlinkAttributes {
 public:
  explicit NetlinkAttributes(ByteView bytes) : rest_(bytes) {}

  std::optional<NetlinkAttribute> Next() {
    nlattr header;
    if (rest_.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, rest_.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > rest_.size()) return std::nullopt;
    const NetlinkAttribute result = {header.nla_type & NLA_TYPE_MASK,
                                     rest_.subspan(sizeof header, header.nla_len - sizeof header)};
    rest_.remove_prefix(std::min<std::size_t>(NLA_ALIGN(header.nla_len), rest_.size()));
    return result;
  }
  // After the last: nothing but padding was left.
  bool complete() const { return rest_.empty(); }

 private:
  ByteView rest_;
};

// What a value can be at most: the length with its header has 16 bits.
inline constexpr std::size_t kMaxAttributeSize = 0xffff - sizeof(nlattr);

class NetlinkAttributeWriter {
 public:
  NetlinkAttributeWriter() { bytes_.reserve(128); }  // a key, or some actions

  NetlinkAttributeWriter& Put(int type, ByteView value) {
    WEAVE_CHECK(value.size() <= kMaxAttributeSize) << value.size();
    const std::size_t at = Open(type);
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return Close(at);
  }
  template <typename Number>
  NetlinkAttributeWriter& PutNumber(int type, Number number) {
    return Put(type, {reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
  }
  NetlinkAttributeWriter& PutFlag(int type) { return Put(type, {}); }

  Bytes Take() { return std::move(bytes_); }

 private:
  std::size_t Open(int type) {
    const std::size_t at = bytes_.size();
    const nlattr header = {0, static_cast<std::uint16_t>(type)};
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&header);
    bytes_.insert(bytes_.end(), raw, raw + sizeof header);
    return at;
  }
  NetlinkAttributeWriter& Close(std::size_t at) {
    const auto length = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &length, sizeof length);
    bytes_.resize(at + NLA_ALIGN(length));
    return *this;
  }

  Bytes bytes_;
};

}  // namespace weave
