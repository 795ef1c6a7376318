// What allocators say to each other (spec/ipam.md sections 2 and 3), as bytes and as values. IPv4, which is all that
// the wire of Weave Net 2.8 can say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "ipam/paxos.h"
#include "ipam/ring.h"

namespace weave {

// The channel's name.
inline constexpr char kIpamChannel[] = "IPallocation";

struct IpamState {
  std::int64_t now = 0;  // the sender's clock, seconds since 1970; ignored by those who hear it
  absl::btree_map<PeerName, std::string> nicknames;
  std::optional<PaxosClaims> paxos;  // present, if only empty: the sender is an elector without a ring
  std::optional<Ring> ring;

  friend bool operator==(const IpamState&, const IpamState&) = default;
};

// Ranges and counts that do not fit the wire are a CHECK: the configuration is IPv4.
Bytes EncodeIpamState(const IpamState& state, PeerName sender);
// InvalidArgument for what is no state, or holds a ring that is not valid.
absl::StatusOr<IpamState> DecodeIpamState(ByteView bytes);

// A ring as a peer of Weave Net 2.8 stores it: the same bytes, in a stream of its own.
absl::StatusOr<Ring> DecodeStoredRing(ByteView bytes);

enum class IpamUnicastKind : std::uint8_t { kSpaceRequest = 0, kRingUpdate = 1, kSpaceRequestDenied = 2 };

struct IpamUnicast {
  IpamUnicastKind kind = IpamUnicastKind::kSpaceRequest;
  AddressRange range;              // of a request or a denial
  std::optional<IpamState> state;  // of a ring update
};

Bytes EncodeSpaceRequest(const AddressRange& range);
Bytes EncodeSpaceRequestDenied(const AddressRange& range);
Bytes EncodeRingUpdate(const IpamState& state, PeerName sender);
// InvalidArgument for an empty one, an unknown kind, an empty or reversed range.
absl::StatusOr<IpamUnicast> DecodeIpamUnicast(ByteView bytes);

}  // namespace weave
