#include "fastdp/heartbeat.h"

#include <algorithm>

#include "base/check.h"

namespace weave {
namespace {

constexpr std::size_t kUidOffset = 14;
constexpr std::size_t kSizeOffset = 22;
constexpr std::size_t kTestOffset = 24;

}  // namespace

Bytes MakeFastdpHeartbeat(std::uint64_t uid, std::size_t frame_size, bool test) {
  CHECK(frame_size >= kFastdpHeartbeatHeaderSize && frame_size <= kMaxFastdpHeartbeatSize) << frame_size;
  Bytes frame(frame_size, 0);
  WriteBigEndian(uid, 8, frame.data() + kUidOffset);
  WriteBigEndian(frame_size, 2, frame.data() + kSizeOffset);
  if (test && frame_size > kTestOffset) frame[kTestOffset] = 1;
  return frame;
}

std::optional<FastdpHeartbeat> ReadFastdpHeartbeat(ByteView frame) {
  if (frame.size() < kFastdpHeartbeatHeaderSize) return std::nullopt;
  const auto is_zero = [](std::uint8_t byte) { return byte == 0; };
  if (!std::all_of(frame.begin(), frame.begin() + kUidOffset, is_zero)) return std::nullopt;
  if (ReadBigEndian(frame.subspan(kSizeOffset, 2)) != frame.size()) return std::nullopt;
  return FastdpHeartbeat{ReadBigEndian(frame.subspan(kUidOffset, 8)),
                         frame.size() > kTestOffset && frame[kTestOffset] == 1};
}

}  // namespace weave
