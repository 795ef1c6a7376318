#include "mesh/topology.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr std::uint64_t kLastVersion = std::numeric_limits<std::uint64_t>::max();

std::uint64_t VersionAfter(std::uint64_t version) { return version == kLastVersion ? version : version + 1; }

// Whether a record takes the place of the one we have (spec/mesh.md section 6.3).
bool Supersedes(const PeerSummary& theirs, const PeerSummary& ours) {
  const auto rank = [](const PeerSummary& s) { return std::make_tuple(s.version, s.uid, s.short_id.has_value()); };
  return rank(theirs) > rank(ours);
}

bool SameLinks(const std::vector<ConnectionSummary>& a, const std::vector<ConnectionSummary>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const ConnectionSummary& x, const ConnectionSummary& y) {
    return x.peer == y.peer && x.established == y.established;
  });
}

template <typename Connections>
auto FindConnection(Connections& connections, PeerName remote) {
  return std::find_if(connections.begin(), connections.end(),
                      [remote](const ConnectionSummary& c) { return c.peer == remote; });
}

}  // namespace

Topology::Topology(PeerName self, std::string nickname, PeerUid uid, Random random, PeerRecordPool* pool)
    : self_(self), random_(random), pool_(pool) {
  CHECK(self.known());
  CHECK(uid != 0);
  PeerSummary ours;
  ours.name = self;
  ours.nickname = std::move(nickname);
  ours.uid = uid;
  ours.short_id = static_cast<ShortId>(random_.Below(kShortIdCount));
  TopologyChange change;
  Store(std::move(ours), change);
}

void Topology::AddConnection(PeerName remote, const std::string& remote_address, bool outbound,
                             TopologyChange& change) {
  CHECK(remote != self_) << remote;
  const auto peer = peers_.find(remote);
  CHECK(peer != peers_.end() && peer->second.references > 0) << remote;
  PeerSummary ours = Self();
  CHECK(FindConnection(ours.connections, remote) == ours.connections.end()) << remote;
  ours.connections.push_back({.peer = remote, .remote_address = remote_address, .outbound = outbound});
  StoreSelf(std::move(ours), change);
}

void Topology::SetEstablished(PeerName remote, TopologyChange& change) {
  PeerSummary ours = Self();
  const auto connection = FindConnection(ours.connections, remote);
  CHECK(connection != ours.connections.end()) << remote;
  if (connection->established) return;
  connection->established = true;
  StoreSelf(std::move(ours), change);
}

void Topology::RemoveConnection(PeerName remote, TopologyChange& change) {
  PeerSummary ours = Self();
  const auto connection = FindConnection(ours.connections, remote);
  CHECK(connection != ours.connections.end()) << remote;
  ours.connections.erase(connection);
  StoreSelf(std::move(ours), change);
  CollectGarbage(change);
}

bool Topology::Reference(const PeerSummary& introduced, TopologyChange& change) {
  CHECK(introduced.name.known());
  const PeerSummary* known = Find(introduced.name);
  const bool restarted = known != nullptr && known->uid != introduced.uid;
  if (known == nullptr) {
    Store(introduced, change);
    StorePlaceholders(introduced.name, change);
    KeepOwnShortId(change);
  }
  ++peers_.find(introduced.name)->second.references;
  return restarted;
}

void Topology::Unreference(PeerName name) {
  const auto peer = peers_.find(name);
  CHECK(peer != peers_.end() && peer->second.references > 0) << name;
  --peer->second.references;
}

absl::StatusOr<TopologyChange> Topology::Apply(ByteView update) {
  absl::btree_map<PeerName, PeerSummary> better;
  std::optional<std::uint64_t> outdone_by;
  TopologyReader reader(update);
  auto expected = peers_.begin();  // our updates, and many a part of others', are in order of names
  while (true) {
    ASSIGN_OR_RETURN(std::optional<PeerSummary> theirs, reader.Next());
    if (!theirs.has_value()) break;
    const PeerName name = theirs->name;
    if (!name.known()) continue;
    const auto known = expected != peers_.end() && expected->first == name ? expected : peers_.find(name);
    if (known != peers_.end()) expected = std::next(known);
    if (name == self_) {
      const PeerSummary& ours = Self();
      const bool outdone =
          theirs->version > ours.version || (theirs->version == ours.version && theirs->uid != ours.uid);
      if (outdone) outdone_by = std::max(outdone_by.value_or(0), theirs->version);
      continue;
    }
    if (known != peers_.end() && !Supersedes(*theirs, known->second.record->summary())) continue;
    const auto named_before = better.find(name);
    if (named_before != better.end() && !Supersedes(*theirs, named_before->second)) continue;
    ASSIGN_OR_RETURN(theirs->connections, reader.Connections());
    better.insert_or_assign(name, *std::move(theirs));
  }

  TopologyChange change;
  change.improved.reserve(better.size());
  for (auto& [name, summary] : better) {
    change.improved.push_back(name);
    Store(std::move(summary), change);
  }
  for (const PeerName name : change.improved) StorePlaceholders(name, change);
  if (outdone_by.has_value()) Outdo(*outdone_by, change);
  KeepOwnShortId(change);
  return change;
}

