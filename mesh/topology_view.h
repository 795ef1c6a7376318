// The topology as a graph at one moment: peers have indices in order of their names, links are arrays of indices.
// Routes and garbage collection walk it; it stays as it is while the topology goes on changing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "base/peer_name.h"
#include "mesh/peer_record.h"

namespace weave {

using PeerIndex = std::uint32_t;
inline constexpr PeerIndex kNoPeer = std::numeric_limits<PeerIndex>::max();

// Which links a walk takes.
enum class Links : std::uint8_t {
  kEstablished,  // established on both sides: data frames
  kAll,          // any connection record: gossip
};

// Connections to peers that are not part of the view are left out.
class TopologyView {
 public:
  struct Link {
    PeerIndex to = 0;
    bool established = false;  // says the record that has the link
    bool symmetric = false;    // established, and so says the record of the other end
  };

  struct Entry {
    const PeerRecord* record = nullptr;  // for the construction only
    std::uint64_t stamp = 0;             // another one for each record there ever was
  };

  // Of nobody.
  TopologyView() = default;
  // `entries` in order of names. What did not change since `previous` is taken from there instead of being looked up
  // again: the cost is a copy plus some work per record that differs.
  TopologyView(absl::Span<const Entry> entries, const TopologyView& previous);
  TopologyView(const TopologyView&) = delete;
  TopologyView& operator=(const TopologyView&) = delete;

  std::size_t size() const { return names_.size(); }
  PeerName NameOf(PeerIndex index) const { return names_[index]; }
  std::optional<PeerIndex> IndexOf(PeerName name) const;

  // Sorted by `to`.
  absl::Span<const Link> LinksOf(PeerIndex index) const {
    return absl::MakeConstSpan(links_).subspan(first_link_[index], first_link_[index + 1] - first_link_[index]);
  }

 private:
  bool Resolved(PeerIndex index, const PeerSummary& summary) const;  // there is a link for each of its connections
  void CopyLinks(absl::Span<const Link> links, absl::Span<const PeerIndex> stands_at);
  void ResolveLinks(const PeerSummary& summary);
  void MarkSymmetric(absl::Span<const std::uint8_t> fresh);  // `fresh`: by index, links were looked up
  bool SaysEstablished(PeerIndex from, PeerIndex to) const;

  std::vector<std::uint64_t> stamps_;
  std::vector<PeerName> names_;
  std::vector<std::uint32_t> first_link_;  // by index, and one more: where the links of a peer start
  std::vector<Link> links_;
  std::size_t unresolved_count_ = 0;  // connections to peers that are not part of the view
};

// A breadth-first walk (spec/mesh.md section 7.1): level by level, each in order of names, so that all peers with the
// same topology walk alike. Keeps its buffers from one run to the next.
class TopologyWalk {
 public:
  // Starts at `start`, over `links`, until it comes to `stop` (kNoPeer: until everything is reached). Returns whether
  // it came to `stop`.
  bool Run(const TopologyView& view, PeerIndex start, PeerIndex stop, Links links);

  // Of the last run. Reached are also the neighbours of those whose turn had come.
  bool Reached(PeerIndex index) const { return (reached_[index / 64] >> (index % 64) & 1) != 0; }
  std::size_t reached_count() const { return reached_count_; }
  // The neighbour of `start` over which `index` was reached; `start` itself for `start`. Undefined if not reached.
  PeerIndex Via(PeerIndex index) const { return via_[index]; }
  // The peer over whose link it came to `stop`. Undefined if it did not, or started there.
  PeerIndex BeforeStop() const { return before_stop_; }

 private:
  void Reach(PeerIndex index, PeerIndex via);
  void SortNextLevel();

  std::vector<std::uint64_t> reached_;  // a bit per index
  std::vector<PeerIndex> via_;
  std::vector<PeerIndex> level_;
  std::vector<PeerIndex> next_level_;
  std::vector<std::uint64_t> sorting_;  // a bit per index, all zero between uses
  std::size_t reached_count_ = 0;
  PeerIndex before_stop_ = kNoPeer;
};

}  // namespace weave
