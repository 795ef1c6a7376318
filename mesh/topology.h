// Who is in the network and how they say they are connected: our copy of every peer's record, merged from gossip, and
// our own record (spec/mesh.md section 6). Peers have a dense index for the routes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "wire/topology.h"

namespace weave {

// What changed by one call, for whoever acts on it.
struct TopologyChange {
  std::vector<PeerName> improved;  // records that were new to us: what an epidemic passes on; in order, each once
  bool self_changed = false;       // our own record has a new version: it must be gossiped
  bool short_ids_changed = false;  // an id that was in use means another peer, or none: datapath flows are stale
  bool topology_changed = false;   // peers or connections differ: routes are stale
  std::vector<PeerName> removed;   // by garbage collection
};

class Topology {
 public:
  // `uid` is not 0.
  Topology(PeerName self, std::string nickname, PeerUid uid, Random random);
  ~Topology();
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  // ---- our own record ----

  // A live connection of ours to `remote`, pending at first. At most one per remote: CHECK.
  void AddConnection(PeerName remote, const std::string& remote_address, bool outbound, TopologyChange& change);
  void SetEstablished(PeerName remote, TopologyChange& change);
  // Also collects garbage.
  void RemoveConnection(PeerName remote, TopologyChange& change);

  // ---- others ----

  // A peer that introduced itself on a connection: made if unknown, and kept while referenced, whatever others say.
  // Its record stays the old one when the uid differs: gossip will replace it. Returns whether the name was known with
  // another uid ("restarted").
  bool Reference(const PeerSummary& introduced, TopologyChange& change);
  void Unreference(PeerName name);

  // A received update (spec/mesh.md section 6.3). InvalidArgument when it cannot be decoded; nothing changed then.
  absl::StatusOr<TopologyChange> Apply(ByteView update);

  // Drops peers that no connection records lead to from us, and that nobody references. Tries again for a short id when
  // there was none free (section 6.6).
  void CollectGarbage(TopologyChange& change);

  // ---- reading ----

  PeerName self() const;
  ShortId self_short_id() const;
  // Null when unknown. Valid until the next change.
  const PeerSummary* Find(PeerName name) const;
  bool Knows(PeerName name) const { return Find(name) != nullptr; }
  std::size_t peer_count() const;
  // In order of names.
  std::vector<const PeerSummary*> Peers() const;
  std::vector<PeerName> Names() const;
  std::optional<PeerName> OwnerOf(ShortId short_id) const;

  // The current records of those `names` that are known, encoded as an update.
  Bytes Encode(const absl::btree_set<PeerName>& names) const;

  // ---- dense view for the routes: indices 0..index_count()-1, sorted by name, valid until the next change ----

  using PeerIndex = std::uint32_t;
  struct Link {
    PeerIndex to = 0;
    bool symmetric = false;  // established, and so says the record of the other end
  };
  // Bumped whenever peers or links differ.
  std::uint64_t generation() const;
  std::size_t index_count() const;
  PeerName NameOf(PeerIndex index) const;
  std::optional<PeerIndex> IndexOf(PeerName name) const;
  // Sorted by `to`; connections to peers we do not know do not exist (they are placeholders as soon as they are named).
  absl::Span<const Link> LinksOf(PeerIndex index) const;

  // What must hold between any two calls; for tests.
  absl::Status CheckInvariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
