// Frames that are about to be injected into the local bridge, one behind the other in one block of memory. TCP segments
// that follow each other become one frame, as a network card would join them: what the kernel handled whole on the
// sending host it handles whole here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "overlay/frame.h"
#include "sleeve/tcp_segment.h"

namespace weave {

class FrameBatch {
 public:
  static constexpr std::size_t kCapacity = 512 * 1024;  // bytes
  static constexpr std::size_t kMaxCount = 1024;

  FrameBatch() : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(kCapacity)) {}

  bool Fits(std::size_t size) const { return frames_.size() < kMaxCount && used_ + size <= kCapacity; }
  // Copies the frame, for which there must be room.
  void Add(const Frame& frame);

  // In the order in which they were added; valid until the batch changes.
  const std::vector<Frame>& frames() const { return frames_; }
  bool empty() const { return frames_.empty(); }
  void Clear();

 private:
  // The last frame, when it is a segment that another may follow.
  struct Tail {
    TcpSegment first;
    std::size_t offset = 0;  // of the frame in memory_
    std::uint32_t next_sequence_number = 0;
    bool checked = false;  // the checksum of the first segment is right
  };

  bool Join(const Frame& frame, const TcpSegment& segment);

  const std::unique_ptr<std::uint8_t[]> memory_;  // untouched until it is needed
  std::size_t used_ = 0;
  std::vector<Frame> frames_;  // views into `memory_`
  std::optional<Tail> tail_;
};

}  // namespace weave
