// IP addresses, address/prefix pairs and ranges, of either family.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace weave {

enum class IpFamily : std::uint8_t { kV4 = 4, kV6 = 6 };

// Bits in an address of the family: 32 or 128.
constexpr int BitCount(IpFamily family) { return family == IpFamily::kV4 ? 32 : 128; }

class IpAddress {
 public:
  // 0.0.0.0
  constexpr IpAddress() = default;

  static constexpr IpAddress V4(std::uint32_t value) { return IpAddress(IpFamily::kV4, value); }
  static constexpr IpAddress V6(absl::uint128 value) { return IpAddress(IpFamily::kV6, value); }

  // Dotted quad without leading zeros, or RFC 4291 text.
  static absl::StatusOr<IpAddress> Parse(absl::string_view text);

  // 4 or 16 bytes in network order; another size is InvalidArgument.
  static absl::StatusOr<IpAddress> FromBytes(ByteView bytes);

  constexpr IpFamily family() const { return family_; }
  constexpr bool IsV4() const { return family_ == IpFamily::kV4; }

  // The address as a number, in the low 32 or 128 bits.
  constexpr absl::uint128 value() const { return value_; }
  std::uint32_t v4() const;

  // 4 or 16 bytes in network order.
  Bytes ToBytes() const;
  std::string ToString() const;

  // All IPv4 addresses sort before all IPv6 addresses, each family by number.
  friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;
  friend constexpr std::strong_ordering operator<=>(const IpAddress& a, const IpAddress& b) {
    if (a.family_ != b.family_) return a.family_ <=> b.family_;
    if (a.value_ == b.value_) return std::strong_ordering::equal;
    return a.value_ < b.value_ ? std::strong_ordering::less : std::strong_ordering::greater;
  }

 private:
  constexpr IpAddress(IpFamily family, absl::uint128 value) : family_(family), value_(value) {}

  IpFamily family_ = IpFamily::kV4;
  absl::uint128 value_ = 0;
};

// Addresses [start, start + size): one family, never past the last address of the family.
struct AddressRange {
  IpAddress start;
  absl::uint128 size = 0;  // count of addresses

  bool Contains(const IpAddress& address) const;
  bool Overlaps(const AddressRange& other) const;

  friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

// An address with the length of its network's prefix: `10.32.0.1/12`. Host bits are kept.
class Cidr {
 public:
  constexpr Cidr() = default;

  // `prefix_length` must be 0..BitCount(address.family()).
  Cidr(IpAddress address, int prefix_length);

  // `address/length`. Without a length, or with one out of range: InvalidArgument naming the text.
  static absl::StatusOr<Cidr> Parse(absl::string_view text);

  constexpr const IpAddress& address() const { return address_; }
  constexpr int prefix_length() const { return prefix_length_; }

  // The same prefix with the host bits cleared.
  Cidr Network() const;
  bool IsNetwork() const { return Network().address_ == address_; }
  bool Contains(const IpAddress& address) const { return Range().Contains(address); }
  bool Overlaps(const Cidr& other) const { return Range().Overlaps(other.Range()); }

  // Every address of the prefix, network and broadcast address included. A /0 of IPv6 is not representable: CHECK.
  AddressRange Range() const;

  std::string ToString() const;

  friend constexpr bool operator==(const Cidr&, const Cidr&) = default;
  friend constexpr std::strong_ordering operator<=>(const Cidr&, const Cidr&) = default;

 private:
  IpAddress address_;
  int prefix_length_ = 0;
};

// One of them is this address, whatever its prefix length.
bool HoldsAddress(const std::vector<Cidr>& addresses, const IpAddress& address);

inline std::ostream& operator<<(std::ostream& out, const IpAddress& address) { return out << address.ToString(); }
inline std::ostream& operator<<(std::ostream& out, const Cidr& cidr) { return out << cidr.ToString(); }

}  // namespace weave
