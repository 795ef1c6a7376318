#include "wire/messages.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "wire/gob.h"

namespace weave {
namespace {

// More than the envelope takes beside channel and payload: tag, four message headers, two names, two sizes.
constexpr std::size_t kEnvelopeSize = 64;

template <typename T>
void Append(const T& value, Bytes& out) {
  AppendGobMessage(static_cast<GobTypeId>(GobCodec<T>::kType.kind), value, out);
}

bool IsGossip(std::uint8_t tag) {
  return tag >= static_cast<std::uint8_t>(MessageTag::kGossip) &&
         tag <= static_cast<std::uint8_t>(MessageTag::kGossipBroadcast);
}

}  // namespace

Bytes EncodeHeartbeat() { return {static_cast<std::uint8_t>(MessageTag::kHeartbeat)}; }

Bytes EncodeGossip(MessageTag tag, const GossipMessage& message) {
  CHECK(IsGossip(static_cast<std::uint8_t>(tag))) << static_cast<int>(tag);
  Bytes out;
  out.reserve(message.channel.size() + message.payload.size() + kEnvelopeSize);
  out.push_back(static_cast<std::uint8_t>(tag));
  Append(message.channel, out);
  Append(message.source, out);
  if (tag == MessageTag::kGossipUnicast) Append(message.destination, out);
  AppendGobBytesMessage(message.payload, out);
  return out;
}

absl::StatusOr<GossipMessage> DecodeGossip(ByteView message) {
  if (message.empty() || !IsGossip(message.front()))
    return absl::InvalidArgumentError(
        absl::StrCat("gossip: message ", message.empty() ? "without tag" : absl::StrCat("with tag ", message.front()),
                     ", want 4 to 6"));
  GobReader reader(message.subspan(1));
  GossipMessage gossip;
  const auto read = [&](auto& value, absl::string_view what) { return Annotate(reader.Read(value), what); };
  RETURN_IF_ERROR(read(gossip.channel, "gossip, channel"));
  RETURN_IF_ERROR(read(gossip.source, "gossip, source"));
  if (message.front() == static_cast<std::uint8_t>(MessageTag::kGossipUnicast))
    RETURN_IF_ERROR(read(gossip.destination, "gossip, destination"));
  RETURN_IF_ERROR(read(gossip.payload, "gossip, payload"));
  return gossip;
}

}  // namespace weave
