// 48-bit Ethernet addresses.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace weave {

class MacAddress {
 public:
  constexpr MacAddress() = default;
  constexpr explicit MacAddress(const std::array<std::uint8_t, 6>& bytes) : bytes_(bytes) {}

  // Of at least six bytes, as they stand in a frame.
  static MacAddress FromBytes(ByteView bytes);

  // Six groups of two hex digits, either case, separated by colons.
  static absl::StatusOr<MacAddress> Parse(absl::string_view text);

  constexpr const std::array<std::uint8_t, 6>& bytes() const { return bytes_; }
  bool IsMulticast() const { return (bytes_[0] & 0x01) != 0; }

  // Lower case, `xx:xx:xx:xx:xx:xx`.
  std::string ToString() const;

  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;

 private:
  std::array<std::uint8_t, 6> bytes_ = {};
};

inline std::ostream& operator<<(std::ostream& out, const MacAddress& mac) { return out << mac.ToString(); }

}  // namespace weave
