// TCP segments that follow each other, told from their frames: what the kernel of the sender cut, or our own end of a
// path, the receiver can have in one piece again (sleeve/frame_batch.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "sleeve/checksum.h"

namespace weave {

// Sizes in bytes.
struct TcpSegment {
  std::size_t headers_size = 0;  // Ethernet, IPv4 and TCP
  std::size_t payload_size = 0;  // more than none
  std::uint32_t sequence_number = 0;
  bool push = false;

  // Where the TCP header starts: the IPv4 header has no options.
  static constexpr std::size_t kTcpOffset = 34;
};

// None: the frame is no plain segment of data that may be joined with others (IPv4 without options or fragments, only
// ACK and PSH set, nothing behind the packet).
std::optional<TcpSegment> ReadTcpSegment(ByteView frame);

// The checksum of the segment is right.
bool TcpChecksumIsRight(ByteView frame);

// The headers say the same of both, but for what differs from one segment to the next.
bool SameTcpStream(ByteView a, ByteView b, std::size_t headers_size);

// Writes the lengths and the checksums of a frame that several segments were joined in: that of TCP as far as the
// kernel wants it, which is the sum of the pseudo header.
void WriteJoinedHeaders(MutableBytes frame);

}  // namespace weave
