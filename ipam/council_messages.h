// What peers of a council say to each other, and what one keeps on disk, as bytes (docs/ipam.md, "The council"). A
// channel of our own: a 2.8 peer passes its messages on and has no part in it.
//
// Numbers are big-endian. Fields are only ever added at the end, so bytes behind those known here are skipped, and so
// is a message of an unknown kind.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "ipam/council_state.h"

namespace weave {

inline constexpr char kCouncilChannel[] = "IPcouncil";

// "This is the last decision I know": the periodic gossip, and a question for a later one.
struct CouncilDigest {
  CouncilId id;
  std::vector<std::uint64_t> open;  // takeovers not known to be applied, in the order of the state

  friend bool operator==(const CouncilDigest&, const CouncilDigest&) = default;
};

// What a node promises or votes for, for the decision behind `base`. From a proposer to all, from the others to it.
struct CouncilClaim {
  CouncilId base;
  PeerUid uid = 0;  // of the sender
  PaxosClaim<CouncilState> claim;
  bool value_omitted = false;  // it is the value of the receiver's own proposal
  // Of a proposal: whose ranges are wanted, and a digest of what the proposer knows these to be. Who knows otherwise
  // sends its ring along with the vote.
  std::vector<std::pair<PeerName, std::uint64_t>> wanted;

  friend bool operator==(const CouncilClaim&, const CouncilClaim&) = default;
};

// "I have a ring and no vote."
struct CouncilApplication {
  PeerUid uid = 0;

  friend bool operator==(const CouncilApplication&, const CouncilApplication&) = default;
};

// monostate: a kind that this version does not know.
using CouncilBody = std::variant<std::monostate, CouncilDigest, CouncilState, CouncilClaim, CouncilApplication>;

struct CouncilMessage {
  std::uint64_t network = 0;  // a digest of universe and seeds: councils of different rings have nothing to say
  CouncilBody body;

  friend bool operator==(const CouncilMessage&, const CouncilMessage&) = default;
};

// Not of a monostate.
Bytes EncodeCouncilMessage(const CouncilMessage& message);
// InvalidArgument for one that ends too early, or says what no correct peer does.
absl::StatusOr<CouncilMessage> DecodeCouncilMessage(ByteView bytes);

Bytes EncodeCouncilMemory(const CouncilMemory& memory);
absl::StatusOr<CouncilMemory> DecodeCouncilMemory(ByteView bytes);

}  // namespace weave
