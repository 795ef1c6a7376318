// The channel "topology" on its way: names of peers whose current records are told when the connection can take them
// (spec/mesh.md section 8).
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "base/gossiper.h"
#include "mesh/topology.h"

namespace weave {

class TopologyGossip final : public GossipData {
 public:
  // The records of everyone known at the time of sending. `topology` outlives this.
  explicit TopologyGossip(const Topology& topology) : topology_(topology) {}
  TopologyGossip(const Topology& topology, absl::btree_set<PeerName> names)
      : topology_(topology), names_(std::move(names)) {}

  void Merge(const GossipData& other) override;
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override { return std::make_unique<TopologyGossip>(*this); }

 private:
  const Topology& topology_;
  std::optional<absl::btree_set<PeerName>> names_;  // none: all
};

}  // namespace weave
