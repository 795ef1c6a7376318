// Who is in the network and how they say they are connected: our copy of every peer's record, merged from gossip, and
// our own record (spec/mesh.md section 6). Routes read it as a graph (mesh/topology_view.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "mesh/peer_record.h"
#include "mesh/peer_set.h"
#include "mesh/peer_slots.h"
#include "mesh/short_ids.h"
#include "mesh/topology_view.h"
#include "wire/topology.h"
#include "wire/topology_inventory.h"

namespace weave {

// What changed by one call, for whoever acts on it. Calls add to it.
struct TopologyChange {
  std::vector<PeerName> improved;  // records that were new to us: what an epidemic passes on; in order, each once
  PeerSet improved_set;            // the same
  bool self_changed = false;       // our own record has a new version: it must be gossiped
  bool short_ids_changed = false;  // an id that was in use means another peer, or none: datapath flows are stale
  bool topology_changed = false;   // peers or what they say of their connections: routes and targets are stale
  std::vector<PeerName> removed;   // by garbage collection; in order
};

// The rules are those of a 2.8 peer, for routes must be equal. We differ where nobody else can see it:
//  * A peer that only an outdated record names does not become known for the second until the next garbage collection.
//  * A peer that an update names twice gets the better of both records, not a mixture.
//  * The unknown name, a connection of a peer to itself and a second connection to the same peer are left out.
//  * A record of us with our own uid that outdoes ours, which only a broken peer makes, is outdone in turn.
// One thread. Work of an update: proportional to its size, and little for records that are known.
class Topology {
 public:
  // `uid` is not 0. `pool`, if there is one, outlives the topology: simulated peers share their records in it.
  Topology(PeerName self, std::string nickname, PeerUid uid, Random random, PeerRecordPool* pool = nullptr);
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  // ---- our own record ----

  // The short id of an earlier life, in place of the one that was drawn: what others made of it stays true. Before
  // anybody has heard of us. CHECK: in range.
  void TakeShortId(ShortId short_id);

  // Each gives our record the next version. The last one is 2^64-1, which only somebody who forges records of us can
  // make us reach; others do not hear of changes after it.

  // A live connection to `remote`, pending at first. CHECK: `remote` is known and referenced, another peer than we, and
  // not connected yet.
  void AddConnection(PeerName remote, const std::string& remote_address, bool outbound, TopologyChange& change);
  // CHECK: connected. Changes nothing when established already.
  void SetEstablished(PeerName remote, TopologyChange& change);
  // CHECK: connected. Also collects garbage, at once: an update that names peers we cannot reach could circle for ever.
  void RemoveConnection(PeerName remote, TopologyChange& change);

  // ---- others ----

  // A peer that introduced itself on a connection: made if unknown, and kept while referenced, whatever others say.
  // If known, the record stays as it is: gossip will replace it. Returns whether the name was known with another uid
  // ("restarted"), as it is of a placeholder.
  bool Reference(const PeerSummary& introduced, TopologyChange& change);
  // Once for each Reference: CHECK. The peer stays until the next garbage collection.
  void Unreference(PeerName name);

  // A received update (spec/mesh.md section 6.3). InvalidArgument when it cannot be decoded; nothing changed then.
  // Connections in records that are outdated are not looked at. Memory stays proportional to the update, and what does
  // not connect to us goes with the next garbage collection. `from`: the neighbour that sent it.
  absl::StatusOr<TopologyChange> Apply(ByteView update, PeerName from = {});

  // Drops peers that no connection records lead to from us, and that nobody references.
  void CollectGarbage(TopologyChange& change);

  // ---- reading ----

  PeerName self() const { return self_; }
  ShortId self_short_id() const;
  // Null when unknown. Valid until the next change.
  const PeerSummary* Find(PeerName name) const;
  bool Knows(PeerName name) const { return Find(name) != nullptr; }
  std::size_t peer_count() const { return slots_.size(); }  // placeholders and ourselves included
  // In order of names.
  std::vector<const PeerSummary*> Peers() const;
  std::vector<PeerName> Names() const;
  std::optional<PeerName> OwnerOf(ShortId short_id) const { return short_ids_.OwnerOf(short_id); }
  const ShortIdTable& short_ids() const { return short_ids_; }

  // Those of `names` that are known.
  PeerSet SetOf(absl::Span<const PeerName> names) const;

  // ---- telling ----

  // Current records, in order of names, encoded as an update: those of `peers`, or everyone's.
  Bytes Encode(const PeerSet& peers) const;
  Bytes EncodeAll() const;

