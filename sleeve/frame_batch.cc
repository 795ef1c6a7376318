#include "sleeve/frame_batch.h"

#include <algorithm>

#include "base/check.h"
#include "sleeve/sleeve_codec.h"

namespace weave {
namespace {

constexpr std::size_t kTcpFlagsOffset = 13;

}  // namespace

void FrameBatch::Add(const Frame& frame) {
  CHECK(Fits(frame.bytes.size())) << frame.bytes.size();
  const std::optional<TcpSegment> segment = frame.offload.none() ? ReadTcpSegment(frame.bytes) : std::nullopt;
  if (segment.has_value() && tail_.has_value() && Join(frame, *segment)) return;
  std::uint8_t* const at = memory_.get() + used_;
  std::copy_n(frame.bytes.data(), frame.bytes.size(), at);
  frames_.push_back({ByteView(at, frame.bytes.size()), frame.offload});
  tail_.reset();
  if (segment.has_value() && !segment->push)
    tail_ = Tail{*segment, used_, segment->sequence_number + static_cast<std::uint32_t>(segment->payload_size)};
  used_ += frame.bytes.size();
}

// The receiver's kernel takes the joined frame's checksum for right, so both must be.
bool FrameBatch::Join(const Frame& frame, const TcpSegment& segment) {
  Tail& tail = *tail_;
  Frame& joined = frames_.back();
  if (segment.tcp_offset != tail.first.tcp_offset || segment.headers_size != tail.first.headers_size ||
      segment.payload_size > tail.first.payload_size || segment.sequence_number != tail.next_sequence_number ||
      joined.bytes.size() + segment.payload_size > kEthernetHeaderSize + kMaxIpv4PacketSize ||
      !SameTcpStream(joined.bytes, frame.bytes, segment) || !TcpChecksumIsRight(frame.bytes, segment.tcp_offset))
    return false;
  if (!tail.checked && !TcpChecksumIsRight(joined.bytes, segment.tcp_offset)) return false;
  tail.checked = true;

  std::copy_n(frame.bytes.data() + segment.headers_size, segment.payload_size, memory_.get() + used_);
  used_ += segment.payload_size;
  const MutableBytes bytes = MutableBytes(memory_.get() + tail.offset, used_ - tail.offset);
  bytes[segment.tcp_offset + kTcpFlagsOffset] |= frame.bytes[segment.tcp_offset + kTcpFlagsOffset];
  WriteJoinedHeaders(segment.tcp_offset, bytes);
  joined.bytes = bytes;
  joined.offload.needs_checksum = true;
  joined.offload.checksum_start = static_cast<std::uint16_t>(segment.tcp_offset);
  joined.offload.checksum_offset = kTcpChecksumOffset;
  joined.offload.segments = segment.v6() ? FrameOffload::Segments::kTcp6 : FrameOffload::Segments::kTcp4;
  joined.offload.segment_size = static_cast<std::uint16_t>(tail.first.payload_size);
  tail.next_sequence_number += static_cast<std::uint32_t>(segment.payload_size);
  // A shorter one is the last, and so is one that is to be pushed.
  if (segment.push || segment.payload_size < tail.first.payload_size) tail_.reset();
  return true;
}

void FrameBatch::Clear() {
  frames_.clear();
  used_ = 0;
  tail_.reset();
}

}  // namespace weave
