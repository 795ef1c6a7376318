#include "mesh/topology.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr std::uint64_t kLastVersion = std::numeric_limits<std::uint64_t>::max();

std::uint64_t VersionAfter(std::uint64_t version) { return version == kLastVersion ? version : version + 1; }

// What differs between two lists of connections.
struct Difference {
  bool any = false;
  bool links = false;  // what makes routes
};

Difference Compare(const std::vector<ConnectionSummary>& a, const std::vector<ConnectionSummary>& b) {
  if (a.size() != b.size()) return {true, true};
  Difference difference;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].peer != b[i].peer || a[i].established != b[i].established) return {true, true};
    difference.any = difference.any || a[i] != b[i];
  }
  return difference;
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
  PeerRecordPtr record = MakeRecord(std::move(ours));
  self_slot_ = TakeSlot();
  slots_.Add({{self, self_slot_}});
  Store(self_slot_, record, change);
}

void Topology::TakeShortId(ShortId short_id) {
  CHECK(short_id <= kMaxShortId) << short_id;
  PeerSummary ours = Self();
  ours.short_id = short_id;
  PeerRecordPtr record = MakeRecord(std::move(ours));
  TopologyChange change;
  Store(self_slot_, record, change);
}

void Topology::AddConnection(PeerName remote, const std::string& remote_address, bool outbound,
                             TopologyChange& change) {
  CHECK(remote != self_) << remote;
  const std::optional<PeerSlot> peer = slots_.Find(remote);
  CHECK(peer.has_value() && peers_[*peer].references > 0) << remote;
  PeerSummary ours = Self();
  CHECK(FindConnection(ours.connections, remote) == ours.connections.end()) << remote;
  ours.connections.push_back({.peer = remote, .remote_address = remote_address, .outbound = outbound});
  StoreSelf(std::move(ours), change);
  held_[remote];
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
  held_.erase(remote);
  CollectGarbage(change);
}

bool Topology::Reference(const PeerSummary& introduced, TopologyChange& change) {
  CHECK(introduced.name.known());
  const PeerSummary* known = Find(introduced.name);
  const bool restarted = known != nullptr && known->uid != introduced.uid;
  if (known == nullptr) {
    PeerRecordPtr record = MakeRecord(introduced);
    const PeerSlot slot = TakeSlot();
    slots_.Add({{introduced.name, slot}});
    Store(slot, record, change);
    std::vector<PeerName> strangers;
    CollectStrangers(slot, nullptr, strangers);
    StorePlaceholders(strangers, change);
    KeepOwnShortId(change);
  }
  ++peers_[*slots_.Find(introduced.name)].references;
  return restarted;
}

void Topology::Unreference(PeerName name) {
  const std::optional<PeerSlot> peer = slots_.Find(name);
  CHECK(peer.has_value() && peers_[*peer].references > 0) << name;
  --peers_[*peer].references;
}

// The rules of spec/mesh.md section 6.3.
absl::StatusOr<TopologyChange> Topology::Apply(ByteView update, PeerName from) {
  absl::btree_map<PeerName, Better> better;
  std::vector<PeerSlot> repeated;  // records of which both ends have the same
  std::optional<std::uint64_t> outdone_by;
  TopologyReader reader(update);
  std::size_t expected = 0;  // our updates, and many a part of others', are in order of names
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.Advance());
    if (!more) break;
    const TopologyReader::Head& theirs = reader.head();
    if (!theirs.name.known()) continue;
    const RecordRank rank = {theirs.version, theirs.uid, theirs.short_id.has_value()};
    const std::optional<PeerSlot> slot = slots_.FindFrom(expected, theirs.name);
    if (slot.has_value() && rank == peers_[*slot].rank) repeated.push_back(*slot);
    if (theirs.name == self_) {
      const RecordRank& ours = peers_[self_slot_].rank;
      const bool outdone = rank.version > ours.version || (rank.version == ours.version && rank.uid != ours.uid);
      if (outdone) outdone_by = std::max(outdone_by.value_or(0), rank.version);
      continue;
    }
    if (slot.has_value() && rank <= peers_[*slot].rank) continue;
    const bool in_order = better.empty() || better.rbegin()->first < theirs.name;
    const auto named_before = in_order ? better.end() : better.find(theirs.name);
    if (named_before != better.end() && rank <= RankOf(named_before->second.record->summary())) continue;
    ASSIGN_OR_RETURN(PeerRecordPtr record, ReadRecord(reader));
    if (named_before != better.end())
      named_before->second.record = std::move(record);
    else
      better.emplace_hint(better.end(), theirs.name, Better{std::move(record), slot});
  }

  TopologyChange change;
  std::vector<PeerSlots::Entry> fresh;
  for (auto& [name, peer] : better) {
    if (peer.slot.has_value()) continue;
    peer.slot = TakeSlot();
    fresh.push_back({name, *peer.slot});
  }
  slots_.Add(fresh);
  change.improved.reserve(better.size());
  for (auto& [name, peer] : better) {
    Store(*peer.slot, peer.record, change);
    change.improved.push_back(name);
    change.improved_set.Insert(*peer.slot);
  }
  std::vector<PeerName> strangers;
  for (const auto& [name, peer] : better) CollectStrangers(*peer.slot, peer.record.get(), strangers);
  StorePlaceholders(strangers, change);
  if (const auto held = held_.find(from); held != held_.end()) {
    for (const PeerSlot slot : repeated) held->second.Insert(slot);
    held->second.Merge(change.improved_set);
  }
  if (outdone_by.has_value()) Outdo(*outdone_by, change);
  KeepOwnShortId(change);
  return change;
}

