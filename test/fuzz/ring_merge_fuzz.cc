// Fuzz target: a ring of any peer, merged into the rings of peers that own something of the same universe. It is taken
// as a whole or refused as a whole; the result is valid, and the same ring is no news a second time.
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "ipam/ipam_messages.h"

namespace weave {
namespace {

// Of `universe`: what three peers share out, with the last entry over the origin.
Ring OurRing(const AddressRange& universe) {
  Ring ring(universe);
  ring.DivideAmong({PeerName(1), PeerName(2), PeerName(3)});
  std::vector<RingEntry> entries = ring.entries();
  if (entries.size() > 2) entries.erase(entries.begin());
  for (RingEntry& entry : entries) entry.version = 2;
  return Ring::Make(universe, std::move(entries), {}).value();
}

void CheckMerge(PeerName self, const Ring& before, const Ring& theirs) {
  Ring ring = before;
  const auto changed = ring.Merge(self, theirs);
  if (!changed.ok()) {
    CHECK(ring == before) << "a refused ring left something behind";
    return;
  }
  CHECK(*changed == !(ring == before)) << "the ring changed, or not, other than it says";
  const auto valid = Ring::Make(ring.universe(), ring.entries(), ring.seeds());
  CHECK(valid.ok()) << valid.status();
  const Ring once = ring;
  CHECK(ring.Merge(self, theirs).value() == false && ring == once) << "the same ring is news again";
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto state = weave::DecodeIpamState(weave::ByteView(data, size));
  if (!state.ok() || !state->ring.has_value()) return 0;
  const weave::Ring& theirs = *state->ring;
  for (std::uint64_t name = 1; name <= 3; ++name)
    weave::CheckMerge(weave::PeerName(name), weave::OurRing(theirs.universe()), theirs);
  weave::CheckMerge(weave::PeerName(1), weave::Ring(theirs.universe()), theirs);
  return 0;
}
