// Records and updates in a line, and networks of random shape, for the tests of topology and routes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "mesh/topology.h"
#include "wire/topology.h"

namespace weave::test {

inline PeerName Peer(std::uint64_t number) { return PeerName(number); }

inline ConnectionSummary To(PeerName peer, bool established = true) {
  return {.peer = peer,
          .remote_address = absl::StrCat("10.77.0.", peer.value(), ":6783"),
          .outbound = peer.value() % 2 == 0,
          .established = established};
}

inline PeerSummary Record(PeerName name, std::uint64_t version, PeerUid uid, std::optional<ShortId> short_id,
                          std::vector<ConnectionSummary> connections) {
  PeerSummary summary;
  summary.name = name;
  summary.nickname = absl::StrCat("host", name.value());
  summary.uid = uid;
  summary.version = version;
  summary.short_id = short_id;
  summary.connections = std::move(connections);
  return summary;
}

inline Bytes Update(const std::vector<PeerSummary>& summaries) {
  std::vector<EncodedSummary> encoded;
  encoded.reserve(summaries.size());
  for (const PeerSummary& summary : summaries) encoded.push_back(EncodeSummary(summary));
  std::vector<const EncodedSummary*> pointers;
  pointers.reserve(encoded.size());
  for (const EncodedSummary& one : encoded) pointers.push_back(&one);
  return EncodeTopology(pointers);
}

// What everybody says, by name.
using Network = absl::btree_map<PeerName, PeerSummary>;

// Peers 1..count with connections at random, `link_percent` of all possible; of those some are known to one end only,
// and some are not established, or not on both ends.
inline Network RandomNetwork(Random& random, std::uint64_t count, std::uint64_t link_percent) {
  Network network;
  for (std::uint64_t i = 1; i <= count; ++i) network[Peer(i)] = Record(Peer(i), 1, i, std::nullopt, {});
  for (std::uint64_t i = 1; i <= count; ++i) {
    for (std::uint64_t j = i + 1; j <= count; ++j) {
      if (!random.Chance(link_percent, 100)) continue;
      if (random.Chance(9, 10)) network[Peer(i)].connections.push_back(To(Peer(j), random.Chance(9, 10)));
      if (random.Chance(9, 10)) network[Peer(j)].connections.push_back(To(Peer(i), random.Chance(9, 10)));
    }
  }
  return network;
}

// Connects `topology` as the record of its own peer in `network` says, and tells it what the others say.
inline void Load(Topology& topology, const Network& network) {
  std::vector<PeerSummary> others;
  for (const auto& [name, summary] : network) {
    if (name != topology.self()) others.push_back(summary);
  }
  topology.Apply(Update(others)).value();
  TopologyChange change;
  for (const ConnectionSummary& connection : network.at(topology.self()).connections) {
    topology.Reference(Record(connection.peer, 0, connection.peer.value(), std::nullopt, {}), change);
    topology.AddConnection(connection.peer, connection.remote_address, connection.outbound, change);
    if (connection.established) topology.SetEstablished(connection.peer, change);
  }
}

}  // namespace weave::test