// The record at which `reader` stands.
absl::StatusOr<PeerRecordPtr> Topology::ReadRecord(TopologyReader& reader) const {
  if (pool_ != nullptr) {
    ASSIGN_OR_RETURN(const std::optional<TopologyReader::PlainBytes> bytes, reader.Plain());
    if (bytes.has_value()) {
      if (PeerRecordPtr record = pool_->Find(bytes->summary, bytes->connections); record != nullptr) return record;
    }
  }
  PeerSummary summary = reader.Summary();
  ASSIGN_OR_RETURN(summary.connections, reader.Connections());
  return MakeRecord(std::move(summary));
}

void Topology::CollectGarbage(TopologyChange& change) {
  const std::shared_ptr<const TopologyView> view = View();
  walk_.Run(*view, *view->IndexOf(self_), kNoPeer, Links::kAll);
  if (walk_.reached_count() < view->size()) {
    PeerIndex index = 0;  // the view has the same peers in the same order
    slots_.DropIf([&](const PeerSlots::Entry& peer) {
      if (walk_.Reached(index++)) return false;
      peers_[peer.slot].resolved = false;  // what it names may go
      if (peers_[peer.slot].references > 0) return false;
      Drop(peer, change);
      return true;
    });
  }
  KeepOwnShortId(change);
}

void Topology::Drop(const PeerSlots::Entry& peer, TopologyChange& change) {
  change.removed.push_back(peer.name);
  change.topology_changed = true;
  ++generation_;
  const std::optional<ShortId> short_id = peers_[peer.slot].record->summary().short_id;
  if (short_id.has_value()) change.short_ids_changed |= short_ids_.Remove(*short_id, peer.name);
  digest_ -= FingerprintOf({peer.name, peers_[peer.slot].rank});
  peers_[peer.slot] = {};
  free_slots_.push_back(peer.slot);
  for (auto& [neighbour, held] : held_) held.Erase(peer.slot);
}

ShortId Topology::self_short_id() const { return *Self().short_id; }

const PeerSummary* Topology::Find(PeerName name) const {
  const std::optional<PeerSlot> slot = slots_.Find(name);
  return slot.has_value() ? &peers_[*slot].record->summary() : nullptr;
}

std::vector<const PeerSummary*> Topology::Peers() const {
  std::vector<const PeerSummary*> peers;
  peers.reserve(slots_.size());
  for (const auto& [name, slot] : slots_) peers.push_back(&peers_[slot].record->summary());
  return peers;
}

std::vector<PeerName> Topology::Names() const {
  std::vector<PeerName> names;
  names.reserve(slots_.size());
  for (const auto& [name, slot] : slots_) names.push_back(name);
  return names;
}

PeerSet Topology::SetOf(absl::Span<const PeerName> names) const {
  PeerSet set;
  for (const PeerName name : names) {
    if (const std::optional<PeerSlot> slot = slots_.Find(name); slot.has_value()) set.Insert(*slot);
  }
  return set;
}

Bytes Topology::Encode(const PeerSet& peers) const {
  std::vector<const PeerRecord*> records;
  peers.ForEach([&](PeerSlot slot) {
    if (slot < peers_.size() && peers_[slot].record != nullptr) records.push_back(peers_[slot].record.get());
  });
  std::sort(records.begin(), records.end(),
            [](const PeerRecord* a, const PeerRecord* b) { return a->summary().name < b->summary().name; });
  std::vector<const EncodedSummary*> summaries;
  summaries.reserve(records.size());
  for (const PeerRecord* record : records) summaries.push_back(&record->Encoded());
  return EncodeTopology(summaries);
}