  // The same for a neighbour that will receive it unless the connection ends. Of `peers` those are left out that it has
  // sent us or got from us as they are: a connection loses nothing. What it has dropped since as garbage it gets with
  // everyone's.
  Bytes EncodeFor(PeerName neighbour, const PeerSet& peers);
  Bytes EncodeAllFor(PeerName neighbour);

  // ---- comparing with a neighbour that can (wire/topology_inventory.h) ----

  // The sum of the fingerprints of all records.
  std::uint64_t digest() const { return digest_; }
  std::vector<InventoryEntry> Inventory() const;
  // Of those of `peers` that `neighbour` is not known to have.
  std::vector<InventoryEntry> InventoryFor(PeerName neighbour, PeerSet peers) const;

  // What one end of a connection has better than the other.
  struct Comparison {
    PeerSet ours;                  // records that the neighbour lacks, or has older ones of
    std::vector<PeerName> theirs;  // the other way round
  };
  // `neighbour` has `offered` and nothing else.
  Comparison CompareWith(PeerName neighbour, absl::Span<const InventoryEntry> offered);
  // `neighbour` has `news` among others. What is better there.
  std::vector<PeerName> Missing(PeerName neighbour, absl::Span<const InventoryEntry> news);
  // `neighbour` lacks those of `names` that we know, whatever it had: EncodeFor tells it again.
  PeerSet Want(PeerName neighbour, absl::Span<const PeerName> names);

  // ---- as a graph ----

  // The peers and links of now, made when first asked for after they changed. The same object until they change again.
  std::shared_ptr<const TopologyView> View() const;

  // Bumped whenever peers or links differ.
  std::uint64_t generation() const { return generation_; }

  // The view's, for one look; valid until the next change. Indices 0..index_count()-1, in order of names.
  using PeerIndex = weave::PeerIndex;
  using Link = TopologyView::Link;
  std::size_t index_count() const { return View()->size(); }
  PeerName NameOf(PeerIndex index) const { return View()->NameOf(index); }
  std::optional<PeerIndex> IndexOf(PeerName name) const { return View()->IndexOf(name); }
  absl::Span<const Link> LinksOf(PeerIndex index) const { return View()->LinksOf(index); }

  // What must hold between any two calls; for tests. Internal naming the first violation.
  absl::Status CheckInvariants() const;

 private:
  struct Peer {
    PeerRecordPtr record;     // null: the slot is free
    RecordRank rank;          // the record's, to be compared without looking there
    std::uint64_t stamp = 0;  // the record's: another one for each there ever was
    std::uint32_t references = 0;
    bool resolved = false;  // all that the record names are known
  };

  // A record of an update that takes the place of ours, and then the one that was ours.
  struct Better {
    PeerRecordPtr record;
    std::optional<PeerSlot> slot;  // none: the peer is new
  };

  static RecordRank RankOf(const PeerSummary& summary);
  const PeerSummary& Self() const { return peers_[self_slot_].record->summary(); }
  PeerRecordPtr MakeRecord(PeerSummary summary) const;
  absl::StatusOr<PeerRecordPtr> ReadRecord(TopologyReader& reader) const;
  PeerSlot TakeSlot();
  void Store(PeerSlot slot, PeerRecordPtr& record, TopologyChange& change);
  void StoreSelf(PeerSummary summary, TopologyChange& change);
  void CollectStrangers(PeerSlot slot, const PeerRecord* before, std::vector<PeerName>& strangers);
  void StorePlaceholders(std::vector<PeerName>& strangers, TopologyChange& change);
  void Drop(const PeerSlots::Entry& peer, TopologyChange& change);
  void Outdo(std::uint64_t version, TopologyChange& change);
  void KeepOwnShortId(TopologyChange& change);
  absl::Status CheckRecord(const PeerSummary& summary) const;
  absl::Status CheckDigest() const;
  absl::Status CheckView() const;

  const PeerName self_;
  Random random_;
  PeerRecordPool* const pool_;
  PeerSlots slots_;          // always with us
  std::vector<Peer> peers_;  // by slot
  std::vector<PeerSlot> free_slots_;
  std::uint64_t last_stamp_ = 0;
  PeerSlot self_slot_ = 0;
  absl::btree_map<PeerName, PeerSet> held_;  // by neighbour: whose records it has as we have them
  ShortIdTable short_ids_;
  std::uint64_t digest_ = 0;
  std::uint64_t generation_ = 0;
  TopologyWalk walk_;

  mutable std::shared_ptr<const TopologyView> view_ = std::make_shared<const TopologyView>();  // of `view_generation_`
  mutable std::uint64_t view_generation_ = 0;
};

}  // namespace weave
