#include "mesh/topology_view.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace weave {
namespace {

constexpr std::size_t kSpareLinks = 64;  // what a few new connections need

}  // namespace

TopologyView::TopologyView(absl::Span<const Entry> entries, const TopologyView& previous) {
  names_.reserve(entries.size());
  stamps_.reserve(entries.size());
  for (const Entry& entry : entries) {
    names_.push_back(entry.record->summary().name);
    stamps_.push_back(entry.stamp);
  }

  // Where each peer stands in `previous`, and where each peer of `previous` stands now.
  std::vector<PeerIndex> stood_at(size(), kNoPeer);
  std::vector<PeerIndex> stands_at(previous.size(), kNoPeer);
  for (PeerIndex now = 0, before = 0; now < stood_at.size() && before < stands_at.size();) {
    const PeerName name = names_[now];
    const PeerName old_name = previous.names_[before];
    if (name == old_name) {
      stood_at[now] = before;
      stands_at[before] = now;
    }
    if (name <= old_name) ++now;
    if (old_name <= name) ++before;
  }

  const bool same_peers = names_ == previous.names_;
  std::vector<std::uint8_t> fresh(size(), 1);
  first_link_.reserve(size() + 1);
  first_link_.push_back(0);
  links_.reserve(previous.links_.size() + kSpareLinks);
  for (PeerIndex i = 0; i < size(); ++i) {
    const PeerIndex before = stood_at[i];
    const PeerSummary& summary = entries[i].record->summary();
    if (before == kNoPeer || previous.stamps_[before] != stamps_[i] || !previous.Resolved(before, summary)) {
      ResolveLinks(summary);
    } else {
      fresh[i] = 0;
      const absl::Span<const Link> links = previous.LinksOf(before);
      if (same_peers)
        links_.insert(links_.end(), links.begin(), links.end());
      else
        CopyLinks(links, stands_at);
    }
    first_link_.push_back(static_cast<std::uint32_t>(links_.size()));
  }
  MarkSymmetric(fresh);
}

std::optional<PeerIndex> TopologyView::IndexOf(PeerName name) const {
  const auto it = std::lower_bound(names_.begin(), names_.end(), name);
  if (it == names_.end() || *it != name) return std::nullopt;
  return static_cast<PeerIndex>(it - names_.begin());
}

bool TopologyView::Resolved(PeerIndex index, const PeerSummary& summary) const {
  return unresolved_count_ == 0 || LinksOf(index).size() == summary.connections.size();
}

void TopologyView::CopyLinks(absl::Span<const Link> links, absl::Span<const PeerIndex> stands_at) {
  for (const Link& link : links) {
    if (stands_at[link.to] == kNoPeer) {
      ++unresolved_count_;
      continue;
    }
    links_.push_back(link);
    links_.back().to = stands_at[link.to];
  }
}

void TopologyView::ResolveLinks(const PeerSummary& summary) {
  auto from = names_.begin();  // connections are sorted as the names are
  for (const ConnectionSummary& connection : summary.connections) {
    from = std::lower_bound(from, names_.end(), connection.peer);
    if (from == names_.end() || *from != connection.peer) {
      ++unresolved_count_;
      continue;
    }
    links_.push_back({.to = static_cast<PeerIndex>(from - names_.begin()), .established = connection.established});
  }
}

void TopologyView::MarkSymmetric(absl::Span<const std::uint8_t> fresh) {
  for (PeerIndex from = 0; from < size(); ++from) {
    for (std::uint32_t i = first_link_[from]; i < first_link_[from + 1]; ++i) {
      Link& link = links_[i];
      if (fresh[from] || fresh[link.to]) link.symmetric = link.established && SaysEstablished(link.to, from);
    }
  }
}

bool TopologyView::SaysEstablished(PeerIndex from, PeerIndex to) const {
  const absl::Span<const Link> links = LinksOf(from);
  const auto it = std::lower_bound(links.begin(), links.end(), to,
                                   [](const Link& link, PeerIndex index) { return link.to < index; });
  return it != links.end() && it->to == to && it->established;
}

bool TopologyWalk::Run(const TopologyView& view, PeerIndex start, PeerIndex stop, Links links) {
  reached_.assign(view.size() / 64 + 1, 0);
  sorting_.resize(reached_.size(), 0);
  via_.resize(view.size());
  reached_count_ = 0;
  next_level_.clear();
  Reach(start, start);
  while (!next_level_.empty()) {
    SortNextLevel();
    level_.swap(next_level_);
    next_level_.clear();
    for (const PeerIndex peer : level_) {
      if (peer == stop) return true;
      // With everyone reached the rest of the walk changes nothing, and it is most of the work.
      if (reached_count_ == view.size()) return stop != kNoPeer;
      for (const TopologyView::Link& link : view.LinksOf(peer)) {
        if (links == Links::kEstablished && !link.symmetric) continue;
        if (Reached(link.to)) continue;
        if (link.to == stop) before_stop_ = peer;
        Reach(link.to, peer == start ? link.to : via_[peer]);
      }
    }
  }
  return false;
}

void TopologyWalk::Reach(PeerIndex index, PeerIndex via) {
  reached_[index / 64] |= std::uint64_t{1} << (index % 64);
  via_[index] = via;
  ++reached_count_;
  next_level_.push_back(index);
}

// A large level is sorted by passing through a bit per peer, a small one (a chain has as many levels as peers) without
// looking at everybody.
void TopologyWalk::SortNextLevel() {
  if (next_level_.size() <= sorting_.size()) {
    std::sort(next_level_.begin(), next_level_.end());
    return;
  }
  for (const PeerIndex index : next_level_) sorting_[index / 64] |= std::uint64_t{1} << (index % 64);
  next_level_.clear();
  for (std::size_t i = 0; i < sorting_.size(); ++i) {
    for (std::uint64_t& word = sorting_[i]; word != 0; word &= word - 1)
      next_level_.push_back(static_cast<PeerIndex>(i * 64 + static_cast<std::size_t>(std::countr_zero(word))));
  }
}

}  // namespace weave
