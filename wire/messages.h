// Protocol messages on a connection whose handshake is done (spec/mesh.md section 4). Decoded messages are views into
// the bytes they came in.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/peer_name.h"

namespace weave {

enum class MessageTag : std::uint8_t {
  kHeartbeat = 0,
  kSleeveEstablished = 1,  // 1..3: overlay control of a remote without overlay selection
  kSleeveFragmentationReceived = 2,
  kSleeveMtuVerified = 3,
  kGossip = 4,
  kGossipUnicast = 5,
  kGossipBroadcast = 6,
  kOverlayControl = 7,
};

// The largest message, the secretbox included (spec/mesh.md section 2.3).
inline constexpr std::size_t kMaxMessageSize = 10485760;

// Tags 4, 5 and 6.
struct GossipMessage {
  absl::string_view channel;
  PeerName source;       // tag 4: the immediate sender; 5, 6: the originator
  PeerName destination;  // tag 5 only
  ByteView payload;
};

// With the tag as the first byte.
Bytes EncodeHeartbeat();
Bytes EncodeGossip(MessageTag tag, const GossipMessage& message);

// `message` starts with the tag, which says whether there is a destination. InvalidArgument for what cannot be decoded.
absl::StatusOr<GossipMessage> DecodeGossip(ByteView message);

}  // namespace weave
