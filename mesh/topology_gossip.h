// The channel "topology" on its way to a neighbour: peers whose current records are told when the connection can take
// them (spec/mesh.md section 8).
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/gossiper.h"
#include "base/peer_name.h"
#include "mesh/peer_set.h"
#include "mesh/topology.h"

namespace weave {

class TopologyGossip final : public GossipData {
 public:
  // `topology` outlives this. The records of everyone known at the time of sending, or of `peers`.
  TopologyGossip(Topology& topology, PeerName neighbour) : topology_(topology), neighbour_(neighbour) {}
  TopologyGossip(Topology& topology, PeerName neighbour, PeerSet peers)
      : topology_(topology), neighbour_(neighbour), peers_(std::move(peers)) {}

  void Merge(const GossipData& other) override;
  // To be sent: the topology takes it for told.
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override { return std::make_unique<TopologyGossip>(*this); }

 private:
  Topology& topology_;
  const PeerName neighbour_;
  std::optional<PeerSet> peers_;  // none: all
};

}  // namespace weave
