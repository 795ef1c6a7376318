// Stands in for the consumer of a channel this peer does not have, so that others can use it across us
// (spec/mesh.md section 8.5).
#pragma once

#include <array>
#include <deque>
#include <memory>

#include "absl/status/statusor.h"
#include "base/gossiper.h"
#include "wire/digest.h"

namespace weave {

class SurrogateGossiper final : public Gossiper {
 public:
  absl::Status OnUnicast(Now, PeerName, ByteView) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now now, PeerName source, ByteView payload) override;
  // Nothing for a payload that came in the last 30 s.
  absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now now, PeerName sender, ByteView payload) override;
  std::unique_ptr<GossipData> FullState(Now) override { return nullptr; }

 private:
  struct Seen {
    MonotonicTime at;
    Digest digest;
  };

  std::deque<Seen> seen_;  // oldest first, at most kMaxSeen
};

}  // namespace weave
