// The introduction of two peers: version header, encryption flag and feature map (spec/mesh.md section 2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "wire/session.h"
#include "wire/topology.h"

namespace weave {

inline constexpr int kMinProtocolVersion = 1;
inline constexpr int kMaxProtocolVersion = 2;
inline constexpr std::size_t kVersionHeaderSize = 7;

struct VersionRange {
  int min = kMinProtocolVersion;
  int max = kMaxProtocolVersion;

  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};

Bytes EncodeVersionHeader(VersionRange range);
// `header` has kVersionHeaderSize bytes. InvalidArgument when it is not from a peer.
absl::StatusOr<VersionRange> DecodeVersionHeader(ByteView header);
// The version both use. FailedPrecondition naming both ranges when there is none.
absl::StatusOr<int> ChooseVersion(VersionRange ours, VersionRange theirs);

// Of a list of channels that somebody announces.
inline constexpr std::size_t kMaxChannelListSize = 1024;

struct Features {
  PeerName name;
  std::string nickname;
  PeerUid uid = 0;                      // never 0 on the wire
  std::uint64_t connection_id = 0;      // ConnID
  std::optional<ShortId> short_id;      // version 2 only, like the next four
  bool trusted = false;                 // the sender trusts the receiver's address
  std::optional<std::string> overlays;  // names in order of preference, separated by blanks
  bool inventory = false;               // the sender has the channel "topology inventory"; 2.8 ignores the key
  std::string compared_channels;        // whose states the sender can compare, separated by blanks; 2.8 ignores the key
  std::optional<PublicKey> public_key;  // version 1 only

  friend bool operator==(const Features&, const Features&) = default;
};

// The gob stream (definition and value) of the feature map of protocol `version`; keys in alphabetical order.
Bytes EncodeFeatures(const Features& features, int version);
// InvalidArgument for a missing, malformed or foreign feature, naming it. Unknown keys are ignored, in version 1 also
// those that only version 2 has.
absl::StatusOr<Features> DecodeFeatures(ByteView stream, int version);

}  // namespace weave
