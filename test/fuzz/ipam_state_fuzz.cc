// Fuzz target: an allocator's state of any peer. What is read can be written, and is then read as the same.
#include <cstdint>

#include "base/check.h"
#include "ipam/ipam_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto state = weave::DecodeIpamState(weave::ByteView(data, size));
  if (!state.ok()) return 0;
  // An empty ring may be heard, but is not told.
  if (state->ring.has_value() && state->ring->empty()) state->ring.reset();
  CHECK(state->nicknames.size() <= size) << "more nicknames than bytes";
  CHECK(!state->ring.has_value() || state->ring->entries().size() <= size) << "more entries than bytes";
  const auto again = weave::DecodeIpamState(weave::EncodeIpamState(*state, weave::PeerName(1)));
  CHECK(again.ok()) << again.status();
  CHECK(*again == *state) << "a state changed on its way out and back";
  return 0;
}
