// Which peer a 12-bit short id means. Ids are picked at random by their owners, so they collide: then the id belongs to
// the peer with the lowest name, and the others pick another one (spec/mesh.md section 6.6).
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "wire/topology.h"

namespace weave {

inline constexpr std::size_t kShortIdCount = kMaxShortId + 1;

// An id that is out of range, which only a broken peer announces, means nobody.
class ShortIdTable {
 public:
  // `peer` announces, or no longer announces, `short_id`. Both return whether an id that was in use, now or formerly,
  // means another peer or none from now on: whatever was derived from it is stale.
  bool Add(ShortId short_id, PeerName peer);
  bool Remove(ShortId short_id, PeerName peer);

  std::optional<PeerName> OwnerOf(ShortId short_id) const;
  bool Holds(PeerName peer, ShortId short_id) const { return holders_.contains({short_id, peer}); }

  // Every id that has one, with its owner; in order of ids.
  std::vector<std::pair<ShortId, PeerName>> Owners() const;
  // Differs whenever Owners() may.
  std::uint64_t generation() const { return generation_; }

  // Pairs of id and peer, colliding ones included.
  std::size_t size() const { return holders_.size(); }

  // An id that nobody announces, each with the same probability; none when all are taken.
  std::optional<ShortId> PickFree(Random& random) const;

 private:
  absl::btree_set<std::pair<ShortId, PeerName>> holders_;  // the first with an id is its owner
  std::bitset<kShortIdCount> taken_;                       // ids that have an owner
  std::bitset<kShortIdCount> used_;                        // ids that had one at some time
  std::uint64_t generation_ = 0;
};

}  // namespace weave
