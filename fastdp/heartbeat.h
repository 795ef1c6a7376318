// The frame by which two peers know that the kernel's tunnel between them carries what containers will send
// (spec/overlay.md section 3.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace weave {

// 14 zero bytes where other frames have their addresses and type; the connection's UID, 8 bytes; the size of the frame,
// 2 bytes; zeros up to that size.
inline constexpr std::size_t kFastdpHeartbeatHeaderSize = 24;
inline constexpr std::size_t kMaxFastdpHeartbeatSize = 65535;

// `frame_size`: from the one to the other.
Bytes MakeFastdpHeartbeat(std::uint64_t uid, std::size_t frame_size);

// The UID; none: no heartbeat, or one of which a part was lost.
std::optional<std::uint64_t> ReadFastdpHeartbeat(ByteView frame);

}  // namespace weave
