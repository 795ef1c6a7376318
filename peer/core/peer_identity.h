// Which name a peer takes when it starts.
#pragma once

#include <optional>

#include "base/peer_name.h"
#include "base/random.h"

namespace weave {

enum class PeerNameSource { kFlag, kBridge, kPersisted, kDerived, kRandom };

struct PeerIdentity {
  PeerName name;
  PeerNameSource source;
};

// The first that is known: the flag, the MAC of an existing bridge (other peers and containers know us by it), the name
// of the last run, the one derived from this machine, and when the machine has no identity a random one
// (spec/overlay.md section 9, contract A7-15).
PeerIdentity ChoosePeerIdentity(std::optional<PeerName> flag, std::optional<PeerName> bridge,
                                std::optional<PeerName> persisted, std::optional<PeerName> derived, Random& random);

}  // namespace weave