Bytes Topology::EncodeAll() const {
  std::vector<const EncodedSummary*> summaries;
  summaries.reserve(slots_.size());
  for (const auto& [name, slot] : slots_) summaries.push_back(&peers_[slot].record->Encoded());
  return EncodeTopology(summaries);
}

Bytes Topology::EncodeFor(PeerName neighbour, const PeerSet& peers) {
  const auto held = held_.find(neighbour);
  if (held == held_.end()) return Encode(peers);
  PeerSet missing = peers;
  missing.Remove(held->second);
  held->second.Merge(missing);
  return Encode(missing);
}

Bytes Topology::EncodeAllFor(PeerName neighbour) {
  if (const auto held = held_.find(neighbour); held != held_.end()) {
    for (const auto& [name, slot] : slots_) held->second.Insert(slot);
  }
  return EncodeAll();
}

std::vector<InventoryEntry> Topology::Inventory() const {
  std::vector<InventoryEntry> inventory;
  inventory.reserve(slots_.size());
  for (const auto& [name, slot] : slots_) inventory.push_back({name, peers_[slot].rank});
  return inventory;
}

std::vector<InventoryEntry> Topology::InventoryFor(PeerName neighbour, PeerSet peers) const {
  if (const auto held = held_.find(neighbour); held != held_.end()) peers.Remove(held->second);
  std::vector<InventoryEntry> inventory;
  peers.ForEach([&](PeerSlot slot) {
    if (slot < peers_.size() && peers_[slot].record != nullptr)
      inventory.push_back({peers_[slot].record->summary().name, peers_[slot].rank});
  });
  std::sort(inventory.begin(), inventory.end(),
            [](const InventoryEntry& a, const InventoryEntry& b) { return a.name < b.name; });
  return inventory;
}

std::vector<PeerName> Topology::Missing(PeerName neighbour, absl::Span<const InventoryEntry> news) {
  const auto held = held_.find(neighbour);
  std::vector<PeerName> missing;
  std::size_t expected = 0;
  for (const auto& [name, rank] : news) {
    if (!name.known()) continue;
    const std::optional<PeerSlot> slot = slots_.FindFrom(expected, name);
    if (!slot.has_value() || rank > peers_[*slot].rank)
      missing.push_back(name);
    else if (rank == peers_[*slot].rank && held != held_.end())
      held->second.Insert(*slot);
  }
  return missing;
}

Topology::Comparison Topology::CompareWith(PeerName neighbour, absl::Span<const InventoryEntry> offered) {
  Comparison comparison;
  for (const auto& [name, slot] : slots_) comparison.ours.Insert(slot);
  PeerSet equal;
  std::size_t expected = 0;
  for (const auto& [name, rank] : offered) {
    if (!name.known()) continue;
    const std::optional<PeerSlot> slot = slots_.FindFrom(expected, name);
    if (!slot.has_value() || rank > peers_[*slot].rank) comparison.theirs.push_back(name);
    if (slot.has_value() && rank >= peers_[*slot].rank) comparison.ours.Erase(*slot);
    if (slot.has_value() && rank == peers_[*slot].rank) equal.Insert(*slot);
  }
  if (const auto held = held_.find(neighbour); held != held_.end()) held->second = std::move(equal);
  return comparison;
}

PeerSet Topology::Want(PeerName neighbour, absl::Span<const PeerName> names) {
  PeerSet wanted = SetOf(names);
  if (const auto held = held_.find(neighbour); held != held_.end()) held->second.Remove(wanted);
  return wanted;
}

std::shared_ptr<const TopologyView> Topology::View() const {
  if (view_generation_ == generation_) return view_;
  std::vector<TopologyView::Entry> entries;
  entries.reserve(slots_.size());
  for (const auto& [name, slot] : slots_) entries.push_back({peers_[slot].record.get(), peers_[slot].stamp});
  view_ = std::make_shared<const TopologyView>(entries, *view_);
  view_generation_ = generation_;
  return view_;
}

PeerRecordPtr Topology::MakeRecord(PeerSummary summary) const {
  return pool_ == nullptr ? std::make_shared<const PeerRecord>(std::move(summary)) : pool_->Share(std::move(summary));
}

RecordRank Topology::RankOf(const PeerSummary& summary) {
  return {summary.version, summary.uid, summary.short_id.has_value()};
}

