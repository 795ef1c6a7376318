#include "sleeve/tcp_segment.h"

#include <algorithm>

#include "sleeve/sleeve_codec.h"

namespace weave {
namespace {

constexpr std::size_t kIpv4Offset = kEthernetHeaderSize + 20;  // of TCP, behind a header without options
constexpr std::size_t kIpv6Offset = kEthernetHeaderSize + kIpv6HeaderSize;
constexpr std::size_t kMinTcpHeaderSize = 20;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kPush = 0x08;

// Addresses, which end both kinds of IP header, protocol and length (RFC 9293 section 3.1).
std::uint16_t PseudoHeaderSum(ByteView frame, std::size_t tcp_offset) {
  const std::size_t addresses_size = tcp_offset == kIpv6Offset ? 32 : 8;
  const std::size_t tcp_size = frame.size() - tcp_offset;
  return OnesComplementSum(frame.subspan(tcp_offset - addresses_size, addresses_size),
                           static_cast<std::uint32_t>(tcp_size) + kTcp);
}

// Where the TCP header starts, in a packet that fills the frame.
std::optional<std::size_t> TcpOffset(ByteView frame) {
  if (const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame)) {
    if (ip->protocol != kTcp || kEthernetHeaderSize + ip->header_size != kIpv4Offset || ip->more_fragments ||
        ip->fragment_offset != 0 || kEthernetHeaderSize + ip->packet_size != frame.size())
      return std::nullopt;
    return kIpv4Offset;
  }
  const std::optional<InnerIpv6> ip = ReadInnerIpv6(frame);
  if (!ip.has_value() || ip->next_header != kTcp || kEthernetHeaderSize + ip->packet_size != frame.size())
    return std::nullopt;
  return kIpv6Offset;
}

bool Same(ByteView a, ByteView b, std::size_t from, std::size_t to) {
  return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from), a.begin() + static_cast<std::ptrdiff_t>(to),
                    b.begin() + static_cast<std::ptrdiff_t>(from));
}

}  // namespace

std::optional<TcpSegment> ReadTcpSegment(ByteView frame) {
  const std::optional<std::size_t> tcp_offset = TcpOffset(frame);
  if (!tcp_offset.has_value() || frame.size() < *tcp_offset + kMinTcpHeaderSize) return std::nullopt;
  const std::uint8_t* tcp = frame.data() + *tcp_offset;
  const std::size_t tcp_header_size = std::size_t{4} * (tcp[12] >> 4);
  if ((tcp[12] & 0xf) != 0 || (tcp[13] & ~kPush) != kAck || tcp_header_size < kMinTcpHeaderSize) return std::nullopt;
  TcpSegment segment;
  segment.tcp_offset = *tcp_offset;
  segment.headers_size = *tcp_offset + tcp_header_size;
  if (segment.headers_size >= frame.size()) return std::nullopt;
  segment.payload_size = frame.size() - segment.headers_size;
  segment.sequence_number = Read32(tcp + 4);
  segment.push = (tcp[13] & kPush) != 0;
  return segment;
}

bool TcpChecksumIsRight(ByteView frame, std::size_t tcp_offset) {
  return OnesComplementSum(frame.subspan(tcp_offset), PseudoHeaderSum(frame, tcp_offset)) == 0xffff;
}

bool SameTcpStream(ByteView a, ByteView b, const TcpSegment& headers) {
  constexpr std::size_t kIp = kEthernetHeaderSize;
  const std::size_t tcp = headers.tcp_offset;
  // Not: total length, identification, checksum.
  const bool same_ip = headers.v6()
                           ? Same(a, b, 0, kIp + 4) && Same(a, b, kIp + 6, tcp)
                           : Same(a, b, 0, kIp + 2) && Same(a, b, kIp + 6, kIp + 10) && Same(a, b, kIp + 12, tcp);
  // Not: sequence number, flags, checksum.
  return same_ip && Same(a, b, tcp, tcp + 4) && Same(a, b, tcp + 8, tcp + 13) && Same(a, b, tcp + 14, tcp + 16) &&
         Same(a, b, tcp + 18, headers.headers_size);
}

void WriteJoinedHeaders(std::size_t tcp_offset, MutableBytes frame) {
  const std::size_t packet_size = frame.size() - kEthernetHeaderSize;
  if (tcp_offset == kIpv6Offset) {
    Write16(static_cast<std::uint16_t>(packet_size - kIpv6HeaderSize), frame.data() + kEthernetHeaderSize + 4);
  } else {
    Write16(static_cast<std::uint16_t>(packet_size), frame.data() + kEthernetHeaderSize + 2);
    WriteIpv4Checksum(kIpv4Offset - kEthernetHeaderSize, frame);
  }
  Write16(PseudoHeaderSum(frame, tcp_offset), frame.data() + tcp_offset + kTcpChecksumOffset);
}

}  // namespace weave
