// Peer 1 and its topology, which is checked after all that happens to it.
#pragma once

#include "mesh/topology.h"
#include "test/mesh/records.h"
#include "test/support/catch.h"

namespace weave::test {

constexpr PeerUid kOurUid = 500;

struct TopologyWorld {
  Topology topology{Peer(1), "self", kOurUid, Random(1)};

  TopologyChange Hear(const std::vector<PeerSummary>& summaries) {
    TopologyChange change = topology.Apply(Update(summaries)).value();
    REQUIRE(topology.CheckInvariants() == absl::OkStatus());
    return change;
  }

  TopologyChange Connect(PeerName remote) {
    TopologyChange change;
    topology.Reference(Record(remote, 0, remote.value(), std::nullopt, {}), change);
    topology.AddConnection(remote, "10.77.0.2:6783", true, change);
    return change;
  }

  TopologyChange Disconnect(PeerName remote) {
    TopologyChange change;
    topology.Unreference(remote);
    topology.RemoveConnection(remote, change);
    REQUIRE(topology.CheckInvariants() == absl::OkStatus());
    return change;
  }

  TopologyChange CollectGarbage() {
    TopologyChange change;
    topology.CollectGarbage(change);
    REQUIRE(topology.CheckInvariants() == absl::OkStatus());
    return change;
  }

  const PeerSummary& Self() const { return *topology.Find(Peer(1)); }
};

}  // namespace weave::test
