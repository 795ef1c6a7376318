// The Internet checksum (RFC 1071), and the IP packets inside frames as data paths look at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "base/bytes.h"

namespace weave {

inline constexpr std::size_t kMaxIpv4PacketSize = 65535;  // bytes; RFC 791
inline constexpr std::size_t kIpv6HeaderSize = 40;        // bytes, without extensions; RFC 8200
inline constexpr std::size_t kTcpChecksumOffset = 16;     // bytes from the start of the header; RFC 9293

using MutableBytes = absl::Span<std::uint8_t>;

// The ones' complement sum of big-endian 16-bit words, an odd last byte padded with zero; folded, not complemented.
std::uint16_t OnesComplementSum(ByteView bytes, std::uint32_t initial = 0);

// Adds two folded sums.
inline std::uint16_t AddSums(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t sum = a + b;
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

inline std::uint16_t Read16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
inline std::uint32_t Read32(const std::uint8_t* at) { return std::uint32_t{Read16(at)} << 16 | Read16(at + 2); }
inline void Write16(std::uint16_t value, std::uint8_t* at) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void Write32(std::uint32_t value, std::uint8_t* at) {
  Write16(static_cast<std::uint16_t>(value >> 16), at);
  Write16(static_cast<std::uint16_t>(value), at + 2);
}

// The IPv4 header in an untagged Ethernet frame; offsets from the start of the frame.
struct InnerIpv4 {
  std::size_t header_size = 0;      // 20..60 bytes, all in the frame
  std::size_t packet_size = 0;      // bytes, header included; all in the frame, which may be padded behind
  std::size_t fragment_offset = 0;  // bytes
  bool dont_fragment = false;
  bool more_fragments = false;
  std::uint8_t protocol = 0;
};

// None: not IPv4, or cut off, or contradicting itself.
std::optional<InnerIpv4> ReadInnerIpv4(ByteView frame);

// The IPv6 header in an untagged Ethernet frame.
struct InnerIpv6 {
  std::size_t packet_size = 0;  // bytes, header included; all in the frame, which may be padded behind
  std::uint8_t next_header = 0;
};

// None: not IPv6, cut off, or a jumbogram.
std::optional<InnerIpv6> ReadInnerIpv6(ByteView frame);

// Writes the checksum of the IPv4 header behind the Ethernet header.
void WriteIpv4Checksum(std::size_t header_size, MutableBytes frame);

}  // namespace weave
