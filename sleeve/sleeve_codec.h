// What stands in a sleeve datagram (spec/overlay.md sections 2.1 and 2.3): the sender's name, then frames. Between the
// two, a sealed datagram has more (sleeve/frame_crypto.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "overlay/frame.h"

namespace weave {

// All sizes in bytes.
inline constexpr std::size_t kSenderNameSize = 6;
inline constexpr std::size_t kFrameHeaderSize = 14;  // two names and a length
inline constexpr std::size_t kVlanTagSize = 4;
inline constexpr std::size_t kMaxFrameSize = 65535;  // what the length can say

// An Ethernet frame on its way between two peers, or a special frame.
struct SleeveFrame {
  PeerName source;
  PeerName destination;
  ByteView frame;
};

// Special frames have an Ethernet header of zeros; their size tells which.
enum class SpecialFrame : std::uint8_t { kNone, kHeartbeat, kFragmentationTest, kMtuTest };

inline constexpr std::size_t kHeartbeatSize = kEthernetHeaderSize + 8;
inline constexpr std::size_t kFragmentationTestSize = 60001;

SpecialFrame SpecialFrameOf(ByteView frame);
// The connection uid in a heartbeat; `frame` must be one.
std::uint64_t HeartbeatUid(ByteView frame);

// The name of the neighbour that sent the datagram; none when it is too short for one.
std::optional<PeerName> DatagramSender(ByteView datagram);

// The frames behind the sender's name, or in an opened box, one after the other.
class SleeveFrameReader {
 public:
  explicit SleeveFrameReader(ByteView frames) : rest_(frames) {}

  // A view into the bytes given; none at the end, which status() explains.
  std::optional<SleeveFrame> Next();

  // OK, or InvalidArgument when what follows the frames read so far is not a frame.
  const absl::Status& status() const { return status_; }

 private:
  ByteView rest_;
  absl::Status status_;
};

// The header of a frame of `frame_size` bytes, at most kMaxFrameSize; `out` has room for kFrameHeaderSize bytes.
void WriteFrameHeader(PeerName source, PeerName destination, std::size_t frame_size, std::uint8_t* out);

}  // namespace weave
