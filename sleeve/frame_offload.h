// Doing for a frame what a kernel left undone: its checksum, and cutting it into segments (overlay/frame.h). What comes
// out is what a wire would have seen.
#pragma once

#include <cstddef>
#include <optional>

#include "overlay/checksum.h"
#include "overlay/frame.h"

namespace weave {

// The offload makes sense for the frame: all it names lies inside, headers are what it says. Frames come from
// containers, which may leave any nonsense undone.
bool IsConsistent(const Frame& frame);

// Completes the checksum of a whole frame in place. `offload` is consistent with it.
void CompleteChecksum(const FrameOffload& offload, MutableBytes frame);

// The segments of a frame whose offload is consistent and asks for them.
class FrameSegmenter {
 public:
  // The bytes outlive the segmenter.
  explicit FrameSegmenter(const Frame& frame);

  // Of the largest segment as a frame, headers included.
  std::size_t largest_size() const;
  bool done() const { return offset_ == payload_size_; }
  std::size_t next_size() const;
  // Writes the next segment, checksums complete; `out` has next_size() bytes.
  void WriteNext(MutableBytes out);

 private:
  void FinishTcp(std::size_t payload_size, MutableBytes out) const;

  const Frame frame_;
  std::size_t headers_size_ = 0;  // Ethernet to transport
  std::size_t tags_size_ = 0;     // of VLAN tags among them
  std::size_t payload_size_ = 0;
  std::size_t offset_ = 0;
  std::uint16_t index_ = 0;  // of the next segment
};

}  // namespace weave