PeerSlot Topology::TakeSlot() {
  if (free_slots_.empty()) {
    peers_.emplace_back();
    return static_cast<PeerSlot>(peers_.size() - 1);
  }
  const PeerSlot slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

// Takes `record` for what its peer says now, and leaves there what we had before: null for a new peer.
void Topology::Store(PeerSlot slot, PeerRecordPtr& record, TopologyChange& change) {
  Peer& peer = peers_[slot];
  const bool is_new = peer.record == nullptr;
  const PeerSummary& theirs = record->summary();
  const PeerSummary none;
  const PeerSummary& before = is_new ? none : peer.record->summary();
  const Difference difference = Compare(before.connections, theirs.connections);
  if (is_new || difference.any) change.topology_changed = true;
  if (is_new || difference.links) ++generation_;
  if (before.short_id != theirs.short_id) {
    if (before.short_id.has_value()) change.short_ids_changed |= short_ids_.Remove(*before.short_id, theirs.name);
    if (theirs.short_id.has_value()) change.short_ids_changed |= short_ids_.Add(*theirs.short_id, theirs.name);
  }
  for (auto& [neighbour, held] : held_) held.Erase(slot);
  if (!is_new) digest_ -= FingerprintOf({theirs.name, peer.rank});
  peer.rank = RankOf(theirs);
  digest_ += FingerprintOf({theirs.name, peer.rank});
  peer.stamp = ++last_stamp_;
  record.swap(peer.record);
}

// Our record becomes `summary`, with the version after its own.
void Topology::StoreSelf(PeerSummary summary, TopologyChange& change) {
  summary.version = VersionAfter(summary.version);
  PeerRecordPtr record = MakeRecord(std::move(summary));
  Store(self_slot_, record, change);
  change.self_changed = true;
}

// Adds peers that the record in `slot` names and nobody has told of. `before`: the one it has taken the place of; most
// of what it names is in there too.
void Topology::CollectStrangers(PeerSlot slot, const PeerRecord* before, std::vector<PeerName>& strangers) {
  const std::vector<ConnectionSummary> none;
  const std::vector<ConnectionSummary>& known =
      before != nullptr && peers_[slot].resolved ? before->summary().connections : none;
  auto next = known.begin();
  std::size_t expected = 0;
  for (const ConnectionSummary& connection : peers_[slot].record->summary().connections) {
    while (next != known.end() && next->peer < connection.peer) ++next;
    if (next != known.end() && next->peer == connection.peer) continue;
    if (!slots_.FindFrom(expected, connection.peer).has_value()) strangers.push_back(connection.peer);
  }
  peers_[slot].resolved = true;
}

void Topology::StorePlaceholders(std::vector<PeerName>& strangers, TopologyChange& change) {
  std::sort(strangers.begin(), strangers.end());
  strangers.erase(std::unique(strangers.begin(), strangers.end()), strangers.end());
  std::vector<PeerSlots::Entry> fresh;
  fresh.reserve(strangers.size());
  for (const PeerName name : strangers) {
    PeerSummary placeholder;
    placeholder.name = name;
    PeerRecordPtr record = MakeRecord(std::move(placeholder));
    fresh.push_back({name, TakeSlot()});
    Store(fresh.back().slot, record, change);
  }
  slots_.Add(fresh);
}

// Somebody has a record of us at `version` that others prefer to ours: of a former life, most likely.
void Topology::Outdo(std::uint64_t version, TopologyChange& change) {
  if (VersionAfter(version) == Self().version) return;
  PeerSummary ours = Self();
  ours.version = version;
  StoreSelf(std::move(ours), change);
}

// Looks for another short id when ours belongs to somebody else; that, and whether another one is free, differs only
// when the meaning of some id does.
void Topology::KeepOwnShortId(TopologyChange& change) {
  if (!change.short_ids_changed || short_ids_.OwnerOf(self_short_id()) == self_) return;
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
  for (const auto& [name, slot] : slots_) {
    const PeerSummary& summary = peers_[slot].record->summary();
    if (summary.name != name)
      return absl::InternalError(absl::StrCat("topology: ", name.ToString(), " has a wrong record"));
    RETURN_IF_ERROR(CheckRecord(summary));
    if (summary.short_id.has_value() && *summary.short_id <= kMaxShortId) ++short_id_count;
  }
  if (short_ids_.size() != short_id_count) return absl::InternalError("topology: short ids of peers that are gone");
  for (const auto& [neighbour, held] : held_) {
    if (FindConnection(Self().connections, neighbour) == Self().connections.end())
      return absl::InternalError(absl::StrCat("topology: records held by ", neighbour.ToString(), ", no neighbour"));
  }
  return CheckDigest();
}

absl::Status Topology::CheckDigest() const {
  std::uint64_t digest = 0;
  for (const InventoryEntry& entry : Inventory()) digest += FingerprintOf(entry);
  if (digest != digest_) return absl::InternalError("topology: the digest is not that of the records");
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
  if (view->size() != slots_.size()) return absl::InternalError("topology: view has other peers");
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
