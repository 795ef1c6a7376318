// A small topology as data paths get it, from links written as text.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "mesh/topology_view.h"
#include "overlay/forwarding.h"

namespace weave {

// Links between peers, established in both records: {{1, 2}, {2, 3}} is a line.
inline std::shared_ptr<const TopologyView> MakeTopology(const std::vector<std::pair<int, int>>& links) {
  absl::btree_map<PeerName, PeerSummary> summaries;
  const auto add = [&](int from, int to) {
    PeerSummary& summary = summaries[PeerName(static_cast<std::uint64_t>(from))];
    summary.name = PeerName(static_cast<std::uint64_t>(from));
    ConnectionSummary& link = summary.connections.emplace_back();
    link.peer = PeerName(static_cast<std::uint64_t>(to));
    link.established = true;
  };
  for (const auto& [a, b] : links) {
    add(a, b);
    add(b, a);
  }
  std::vector<PeerRecordPtr> records;
  for (auto& [name, summary] : summaries) records.push_back(std::make_shared<const PeerRecord>(std::move(summary)));
  std::vector<TopologyView::Entry> entries;
  for (const PeerRecordPtr& record : records) entries.push_back({record.get(), entries.size() + 1});
  return std::make_shared<const TopologyView>(entries, TopologyView());
}

// Of peer `self`: its neighbours over connections with their own numbers, all by way 0.
inline ForwardingSnapshotPtr MakeForwarding(int self, const std::vector<std::pair<int, int>>& links,
                                            const std::vector<int>& neighbours) {
  ForwardingSnapshot snapshot{PeerName(static_cast<std::uint64_t>(self)), MakeTopology(links), {}};
  for (const int neighbour : neighbours)
    snapshot.hops.push_back(
        {PeerName(static_cast<std::uint64_t>(neighbour)), static_cast<ConnectionId>(neighbour), {Way::kSleeve}});
  return std::make_shared<const ForwardingSnapshot>(std::move(snapshot));
}

}  // namespace weave
