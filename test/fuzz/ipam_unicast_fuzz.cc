// Fuzz target: what one allocator says to another. What is read can be written, and is then read as the same.
#include <cstdint>

#include "base/check.h"
#include "ipam/ipam_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto message = weave::DecodeIpamUnicast(weave::ByteView(data, size));
  if (!message.ok()) return 0;
  CHECK(static_cast<std::uint8_t>(message->kind) == data[0]);
  CHECK(message->state.has_value() == (message->kind == weave::IpamUnicastKind::kRingUpdate));
  if (message->state.has_value()) return 0;  // ipam_state_fuzz
  CHECK(message->range.size > 0);
  const weave::Bytes bytes = message->kind == weave::IpamUnicastKind::kSpaceRequest
                                 ? weave::EncodeSpaceRequest(message->range)
                                 : weave::EncodeSpaceRequestDenied(message->range);
  const auto again = weave::DecodeIpamUnicast(bytes);
  CHECK(again.ok() && again->kind == message->kind && again->range == message->range)
      << "a range changed on its way out and back";
  return 0;
}
