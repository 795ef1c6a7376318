// An Ethernet frame as a kernel hands it over: possibly with its checksum left open, or several segments in one, which
// the taker finishes (as the virtio_net_hdr of Linux tells them).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/mac.h"

namespace weave {

// What was left undone on a frame. Offsets and sizes are in bytes, from the start of the frame.
struct FrameOffload {
  enum class Segments : std::uint8_t { kOne, kTcp4, kTcp6, kUdp };

  // The ones' complement sum of everything from `checksum_start` on, with what stands at the place of the checksum,
  // belongs at `checksum_start + checksum_offset`.
  bool needs_checksum = false;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;

  // Another than kOne: the payload is to be cut into pieces of `segment_size`, each with a copy of the headers.
  Segments segments = Segments::kOne;
  std::uint16_t segment_size = 0;

  bool none() const { return !needs_checksum && segments == Segments::kOne; }
};

// The bytes belong to whoever gave the frame, and live for the length of the call.
struct Frame {
  ByteView bytes;  // without FCS
  FrameOffload offload;
};

inline constexpr std::size_t kEthernetHeaderSize = 14;  // without VLAN tag

// Of a frame that has its header.
inline MacAddress DestinationOf(ByteView frame) { return MacAddress::FromBytes(frame.first(6)); }
inline MacAddress SourceOf(ByteView frame) { return MacAddress::FromBytes(frame.subspan(6, 6)); }

}  // namespace weave
