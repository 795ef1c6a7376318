// What an allocator has to say and what it passes on, waiting for a connection (spec/ipam.md section 3).
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/gossiper.h"
#include "base/peer_name.h"
#include "ipam/ipam_messages.h"

namespace weave {

// The latest of each peer: what a peer says later includes what it said before.
class IpamGossip final : public GossipData {
 public:
  // Our own, which is encoded when it is sent. `order` ascends with every value made.
  IpamGossip(PeerName self, std::uint64_t order, std::shared_ptr<const IpamState> state, absl::Time now);
  // Another peer's, word for word.
  IpamGossip(PeerName peer, std::uint64_t order, Bytes payload);

  void Merge(const GossipData& other) override;
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override;

 private:
  struct Own {
    std::shared_ptr<const IpamState> state;
    absl::Time now;
  };
  struct Said {
    std::uint64_t order = 0;
    std::variant<Own, std::shared_ptr<const Bytes>> what;
  };

  absl::btree_map<PeerName, Said> said_;
};

}  // namespace weave
