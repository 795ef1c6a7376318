// Fuzz target: a topology update of any peer. First byte: how many connection lists nobody asks for. What is read can
// be written, and is then read as the same.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/check.h"
#include "wire/topology.h"

namespace weave {
namespace {

// Every `step`th connection list only. Nothing for a malformed update.
std::optional<std::vector<PeerSummary>> Read(ByteView update, std::size_t step) {
  std::vector<PeerSummary> peers;
  TopologyReader reader(update);
  for (;;) {
    absl::StatusOr<std::optional<PeerSummary>> peer = reader.Next();
    if (!peer.ok()) return std::nullopt;
    if (!peer->has_value()) return peers;
    peers.push_back(**std::move(peer));
    if (peers.size() % step != 0) continue;
    auto connections = reader.Connections();
    if (!connections.ok()) return std::nullopt;
    peers.back().connections = *std::move(connections);
  }
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto peers = weave::Read(weave::ByteView(data + 1, size - 1), data[0] % 4U + 1);
  if (!peers.has_value()) return 0;
  std::vector<weave::EncodedSummary> summaries;
  std::size_t connection_count = 0;
  for (const weave::PeerSummary& peer : *peers) {
    summaries.push_back(weave::EncodeSummary(peer));
    connection_count += peer.connections.size();
  }
  CHECK(peers->size() + connection_count <= size) << "more peers than bytes";
  std::vector<const weave::EncodedSummary*> pointers;
  for (const weave::EncodedSummary& summary : summaries) pointers.push_back(&summary);
  CHECK(weave::Read(weave::EncodeTopology(pointers), 1) == peers) << "topology changed on its way out and back";
  return 0;
}
