// Who owns which part of the address space: a replicated set of tokens that peers merge (spec/ipam.md section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "ipam/address_set.h"

namespace weave {

class Space;

// `peer` owns the addresses from `token` up to the next entry's token; those of the last entry wrap around to the
// first.
struct RingEntry {
  IpAddress token;
  PeerName peer;
  std::uint32_t version = 0;  // grows with every change by the owner
  AddressCount free = 0;      // as the owner last reported; at most the size of the range

  friend bool operator==(const RingEntry&, const RingEntry&) = default;
};

// A value: copied, compared, stored, sent. Between any two calls it is valid: tokens strictly ascending and inside the
// universe, no `free` above its range. Empty until it is divided or taken from another peer; after that every address
// of the universe has an owner.
class Ring {
 public:
  // An empty ring. `universe`: at least 4 addresses.
  explicit Ring(AddressRange universe);

  // From the wire or the disk. InvalidArgument with the reference peer's texts (section 4.3): "Ring not sorted",
  // "Token is out of range", "Entry A-B reporting too much free space: ..".
  static absl::StatusOr<Ring> Make(AddressRange universe, std::vector<RingEntry> entries, std::vector<PeerName> seeds);

  bool empty() const { return entries_.empty(); }
  const AddressRange& universe() const { return universe_; }
  const std::vector<RingEntry>& entries() const { return entries_; }
  // The peers among whom it was divided at first, ascending; empty: not known.
  const std::vector<PeerName>& seeds() const { return seeds_; }

  // The seeds of an empty ring that is to come: it merges with rings of the same seeds only. Any order, repetitions are
  // ignored.
  void ExpectSeeds(std::vector<PeerName> peers);

  // Shares out an empty ring among `peers`, which become the seeds (section 4.1). Any order, repetitions are ignored;
  // at least one.
  void DivideAmong(std::vector<PeerName> peers);

  // ---- reading ----
  std::optional<PeerName> OwnerOf(const IpAddress& address) const;
  // Ascending; neighbouring entries are one range. A range that crosses the origin is two.
  std::vector<AddressRange> RangesOf(PeerName peer) const;
  AddressCount CountOf(PeerName peer) const;
  bool Owns(PeerName peer) const;        // at least one entry
  std::vector<PeerName> Owners() const;  // ascending, without repetition
  // The range of entry `index`, from its token on; the last may cross the end of the universe.
  AddressCount SizeOf(std::size_t index) const;
  // The same as one range, or two where it crosses: ascending.
  absl::InlinedVector<AddressRange, 2> PartsOf(std::size_t index) const;

  // Owners other than `self` with free addresses in entries that overlap `wanted`, in a random order in which those
  // with more come earlier more often (section 6, item 1: weight = free * random in [0, 1), descending).
  std::vector<PeerName> DonorCandidates(PeerName self, const AddressRange& wanted, Random& random) const;

  // ---- changes by the owner (section 4.2); the caller records the ring before it tells anyone ----

  // Brings `free` of every entry of `self` up to date; true when one changed. Changed ones count a version up.
  bool ReportFree(PeerName self, const Space& space);
  // Gives `range`, which must lie in ranges of `self`, to `peer`. Adds at most two tokens.
  void Grant(PeerName self, const AddressRange& range, PeerName peer);
  // All entries of `from` become those of `to`, a hundred versions later for each step. How many addresses that were.
  AddressCount Transfer(PeerName from, PeerName to, std::uint32_t steps = 1);

  // ---- changes by others (section 4.3) ----

  // Takes what is newer in `theirs`, also of our own, used or not: the caller lets Space own RangesOf(self) afterwards.
  // True when this ring is another than before. On an error, whose text says what is incompatible (seeds, range) as the
  // reference peer does, nothing has changed.
  absl::StatusOr<bool> Merge(PeerName self, const Ring& theirs);

  friend bool operator==(const Ring&, const Ring&) = default;

 private:
  // Of a ring that is not empty.
  std::size_t IndexOf(const IpAddress& address) const;
  // One behind the last address of the universe.
  absl::uint128 UniverseEnd() const { return universe_.start.value() + universe_.size; }
  absl::Status Validate() const;
  absl::Status CheckCompatible(const Ring& theirs) const;
  void LimitFree(PeerName self);

  AddressRange universe_;
  std::vector<RingEntry> entries_;
  std::vector<PeerName> seeds_;
};

// For logs and failing tests: "10.0.0.0 aa:..(v3, 7 free), ...".
std::string ToString(const Ring& ring);
inline std::ostream& operator<<(std::ostream& out, const Ring& ring) { return out << ToString(ring); }

}  // namespace weave
