#include "sleeve/frame_offload.h"

#include <algorithm>

#include "base/check.h"
#include "sleeve/sleeve_codec.h"

namespace weave {
namespace {

using Segments = FrameOffload::Segments;

constexpr std::size_t kMinTcpHeaderSize = 20;
constexpr std::size_t kUdpHeaderSize = 8;
constexpr std::size_t kUdpChecksumOffset = 6;
constexpr std::uint16_t kEtherTypeVlan = 0x8100;         // IEEE 802.1Q
constexpr std::uint16_t kEtherTypeServiceVlan = 0x88a8;  // 802.1ad
constexpr std::size_t kMaxVlanTagCount = 2;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kFinAndPush = 0x09;
constexpr std::uint8_t kCongestionWindowReduced = 0x80;

// Bytes between the MAC addresses and the type of what is inside.
std::size_t VlanTagsSize(ByteView frame) {
  std::size_t size = 0;
  while (size < kMaxVlanTagCount * kVlanTagSize && frame.size() >= kEthernetHeaderSize + size) {
    const std::uint16_t type = Read16(frame.data() + kEthernetHeaderSize - 2 + size);
    if (type != kEtherTypeVlan && type != kEtherTypeServiceVlan) break;
    size += kVlanTagSize;
  }
  return size;
}

// Where the transport header starts, if the IP header is one whose lengths we can rewrite: no fragment, and the
// packet fills the frame.
std::optional<std::size_t> TransportOffset(const Frame& frame) {
  const std::size_t tags_size = VlanTagsSize(frame.bytes);
  const ByteView untagged = frame.bytes.subspan(tags_size);  // from the type on; the MAC addresses do not matter
  const std::uint8_t protocol = frame.offload.segments == Segments::kUdp ? kUdp : kTcp;
  const std::size_t packet_size = untagged.size() - kEthernetHeaderSize;
  const std::optional<InnerIpv6> ip6 = ReadInnerIpv6(untagged);
  if (ip6.has_value() && frame.offload.segments != Segments::kTcp4) {
    if (ip6->next_header != protocol || ip6->packet_size != packet_size) return std::nullopt;
    return tags_size + kEthernetHeaderSize + kIpv6HeaderSize;
  }
  if (frame.offload.segments == Segments::kTcp6) return std::nullopt;
  const std::optional<InnerIpv4> ip = ReadInnerIpv4(untagged);
  if (!ip.has_value() || ip->protocol != protocol || ip->more_fragments || ip->fragment_offset != 0 ||
      ip->packet_size != packet_size)
    return std::nullopt;
  return tags_size + kEthernetHeaderSize + ip->header_size;
}

std::optional<std::size_t> HeadersSize(const Frame& frame) {
  const std::optional<std::size_t> transport = TransportOffset(frame);
  if (!transport.has_value() || frame.offload.checksum_start != *transport) return std::nullopt;
  const std::size_t left = frame.bytes.size() - *transport;
  const bool udp = frame.offload.segments == Segments::kUdp;
  if (left < (udp ? kUdpHeaderSize : kMinTcpHeaderSize)) return std::nullopt;
  if (frame.offload.checksum_offset != (udp ? kUdpChecksumOffset : kTcpChecksumOffset)) return std::nullopt;
  const std::size_t header_size = udp ? kUdpHeaderSize : std::size_t{4} * (frame.bytes[*transport + 12] >> 4);
  if (header_size < (udp ? kUdpHeaderSize : kMinTcpHeaderSize) || header_size >= left) return std::nullopt;
  return *transport + header_size;
}

}  // namespace

bool IsConsistent(const Frame& frame) {
  const FrameOffload& offload = frame.offload;
  if (offload.needs_checksum &&
      (offload.checksum_start < kEthernetHeaderSize ||
       std::size_t{offload.checksum_start} + offload.checksum_offset + 2 > frame.bytes.size()))
    return false;
  if (offload.segments == Segments::kOne) return true;
  return offload.needs_checksum && offload.segment_size > 0 && HeadersSize(frame).has_value();
}

// What stands at the checksum's place is the sum of the pseudo header.
void CompleteChecksum(const FrameOffload& offload, MutableBytes frame) {
  if (!offload.needs_checksum) return;
  std::uint8_t* checksum = frame.data() + offload.checksum_start + offload.checksum_offset;
  std::uint16_t sum = static_cast<std::uint16_t>(~OnesComplementSum(frame.subspan(offload.checksum_start)));
  if (sum == 0 && offload.checksum_offset == kUdpChecksumOffset) sum = 0xffff;  // RFC 768: 0 says "none"
  Write16(sum, checksum);
}

FrameSegmenter::FrameSegmenter(const Frame& frame) : frame_(frame) {
  const std::optional<std::size_t> headers = HeadersSize(frame);
  CHECK(headers.has_value() && frame.offload.segment_size > 0) << frame.bytes.size();
  headers_size_ = *headers;
  tags_size_ = VlanTagsSize(frame.bytes);
  payload_size_ = frame.bytes.size() - headers_size_;
}

std::size_t FrameSegmenter::largest_size() const {
  return headers_size_ + std::min<std::size_t>(frame_.offload.segment_size, payload_size_);
}

std::size_t FrameSegmenter::next_size() const {
  return headers_size_ + std::min<std::size_t>(frame_.offload.segment_size, payload_size_ - offset_);
}

void FrameSegmenter::WriteNext(MutableBytes out) {
  CHECK(!done() && out.size() == next_size()) << out.size();
  const std::size_t payload_size = out.size() - headers_size_;
  std::copy_n(frame_.bytes.data(), headers_size_, out.data());
  std::copy_n(frame_.bytes.data() + headers_size_ + offset_, payload_size, out.data() + headers_size_);
  const std::size_t transport = frame_.offload.checksum_start;
  const MutableBytes untagged = out.subspan(tags_size_);
  std::uint8_t* ip = untagged.data() + kEthernetHeaderSize;
  if (ip[0] >> 4 == 4) {
    Write16(static_cast<std::uint16_t>(untagged.size() - kEthernetHeaderSize), ip + 2);
    Write16(static_cast<std::uint16_t>(Read16(ip + 4) + index_), ip + 4);
    WriteIpv4Checksum(transport - tags_size_ - kEthernetHeaderSize, untagged);
  } else {
    Write16(static_cast<std::uint16_t>(untagged.size() - kEthernetHeaderSize - kIpv6HeaderSize), ip + 4);
  }
  // The pseudo header's sum holds the length of the whole; the rest of it is the same.
  const std::size_t whole_size = frame_.bytes.size() - transport;
  const std::size_t size = out.size() - transport;
  std::uint8_t* checksum = out.data() + transport + frame_.offload.checksum_offset;
  const std::uint16_t without = AddSums(Read16(checksum), static_cast<std::uint16_t>(~whole_size & 0xffff));
  Write16(AddSums(without, static_cast<std::uint32_t>(size)), checksum);
  if (frame_.offload.segments == Segments::kUdp)
    Write16(static_cast<std::uint16_t>(size), out.data() + transport + 4);
  else
    FinishTcp(payload_size, out);
  CompleteChecksum(frame_.offload, out);
  offset_ += payload_size;
  ++index_;
}

void FrameSegmenter::FinishTcp(std::size_t payload_size, MutableBytes out) const {
  std::uint8_t* tcp = out.data() + frame_.offload.checksum_start;
  Write32(Read32(tcp + 4) + static_cast<std::uint32_t>(offset_), tcp + 4);
  if (offset_ + payload_size < payload_size_) tcp[13] &= static_cast<std::uint8_t>(~kFinAndPush);
  if (offset_ > 0) tcp[13] &= static_cast<std::uint8_t>(~kCongestionWindowReduced);
}

}  // namespace weave
