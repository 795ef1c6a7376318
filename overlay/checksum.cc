#include "overlay/checksum.h"

#include <bit>
#include <cstring>

#include "overlay/frame.h"

namespace weave {
namespace {

constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr std::size_t kMinHeaderSize = 20;

}  // namespace

// Words of 32 bits into 64-bit sums, in the machine's byte order, which the sum does not depend on (RFC 1071 section
// 2): the result is turned in the end.
std::uint16_t OnesComplementSum(ByteView bytes, std::uint32_t initial) {
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t sums[4] = {};
  for (; left >= 16; left -= 16, at += 16) {
    std::uint32_t words[4];
    std::memcpy(words, at, sizeof words);
    for (int i = 0; i < 4; ++i) sums[i] += words[i];
  }
  std::uint64_t sum = sums[0] + sums[1] + sums[2] + sums[3];
  std::uint8_t tail[16] = {};
  if (left > 0) std::memcpy(tail, at, left);
  for (int i = 0; i < 4; ++i) {
    std::uint32_t word;
    std::memcpy(&word, tail + 4 * i, sizeof word);
    sum += word;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  std::uint32_t folded = static_cast<std::uint32_t>(sum);
  if constexpr (std::endian::native == std::endian::little) folded = (folded & 0xff) << 8 | folded >> 8;
  folded += (initial & 0xffff) + (initial >> 16);
  while (folded >> 16 != 0) folded = (folded & 0xffff) + (folded >> 16);
  return static_cast<std::uint16_t>(folded);
}

std::optional<InnerIpv4> ReadInnerIpv4(ByteView frame) {
  if (frame.size() < kEthernetHeaderSize + kMinHeaderSize) return std::nullopt;
  const std::uint8_t* ip = frame.data() + kEthernetHeaderSize;
  if (Read16(ip - 2) != kEtherTypeIpv4 || ip[0] >> 4 != 4) return std::nullopt;
  InnerIpv4 header;
  header.header_size = std::size_t{4} * (ip[0] & 0xf);
  header.packet_size = Read16(ip + 2);
  if (header.header_size < kMinHeaderSize || header.packet_size < header.header_size ||
      header.packet_size > frame.size() - kEthernetHeaderSize)
    return std::nullopt;
  const std::uint16_t fragment = Read16(ip + 6);
  header.dont_fragment = (fragment & 0x4000) != 0;
  header.more_fragments = (fragment & 0x2000) != 0;
  header.fragment_offset = std::size_t{8} * (fragment & 0x1fff);
  header.protocol = ip[9];
  if (header.fragment_offset + header.packet_size - header.header_size > kMaxIpv4PacketSize) return std::nullopt;
  return header;
}

std::optional<InnerIpv6> ReadInnerIpv6(ByteView frame) {
  if (frame.size() < kEthernetHeaderSize + kIpv6HeaderSize) return std::nullopt;
  const std::uint8_t* ip = frame.data() + kEthernetHeaderSize;
  if (Read16(ip - 2) != kEtherTypeIpv6 || ip[0] >> 4 != 6) return std::nullopt;
  InnerIpv6 header;
  header.packet_size = kIpv6HeaderSize + Read16(ip + 4);
  header.next_header = ip[6];
  if (header.packet_size == kIpv6HeaderSize || header.packet_size > frame.size() - kEthernetHeaderSize)
    return std::nullopt;
  return header;
}

void WriteIpv4Checksum(std::size_t header_size, MutableBytes frame) {
  std::uint8_t* checksum = frame.data() + kEthernetHeaderSize + 10;
  Write16(0, checksum);
  Write16(static_cast<std::uint16_t>(~OnesComplementSum(frame.subspan(kEthernetHeaderSize, header_size))), checksum);
}

}  // namespace weave
