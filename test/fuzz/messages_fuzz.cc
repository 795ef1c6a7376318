// Fuzz target: a protocol message of a peer that has introduced itself. What is read can be written, and is then read
// as the same.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "wire/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weave::ByteView message(data, size);
  const absl::StatusOr<weave::GossipMessage> gossip = weave::DecodeGossip(message);
  if (!gossip.ok()) {
    CHECK(gossip.status().code() == absl::StatusCode::kInvalidArgument) << gossip.status();
    return 0;
  }
  CHECK(gossip->channel.size() + gossip->payload.size() < size) << "views reach beyond the message";
  const weave::Bytes written = weave::EncodeGossip(static_cast<weave::MessageTag>(data[0]), *gossip);
  const absl::StatusOr<weave::GossipMessage> again = weave::DecodeGossip(written);
  CHECK(again.ok() && again->channel == gossip->channel && again->source == gossip->source &&
        again->destination == gossip->destination && again->payload == gossip->payload)
      << "gossip changed on its way out and back";
  return 0;
}