void Topology::CollectGarbage(TopologyChange& change) {
  const std::shared_ptr<const TopologyView> view = View();
  walk_.Run(*view, *view->IndexOf(self_), kNoPeer, Links::kAll);
  if (walk_.reached_count() < view->size()) {
    auto peer = peers_.begin();
    for (PeerIndex i = 0; i < view->size(); ++i) {
      if (walk_.Reached(i) || peer->second.references > 0) {
        ++peer;
        continue;
      }
      change.removed.push_back(peer->first);
      change.topology_changed = true;
      ++generation_;
      const std::optional<ShortId> short_id = peer->second.record->summary().short_id;
      if (short_id.has_value()) change.short_ids_changed |= short_ids_.Remove(*short_id, peer->first);
      peer = peers_.erase(peer);
    }
  }
  KeepOwnShortId(change);
}

ShortId Topology::self_short_id() const { return *Self().short_id; }

const PeerSummary* Topology::Find(PeerName name) const {
  const auto peer = peers_.find(name);
  return peer == peers_.end() ? nullptr : &peer->second.record->summary();
}

std::vector<const PeerSummary*> Topology::Peers() const {
  std::vector<const PeerSummary*> peers;
  peers.reserve(peers_.size());
  for (const auto& [name, peer] : peers_) peers.push_back(&peer.record->summary());
  return peers;
}

std::vector<PeerName> Topology::Names() const {
  std::vector<PeerName> names;
  names.reserve(peers_.size());
  for (const auto& [name, peer] : peers_) names.push_back(name);
  return names;
}

Bytes Topology::Encode(const absl::btree_set<PeerName>& names) const {
  std::vector<const EncodedSummary*> summaries;
  summaries.reserve(names.size());
  for (const PeerName name : names) {
    const auto peer = peers_.find(name);
    if (peer != peers_.end()) summaries.push_back(&peer->second.record->Encoded());
  }
  return EncodeTopology(summaries);
}

Bytes Topology::EncodeAll() const {
  std::vector<const EncodedSummary*> summaries;
  summaries.reserve(peers_.size());
  for (const auto& [name, peer] : peers_) summaries.push_back(&peer.record->Encoded());
  return EncodeTopology(summaries);
}

std::shared_ptr<const TopologyView> Topology::View() const {
  if (view_generation_ == generation_) return view_;
  std::vector<PeerRecordPtr> records;
  records.reserve(peers_.size());
  for (const auto& [name, peer] : peers_) records.push_back(peer.record);
  view_ = std::make_shared<const TopologyView>(std::move(records), *view_);
  view_generation_ = generation_;
  return view_;
}

const PeerSummary& Topology::Self() const { return peers_.find(self_)->second.record->summary(); }

// Takes `summary` for what its peer says now, whatever we had before.
void Topology::Store(PeerSummary summary, TopologyChange& change) {
  PeerRecordPtr record =
      pool_ == nullptr ? std::make_shared<const PeerRecord>(std::move(summary)) : pool_->Share(std::move(summary));
  const PeerSummary& theirs = record->summary();
  const auto [it, is_new] = peers_.try_emplace(theirs.name);
  Peer& peer = it->second;
  const PeerSummary none;
  const PeerSummary& before = is_new ? none : peer.record->summary();
  if (is_new || before.connections != theirs.connections) change.topology_changed = true;
  if (is_new || !SameLinks(before.connections, theirs.connections)) ++generation_;
  if (before.short_id != theirs.short_id) {
    if (before.short_id.has_value()) change.short_ids_changed |= short_ids_.Remove(*before.short_id, theirs.name);
    if (theirs.short_id.has_value()) change.short_ids_changed |= short_ids_.Add(*theirs.short_id, theirs.name);
  }
  peer.record = std::move(record);
}

