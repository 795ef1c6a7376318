// The frame by which two peers know that the kernel's tunnel between them carries what containers will send
// (spec/overlay.md section 3.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace weave {

// 14 zero bytes where other frames have their addresses and type; the connection's UID, 8 bytes; the size of the frame,
// 2 bytes; zeros up to that size. Between peers of ours the first of these may be 1: the frame tests whether its size
// passes, and means nothing else.
inline constexpr std::size_t kFastdpHeartbeatHeaderSize = 24;
inline constexpr std::size_t kMaxFastdpHeartbeatSize = 65535;

// `frame_size`: from the one to the other.
Bytes MakeFastdpHeartbeat(std::uint64_t uid, std::size_t frame_size, bool test = false);

struct FastdpHeartbeat {
  std::uint64_t uid = 0;
  bool test = false;
};
// None: no heartbeat, or one of which a part was lost.
std::optional<FastdpHeartbeat> ReadFastdpHeartbeat(ByteView frame);

}  // namespace weave
