// What a driver could get wrong of what the allocator relies on (docs/ipam.md, "Durability"). Tests show that a checker
// notices each.
#pragma once

#include <vector>

#include "peer/core/peer_output.h"
#include "peer/core/records.h"

namespace weave::sim {

enum class IpamMutant {
  kNone,
  kAnswerBeforeDurable,  // callers are told of addresses whose rows are not on disk
  kTellBeforeDurable,    // peers are told of a ring, of promises and of votes that are not
  kFreeBeforeDurable,    // an address is free again while the row of its former holder is there
  kTellNothing,          // peers are told only what the periodic gossip brings
  kForgetPromises,       // a restart forgets what was promised in the election
  kForgetVotes,          // and in the council
};

// What the mutant would not wait for: it goes back by PeerCore::OnReleased at once. Empty: nothing.
AllocatorOutput TakeEarly(IpamMutant mutant, AllocatorOutput& output);

// What a start finds on disk.
void Forget(IpamMutant mutant, std::vector<Record>& records);

}  // namespace weave::sim
