#include "sleeve/tcp_segment.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sleeve/sleeve_codec.h"

namespace weave {
namespace {

constexpr std::size_t kIpHeaderSize = 20;
constexpr std::size_t kMinTcpHeaderSize = 20;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kPush = 0x08;

// Addresses, protocol and length (RFC 9293 section 3.1).
std::uint16_t PseudoHeaderSum(ByteView frame) {
  const std::size_t tcp_size = frame.size() - TcpSegment::kTcpOffset;
  return OnesComplementSum(frame.subspan(kEthernetHeaderSize + 12, 8), static_cast<std::uint32_t>(tcp_size) + kTcp);
}

bool Same(ByteView a, ByteView b, std::size_t from, std::size_t to) {
  return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from), a.begin() + static_cast<std::ptrdiff_t>(to),
                    b.begin() + static_cast<std::ptrdiff_t>(from));
}

}  // namespace

std::optional<TcpSegment> ReadTcpSegment(ByteView frame) {
  const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame);
  if (!ip.has_value() || ip->protocol != kTcp || ip->header_size != kIpHeaderSize || ip->more_fragments ||
      ip->fragment_offset != 0 || ip->packet_size != frame.size() - kEthernetHeaderSize ||
      ip->packet_size < kIpHeaderSize + kMinTcpHeaderSize)
    return std::nullopt;
  const std::uint8_t* tcp = frame.data() + TcpSegment::kTcpOffset;
  const std::size_t tcp_header_size = std::size_t{4} * (tcp[12] >> 4);
  if ((tcp[12] & 0xf) != 0 || (tcp[13] & ~kPush) != kAck || tcp_header_size < kMinTcpHeaderSize) return std::nullopt;
  TcpSegment segment;
  segment.headers_size = TcpSegment::kTcpOffset + tcp_header_size;
  if (segment.headers_size >= frame.size()) return std::nullopt;
  segment.payload_size = frame.size() - segment.headers_size;
  segment.sequence_number = Read32(tcp + 4);
  segment.push = (tcp[13] & kPush) != 0;
  return segment;
}

bool TcpChecksumIsRight(ByteView frame) {
  return OnesComplementSum(frame.subspan(TcpSegment::kTcpOffset), PseudoHeaderSum(frame)) == 0xffff;
}

bool SameTcpStream(ByteView a, ByteView b, std::size_t headers_size) {
  constexpr std::size_t kIp = kEthernetHeaderSize;
  constexpr std::size_t kTcpAt = TcpSegment::kTcpOffset;
  // Not: total length, identification, checksum; sequence number, flags, checksum.
  const std::array<std::pair<std::size_t, std::size_t>, 7> same = {{{0, kIp + 2},
                                                                    {kIp + 6, kIp + 10},
                                                                    {kIp + 12, kTcpAt + 4},
                                                                    {kTcpAt + 8, kTcpAt + 13},
                                                                    {kTcpAt + 14, kTcpAt + 16},
                                                                    {kTcpAt + 18, kTcpAt + 20},
                                                                    {kTcpAt + 20, headers_size}}};
  return std::all_of(same.begin(), same.end(), [&](const auto& part) { return Same(a, b, part.first, part.second); });
}

void WriteJoinedHeaders(MutableBytes frame) {
  Write16(static_cast<std::uint16_t>(frame.size() - kEthernetHeaderSize), frame.data() + kEthernetHeaderSize + 2);
  WriteIpv4Checksum(kIpHeaderSize, frame);
  Write16(PseudoHeaderSum(frame), frame.data() + TcpSegment::kTcpOffset + 16);
}

}  // namespace weave
