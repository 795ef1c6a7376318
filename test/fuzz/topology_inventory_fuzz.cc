// Fuzz target: a topology inventory of a neighbour. What is read can be written and is then read as the same; compared
// with what a peer knows it names each peer once, and leaves the peer as it was.
#include <cstdint>

#include "base/check.h"
#include "mesh/topology.h"
#include "wire/topology_inventory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::StatusOr<weave::TopologyInventory> inventory = weave::DecodeInventory(weave::ByteView(data, size));
  if (!inventory.ok()) {
    CHECK(inventory.status().code() == absl::StatusCode::kInvalidArgument) << inventory.status();
    return 0;
  }
  CHECK(inventory->offered.size() + inventory->wanted.size() <= size) << "more peers than bytes";
  const absl::StatusOr<weave::TopologyInventory> again = weave::DecodeInventory(weave::EncodeInventory(*inventory));
  CHECK(again.ok() && *again == *inventory) << "an inventory changed on its way out and back";

  weave::PeerSummary neighbour;
  neighbour.name = weave::PeerName(2);
  neighbour.uid = 2;
  weave::Topology topology(weave::PeerName(1), "self", 1, weave::Random(1));
  weave::TopologyChange change;
  topology.Reference(neighbour, change);
  topology.AddConnection(neighbour.name, "10.77.0.2:6783", true, change);
  const std::uint64_t digest = topology.digest();
  const weave::Topology::Comparison comparison = topology.CompareWith(neighbour.name, inventory->offered);
  CHECK(comparison.theirs.size() <= inventory->offered.size());
  CHECK(topology.Missing(neighbour.name, inventory->offered) == comparison.theirs);
  (void)topology.EncodeFor(neighbour.name, topology.Want(neighbour.name, inventory->wanted));
  CHECK(topology.digest() == digest && topology.peer_count() == 2) << "an inventory taught us something";
  CHECK(topology.CheckInvariants().ok()) << topology.CheckInvariants().ToString();
  return 0;
}
