// Checkers of the ring: they look at all peers at once, and know what they are to agree on. OK, or Internal naming the
// first promise that is broken.
#pragma once

#include <vector>

#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "ipam/allocator.h"
#include "sim/checker.h"

namespace weave::sim {

using Allocators = absl::Span<const Allocator* const>;

// At any instant: no address is owned by two peers, each by its own word; none is in use where it is not owned.
absl::Status CheckOwners(Allocators allocators);

// At rest, when all have had time to hear of each other: one ring, down to versions; it covers the range and belongs to
// these peers alone; what it says of free addresses is what its owners have; one council. What is said to be free at
// `forgetful` peers, whose disks were lost, may differ: two of their lives may have said it in one version.
absl::Status CheckRings(Allocators allocators, const absl::btree_set<PeerName>& forgetful = {});

// Nobody waits for what there is: every claim is decided, and who waits for an address of a subnet waits because no
// peer has a free one there.
absl::Status CheckServed(Allocators allocators);

// What this host's callers were told to be theirs, the allocator has on record.
absl::Status CheckGiven(const NetworkOracle& oracle, HostId host, const Allocator& allocator);

}  // namespace weave::sim
