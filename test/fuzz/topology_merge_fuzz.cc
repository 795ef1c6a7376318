// Fuzz target: a topology update of any peer, merged into what a peer with one neighbour knows. A refused one changes
// nothing, what we tell of an accepted one is no news to ourselves, and without the neighbour nothing of it is left.
#include <cstdint>

#include "base/check.h"
#include "mesh/routes.h"
#include "mesh/topology.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weave::ByteView update(data, size);
  weave::PeerSummary neighbour;
  neighbour.name = weave::PeerName(2);
  neighbour.uid = 2;
  weave::Topology topology(weave::PeerName(1), "self", 1, weave::Random(1));
  weave::TopologyChange change;
  topology.Reference(neighbour, change);
  topology.AddConnection(neighbour.name, "10.77.0.2:6783", true, change);
  topology.SetEstablished(neighbour.name, change);

  for (int i = 0; i < 2; ++i) {
    const weave::Bytes before = topology.EncodeAll();
    if (!topology.Apply(update).ok()) CHECK(topology.EncodeAll() == before) << "a refused update left something behind";
    CHECK(topology.CheckInvariants().ok()) << topology.CheckInvariants().ToString();
    const weave::TopologyChange again = topology.Apply(topology.EncodeAll()).value();
    CHECK(again.improved.empty() && !again.self_changed) << "our own words are news to us";
    const weave::RouteTable routes(topology.self(), topology.View());
    for (const weave::PeerName name : topology.Names()) {
      for (const weave::PeerName to : routes.Broadcast(weave::Links::kAll, name)) CHECK(to == neighbour.name) << to;
    }
    topology.CollectGarbage(change);
    CHECK(topology.CheckInvariants().ok()) << topology.CheckInvariants().ToString();
  }
  topology.Unreference(neighbour.name);
  topology.RemoveConnection(neighbour.name, change);
  CHECK(topology.peer_count() == 1) << "somebody is left";
  return 0;
}