// Our record becomes `summary`, with the version after its own.
void Topology::StoreSelf(PeerSummary summary, TopologyChange& change) {
  summary.version = VersionAfter(summary.version);
  Store(std::move(summary), change);
  change.self_changed = true;
}

// Peers that the record of `named_by` names and nobody else has told of.
void Topology::StorePlaceholders(PeerName named_by, TopologyChange& change) {
  const PeerRecordPtr record = peers_.find(named_by)->second.record;
  for (const ConnectionSummary& connection : record->summary().connections) {
    if (Knows(connection.peer)) continue;
    PeerSummary placeholder;
    placeholder.name = connection.peer;
    Store(std::move(placeholder), change);
  }
}

// Somebody has a record of us at `version` that others prefer to ours: of a former life, most likely.
void Topology::Outdo(std::uint64_t version, TopologyChange& change) {
  if (VersionAfter(version) == Self().version) return;
  PeerSummary ours = Self();
  ours.version = version;
  StoreSelf(std::move(ours), change);
}

// Looks for another short id when ours belongs to somebody else.
void Topology::KeepOwnShortId(TopologyChange& change) {
  if (short_ids_.OwnerOf(self_short_id()) == self_) return;
  const std::optional<ShortId> short_id = short_ids_.PickFree(random_);
  if (!short_id.has_value()) return;
  PeerSummary ours = Self();
  ours.short_id = short_id;
  StoreSelf(std::move(ours), change);
}

absl::Status Topology::CheckInvariants() const {
  if (!Knows(self_)) return absl::InternalError("topology: we do not know ourselves");
  if (!Self().short_id.has_value()) return absl::InternalError("topology: we have no short id");
  std::size_t short_id_count = 0;
  for (const auto& [name, peer] : peers_) {
    const PeerSummary& summary = peer.record->summary();
    if (summary.name != name)
      return absl::InternalError(absl::StrCat("topology: ", name.ToString(), " has a wrong record"));
    RETURN_IF_ERROR(CheckRecord(summary));
    if (summary.short_id.has_value() && *summary.short_id <= kMaxShortId) ++short_id_count;
  }
  if (short_ids_.size() != short_id_count) return absl::InternalError("topology: short ids of peers that are gone");
  return CheckView();
}

absl::Status Topology::CheckRecord(const PeerSummary& summary) const {
  const std::string where = absl::StrCat("topology: record of ", summary.name.ToString(), ": ");
  PeerName before;
  for (const ConnectionSummary& connection : summary.connections) {
    if (connection.peer <= before || connection.peer == summary.name)
      return absl::InternalError(absl::StrCat(where, "connection to ", connection.peer.ToString(), " out of place"));
    before = connection.peer;
  }
  if (summary.short_id.has_value() && *summary.short_id <= kMaxShortId) {
    if (!short_ids_.Holds(summary.name, *summary.short_id))
      return absl::InternalError(absl::StrCat(where, "short id ", *summary.short_id, " is not in the table"));
    if (OwnerOf(*summary.short_id) > summary.name)
      return absl::InternalError(absl::StrCat(where, "short id ", *summary.short_id, " belongs to a higher name"));
  }
  return absl::OkStatus();
}

// The view against what the records say.
absl::Status Topology::CheckView() const {
  const std::shared_ptr<const TopologyView> view = View();
  if (view->size() != peers_.size()) return absl::InternalError("topology: view has other peers");
  for (PeerIndex i = 0; i < view->size(); ++i) {
    const PeerSummary* summary = Find(view->NameOf(i));
    if (summary == nullptr) return absl::InternalError("topology: view has other peers");
    std::size_t link_count = 0;
    for (const ConnectionSummary& connection : summary->connections) {
      const PeerSummary* other = Find(connection.peer);
      if (other == nullptr) continue;
      const auto back = FindConnection(other->connections, summary->name);
      const bool symmetric = connection.established && back != other->connections.end() && back->established;
      const absl::Span<const Link> links = view->LinksOf(i);
      if (link_count >= links.size() || view->NameOf(links[link_count].to) != connection.peer ||
          links[link_count].symmetric != symmetric)
        return absl::InternalError(absl::StrCat("topology: view has another link from ", summary->name.ToString(),
                                                " to ", connection.peer.ToString()));
      ++link_count;
    }
    if (link_count != view->LinksOf(i).size())
      return absl::InternalError(absl::StrCat("topology: view has more links from ", summary->name.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace weave
