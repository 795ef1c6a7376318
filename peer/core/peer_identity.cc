#include "peer/core/peer_identity.h"

namespace weave {
namespace {

// A locally administered unicast address, as derived names are.
PeerName RandomName(Random& random) {
  constexpr std::uint64_t kMulticastBit = 1ull << 40;
  constexpr std::uint64_t kLocalBit = 1ull << 41;
  return PeerName((random.Next() & ~kMulticastBit) | kLocalBit);
}

}  // namespace

PeerIdentity ChoosePeerIdentity(std::optional<PeerName> flag, std::optional<PeerName> bridge,
                                std::optional<PeerName> persisted, std::optional<PeerName> derived, Random& random) {
  if (flag.has_value()) return {*flag, PeerNameSource::kFlag};
  if (bridge.has_value()) return {*bridge, PeerNameSource::kBridge};
  if (persisted.has_value()) return {*persisted, PeerNameSource::kPersisted};
  if (derived.has_value()) return {*derived, PeerNameSource::kDerived};
  return {RandomName(random), PeerNameSource::kRandom};
}

}  // namespace weave
