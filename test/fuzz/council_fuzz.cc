// Fuzz target: what peers of a council say to each other, and what one of them stored. What is read can be written, and
// is then read as the same.
#include <cstdint>

#include "base/check.h"
#include "ipam/council_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weave::ByteView bytes(data, size);
  if (const auto memory = weave::DecodeCouncilMemory(bytes); memory.ok())
    CHECK(weave::DecodeCouncilMemory(weave::EncodeCouncilMemory(*memory)) == memory) << "a memory changed";
  const auto message = weave::DecodeCouncilMessage(bytes);
  if (!message.ok() || message->body.index() == 0) return 0;
  CHECK(weave::DecodeCouncilMessage(weave::EncodeCouncilMessage(*message)) == message) << "a message changed";
  return 0;
}
