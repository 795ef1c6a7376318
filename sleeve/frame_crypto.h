// Sealing and opening whole sleeve datagrams, in clear or with the session key (spec/overlay.md section 2.2).
// Deterministic; nothing here knows a connection's state, so a data path of its own thread can hold one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "sleeve/sleeve_codec.h"
#include "wire/session.h"

namespace weave {

// Before and behind what is sealed: the clear word and the tag.
inline constexpr std::size_t kSealedDatagramOverhead = 8 + kSealOverhead;  // bytes

// One of the two sequences (DF and not) of one direction. The frames are written behind header_size() bytes, and sealed
// where they stand.
class FrameSealer {
 public:
  // `sender_dialled`: we opened the TCP connection. No key: datagrams travel in clear.
  FrameSealer(PeerName sender, const std::optional<SessionKey>& key, bool sender_dialled, bool dont_fragment);

  // What stands before the first frame.
  std::size_t header_size() const { return kSenderNameSize + (key_.has_value() ? kSealedDatagramOverhead : 0); }

  // Writes the header of a whole datagram and seals its frames. Takes the next number of the sequence, whether the
  // datagram will be sent or not.
  void Seal(absl::Span<std::uint8_t> datagram);

 private:
  const PeerName sender_;
  const std::optional<SessionKey> key_;
  const bool sender_dialled_;
  const bool dont_fragment_;
  std::uint64_t next_number_ = 0;
};

// Which numbers of a sequence were seen: exact for the block of 2^20 numbers with the highest seen and the block before
// it. Memory: a bit per number up to the highest seen in each block, at most 256 KiB.
class ReplayWindow {
 public:
  // Neither seen nor too old to know. Numbers are 0..2^63-1.
  bool IsFresh(std::uint64_t number) const;
  // The number is genuine; moves the window when it is higher than all before.
  void Mark(std::uint64_t number);

 private:
  using Block = std::vector<std::uint64_t>;  // bit i of the block: number i was seen; missing words are zero

  std::uint64_t current_index_ = 0;
  Block current_;
  Block previous_;
};

class FrameOpener {
 public:
  enum class Outcome : std::uint8_t {
    kOpened,
    kMalformed,  // too short
    kForged,     // does not open: forged, damaged, of an earlier connection
    kReplayed,   // seen already, or too old to tell
  };
  struct Result {
    Outcome outcome = Outcome::kMalformed;
    ByteView frames;  // kOpened: for SleeveFrameReader; valid until the next Open() and while the datagram lives
  };

  // `sender_dialled`: the other end opened the TCP connection.
  FrameOpener(const std::optional<SessionKey>& key, bool sender_dialled);

  // A datagram as it arrived, the sender's name included.
  Result Open(ByteView datagram);

 private:
  const std::optional<SessionKey> key_;
  const bool sender_dialled_;
  ReplayWindow ordinary_;
  ReplayWindow dont_fragment_;
  Bytes opened_;  // keeps its capacity: 64 KiB after a fragmentation test
};

}  // namespace weave
