// What 2.8 peers told each other (test/golden/vectors/topology_gossip.json), heard and told again.
#include <vector>

#include "mesh/topology.h"
#include "test/mesh/records.h"
#include "test/support/catch.h"
#include "test/wire/vectors.h"
#include "wire/messages.h"

namespace weave::test {
namespace {

TEST_CASE("What 2.8 peers say is believed and passed on", "[mesh][golden]") {
  const std::vector<MessageVector> vectors = ReadTopologyMessages();
  REQUIRE(vectors.size() > 10);
  Topology throughout(PeerName(0xffff), "self", 1, Random(1));
  for (const MessageVector& vector : vectors) {
    const GossipMessage message = DecodeGossip(*vector.plaintext).value();
    Topology topology(PeerName(0xffff), "self", 1, Random(1));
    const TopologyChange change = topology.Apply(message.payload).value();
    CHECK(change.improved.size() == vector.topology->size());
    Topology told(PeerName(0xfffe), "told", 1, Random(1));
    REQUIRE(told.Apply(topology.EncodeAll()).ok());
    for (const PeerSummary& summary : *vector.topology) {
      const PeerSummary kept = PeerRecord(summary).summary();
      REQUIRE(kept.connections.size() == summary.connections.size());  // another order, nothing lost
      CHECK(*topology.Find(summary.name) == kept);
      CHECK(*told.Find(summary.name) == kept);
    }
    CHECK(topology.Apply(message.payload).value().improved.empty());
    CHECK(throughout.Apply(message.payload).ok());
    CHECK(throughout.CheckInvariants() == absl::OkStatus());
  }
}

}  // namespace
}  // namespace weave::test
