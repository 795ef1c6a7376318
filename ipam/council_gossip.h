// What members of a council say to all, waiting for a connection.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/bytes.h"
#include "base/gossiper.h"
#include "base/peer_name.h"

namespace weave {

// The latest of each kind of each peer: what it says later outdoes what it said before.
class CouncilGossip final : public GossipData {
 public:
  // `order` ascends with every value made. `payload` is a message, not empty.
  CouncilGossip(PeerName peer, std::uint64_t order, std::shared_ptr<const Bytes> payload);

  void Merge(const GossipData& other) override;
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override;

 private:
  struct Said {
    std::uint64_t order = 0;
    std::shared_ptr<const Bytes> payload;
  };

  absl::btree_map<std::pair<PeerName, std::uint8_t>, Said> said_;  // by the message's kind
};

}  // namespace weave
