#include "mesh/routes.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace weave {

// The logarithm of the square; of a count of peers the square fits.
std::size_t RouteTable::GossipFanOut(std::uint64_t peer_count) {
  return static_cast<std::size_t>(std::bit_width(peer_count * peer_count)) - 1;
}

RouteTable::RouteTable(PeerName self, std::shared_ptr<const TopologyView> view) : self_name_(self) {
  Update(std::move(view));
}

void RouteTable::Update(std::shared_ptr<const TopologyView> view) {
  if (view == view_) return;
  view_ = std::move(view);
  const std::optional<PeerIndex> self = view_->IndexOf(self_name_);
  CHECK(self.has_value()) << self_name_;
  self_ = *self;
  for (Table& table : tables_) {
    table.via.clear();
    table.neighbours.clear();
    table.relays.clear();
  }
  fan_outs_.clear();
}

std::optional<PeerName> RouteTable::NextHop(Links links, PeerName destination) const {
  const std::optional<PeerIndex> index = view_->IndexOf(destination);
  if (!index.has_value()) return std::nullopt;
  if (*index == self_) return PeerName();
  const PeerIndex via = Unicast(links).via[*index];
  if (via == kNoPeer) return std::nullopt;
  return view_->NameOf(via);
}

std::vector<RouteTable::UnicastRoute> RouteTable::UnicastRoutes(Links links) const {
  const Table& table = Unicast(links);
  std::vector<UnicastRoute> routes;
  routes.reserve(table.reachable_count);
  for (PeerIndex i = 0; i < table.via.size(); ++i) {
    if (table.via[i] == kNoPeer) continue;
    routes.push_back({.destination = view_->NameOf(i), .via = i == self_ ? PeerName() : view_->NameOf(table.via[i])});
  }
  return routes;
}

const std::vector<PeerName>& RouteTable::Broadcast(Links links, PeerName source) const {
  const std::optional<PeerIndex> index = view_->IndexOf(source);
  return index.has_value() ? *RelayOf(links, *index).to : nobody_;
}

std::optional<PeerName> RouteTable::BroadcastFrom(Links links, PeerName source) const {
  const std::optional<PeerIndex> index = view_->IndexOf(source);
  const PeerIndex from = index.has_value() ? RelayOf(links, *index).from : kNoPeer;
  if (from == kNoPeer) return std::nullopt;
  return view_->NameOf(from);
}

std::vector<PeerName> RouteTable::RandomNeighbours(PeerName except, Random& random) const {
  const Table& table = Unicast(Links::kAll);
  std::vector<Neighbour> candidates;
  candidates.reserve(table.neighbours.size());
  std::uint64_t total = 0;
  for (const Neighbour& neighbour : table.neighbours) {
    if (neighbour.name == except) continue;
    candidates.push_back(neighbour);
    total += neighbour.reaches;
  }
  const std::size_t count = std::min(GossipFanOut(table.reachable_count), candidates.size());
  std::vector<PeerName> chosen;
  chosen.reserve(count);
  while (chosen.size() < count) {
    std::uint64_t point = random.Below(total);
    auto drawn = candidates.begin();
    for (; point >= drawn->reaches; ++drawn) point -= drawn->reaches;
    chosen.push_back(drawn->name);
    total -= drawn->reaches;
    drawn->reaches = 0;  // not drawn again
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

const RouteTable::Table& RouteTable::Unicast(Links links) const {
  Table& table = TableOf(links);
  if (!table.via.empty()) return table;
  walk_.Run(*view_, self_, kNoPeer, links);
  table.reachable_count = walk_.reached_count();
  table.via.assign(view_->size(), kNoPeer);
  std::vector<std::uint64_t> reaches(view_->size(), 0);
  for (PeerIndex i = 0; i < view_->size(); ++i) {
    if (!walk_.Reached(i)) continue;
    table.via[i] = walk_.Via(i);
    if (i != self_) ++reaches[walk_.Via(i)];
  }
  // Every neighbour we have a link to is its own next hop.
  for (const TopologyView::Link& link : view_->LinksOf(self_)) {
    if (reaches[link.to] > 0) table.neighbours.push_back({.name = view_->NameOf(link.to), .reaches = reaches[link.to]});
  }
  return table;
}

const RouteTable::Relay& RouteTable::RelayOf(Links links, PeerIndex source) const {
  Table& table = TableOf(links);
  table.relays.resize(view_->size());
  Relay& relay = table.relays[source];
  if (relay.to != nullptr) return relay;
  std::vector<PeerName> fan_out;
  if (walk_.Run(*view_, source, self_, links)) {
    if (source != self_) relay.from = walk_.BeforeStop();
    for (const TopologyView::Link& link : view_->LinksOf(self_)) {
      if (links == Links::kEstablished && !link.symmetric) continue;
      if (!walk_.Reached(link.to)) fan_out.push_back(view_->NameOf(link.to));
    }
  }
  relay.to = &*fan_outs_.insert(std::move(fan_out)).first;
  return relay;
}

}  // namespace weave
