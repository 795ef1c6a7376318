// TCP segments that follow each other, told from their frames: what the kernel of the sender cut, or our own end of a
// path, the receiver can have in one piece again (sleeve/frame_batch.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "overlay/checksum.h"
#include "overlay/frame.h"

namespace weave {

// Sizes and offsets in bytes.
struct TcpSegment {
  std::size_t tcp_offset = 0;    // of the TCP header in the frame
  std::size_t headers_size = 0;  // Ethernet, IP and TCP
  std::size_t payload_size = 0;  // more than none
  std::uint32_t sequence_number = 0;
  bool push = false;

  bool v6() const { return tcp_offset == kEthernetHeaderSize + kIpv6HeaderSize; }
};

// None: the frame is no plain segment of data that may be joined with others (IPv4 without options or fragments or IPv6
// without extensions, only ACK and PSH set, nothing behind the packet).
std::optional<TcpSegment> ReadTcpSegment(ByteView frame);

// The checksum of the segment is right.
bool TcpChecksumIsRight(ByteView frame, std::size_t tcp_offset);

// The headers say the same of both, whose sizes are `headers`, but for what differs from one segment to the next.
bool SameTcpStream(ByteView a, ByteView b, const TcpSegment& headers);

// Writes the lengths and the checksums of a frame that several segments were joined in: that of TCP as far as the
// kernel wants it, which is the sum of the pseudo header.
void WriteJoinedHeaders(std::size_t tcp_offset, MutableBytes frame);

}  // namespace weave
