// The addresses this peer owns, and which of them are free (spec/ipam.md sections 6 and 7).
#pragma once

#include <optional>

#include "absl/types/span.h"
#include "base/ip.h"
#include "ipam/address_set.h"

namespace weave {

// Every operation costs the logarithm of the number of free stretches, not of the addresses in use; sums over a part of
// what is owned cost the stretches in it.
class Space {
 public:
  // Owns exactly `ranges` from now on (of one family, disjoint). What stays owned keeps its state; what is new is free;
  // what goes is forgotten, and returned.
  AddressSet SetOwned(absl::Span<const AddressRange> ranges);
  void Clear() { SetOwned({}); }

  bool Owns(const IpAddress& address) const { return owned_.Contains(address); }
  bool IsFree(const IpAddress& address) const { return free_.Contains(address); }
  // All of `range` that is owned is free.
  bool NothingAllocatedIn(const AddressRange& range) const { return owned_.CountIn(range) == free_.CountIn(range); }

  AddressCount owned_count() const { return owned_.count(); }
  AddressCount free_count() const { return free_.count(); }
  AddressCount FreeIn(const AddressRange& range) const { return free_.CountIn(range); }

  // The lowest free address in `range`, now allocated; none when there is none.
  std::optional<IpAddress> Allocate(const AddressRange& range);
  // `address` is owned. False when it was allocated already.
  bool Claim(const IpAddress& address);
  // Of an owned and allocated address.
  void Free(const IpAddress& address);

  // What to give to a peer that asks for space in `range`: the biggest aligned block of a free stretch, or its upper
  // half when it is more than half of all that is free there (section 6). None when nothing is free. A single address
  // is not the first or the last of `range` while there are others: who asks for a subnet can use neither, and two
  // peers that wait would hand it to each other for ever.
  std::optional<AddressRange> Donation(const AddressRange& range) const;

 private:
  std::optional<AddressRange> BlockToGive(const AddressRange& range) const;

  AddressSet owned_;
  AddressSet free_;  // part of owned_
};

}  // namespace weave
