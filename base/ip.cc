#include "base/ip.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {
namespace {

// Decimal without sign, blanks or leading zeros, at most `max`.
std::optional<std::uint32_t> ParseDecimal(absl::string_view text, std::uint32_t max) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint32_t value = 0;
  for (char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (value > max) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> ParseV4(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  if (parts.size() != 4) return std::nullopt;
  std::uint32_t value = 0;
  for (absl::string_view part : parts) {
    const std::optional<std::uint32_t> octet = ParseDecimal(part, 255);
    if (!octet.has_value()) return std::nullopt;
    value = value << 8 | *octet;
  }
  return value;
}

// 16-bit groups of one side of a `::`; a dotted quad may end the address and counts as two.
std::optional<std::vector<std::uint16_t>> ParseV6Groups(absl::string_view text, bool ends_address) {
  std::vector<std::uint16_t> groups;
  if (text.empty()) return groups;
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  if (parts.size() > 8) return std::nullopt;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (ends_address && i + 1 == parts.size() && parts[i].find('.') != absl::string_view::npos) {
      const std::optional<std::uint32_t> v4 = ParseV4(parts[i]);
      if (!v4.has_value()) return std::nullopt;
      groups.push_back(static_cast<std::uint16_t>(*v4 >> 16));
      groups.push_back(static_cast<std::uint16_t>(*v4));
      continue;
    }
    if (parts[i].empty() || parts[i].size() > 4) return std::nullopt;
    std::uint32_t value = 0;
    for (char c : parts[i])
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
    if (!absl::SimpleHexAtoi(parts[i], &value)) return std::nullopt;
    groups.push_back(static_cast<std::uint16_t>(value));
  }
  return groups;
}

std::optional<absl::uint128> ParseV6(absl::string_view text) {
  std::optional<std::vector<std::uint16_t>> groups;
  const std::size_t gap = text.find("::");
  if (gap == absl::string_view::npos) {
    groups = ParseV6Groups(text, true);
  } else {
    groups = ParseV6Groups(text.substr(0, gap), false);
    const std::optional<std::vector<std::uint16_t>> tail = ParseV6Groups(text.substr(gap + 2), true);
    if (!groups.has_value() || !tail.has_value() || groups->size() + tail->size() > 7) return std::nullopt;
    groups->resize(8 - tail->size());
    groups->insert(groups->end(), tail->begin(), tail->end());
  }
  if (!groups.has_value() || groups->size() != 8) return std::nullopt;
  absl::uint128 value = 0;
  for (std::uint16_t group : *groups) value = value << 16 | group;
  return value;
}

std::string FormatV6(absl::uint128 value) {
  std::array<std::uint16_t, 8> groups;
  for (std::size_t i = 0; i < groups.size(); ++i)
    groups[i] = static_cast<std::uint16_t>(absl::Uint128Low64(value >> (16 * (7 - static_cast<int>(i)))));
  // RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::".
  std::size_t best_start = groups.size();
  std::size_t best_count = 1;
  for (std::size_t i = 0; i < groups.size();) {
    std::size_t end = i;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - i > best_count) {
      best_start = i;
      best_count = end - i;
    }
    i = end + 1;
  }
  std::string text;
  for (std::size_t i = 0; i < groups.size();) {
    if (i == best_start) {
      text += "::";
      i += best_count;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    absl::StrAppendFormat(&text, "%x", groups[i]);
    ++i;
  }
  return text;
}

absl::uint128 HostMask(IpFamily family, int prefix_length) {
  const int host_bits = BitCount(family) - prefix_length;
  if (host_bits == 128) return absl::Uint128Max();
  return (absl::uint128(1) << host_bits) - 1;
}

}  // namespace

absl::StatusOr<IpAddress> IpAddress::Parse(absl::string_view text) {
  if (const std::optional<std::uint32_t> value = ParseV4(text)) return V4(*value);
  if (const std::optional<absl::uint128> value = ParseV6(text)) return V6(*value);
  return absl::InvalidArgumentError(absl::StrCat("invalid IP address \"", text, "\""));
}

absl::StatusOr<IpAddress> IpAddress::FromBytes(ByteView bytes) {
  if (bytes.size() != 4 && bytes.size() != 16)
    return absl::InvalidArgumentError(absl::StrCat("IP address of ", bytes.size(), " bytes, want 4 or 16"));
  absl::uint128 value = 0;
  for (std::uint8_t byte : bytes) value = value << 8 | byte;
  return IpAddress(bytes.size() == 4 ? IpFamily::kV4 : IpFamily::kV6, value);
}

std::uint32_t IpAddress::v4() const {
  CHECK(IsV4()) << *this;
  return static_cast<std::uint32_t>(absl::Uint128Low64(value_));
}

Bytes IpAddress::ToBytes() const {
  Bytes bytes(static_cast<std::size_t>(BitCount(family_) / 8));
  absl::uint128 rest = value_;
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    *byte = static_cast<std::uint8_t>(absl::Uint128Low64(rest));
    rest >>= 8;
  }
  return bytes;
}

std::string IpAddress::ToString() const {
  if (!IsV4()) return FormatV6(value_);
  const std::uint32_t value = v4();
  return absl::StrCat(value >> 24, ".", value >> 16 & 0xff, ".", value >> 8 & 0xff, ".", value & 0xff);
}

bool AddressRange::Contains(const IpAddress& address) const {
  return address.family() == start.family() && address.value() >= start.value() &&
         address.value() - start.value() < size;
}

bool AddressRange::Overlaps(const AddressRange& other) const {
  if (size == 0 || other.size == 0) return false;
  return Contains(other.start) || other.Contains(start);
}

Cidr::Cidr(IpAddress address, int prefix_length) : address_(address), prefix_length_(prefix_length) {
  CHECK(prefix_length >= 0 && prefix_length <= BitCount(address.family())) << address << "/" << prefix_length;
}

absl::StatusOr<Cidr> Cidr::Parse(absl::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == absl::string_view::npos)
    return absl::InvalidArgumentError(
        absl::StrCat("invalid CIDR address \"", text, "\": want address/prefix-length, as in 10.32.0.1/12"));
  ASSIGN_OR_RETURN(const IpAddress address, IpAddress::Parse(text.substr(0, slash)));
  const std::uint32_t max = static_cast<std::uint32_t>(BitCount(address.family()));
  const std::optional<std::uint32_t> length = ParseDecimal(text.substr(slash + 1), max);
  if (!length.has_value())
    return absl::InvalidArgumentError(
        absl::StrCat("invalid CIDR address \"", text, "\": want a prefix length of 0 to ", max));
  return Cidr(address, static_cast<int>(*length));
}

Cidr Cidr::Network() const {
  const absl::uint128 network = address_.value() & ~HostMask(address_.family(), prefix_length_);
  return Cidr(address_.IsV4() ? IpAddress::V4(static_cast<std::uint32_t>(network)) : IpAddress::V6(network),
              prefix_length_);
}

AddressRange Cidr::Range() const {
  CHECK(address_.IsV4() || prefix_length_ > 0) << *this;
  return {Network().address_, HostMask(address_.family(), prefix_length_) + 1};
}

std::string Cidr::ToString() const { return absl::StrCat(address_.ToString(), "/", prefix_length_); }

bool HoldsAddress(const std::vector<Cidr>& addresses, const IpAddress& address) {
  return std::any_of(addresses.begin(), addresses.end(), [&](const Cidr& cidr) { return cidr.address() == address; });
}

}  // namespace weave
