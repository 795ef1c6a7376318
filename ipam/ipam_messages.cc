#include "ipam/ipam_messages.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "wire/gob.h"

namespace weave {

// As they stand on the wire (spec/gob.md section 6). Type names are those of the blocks in its section 7.
struct WireRange {
  std::uint32_t start = 0;
  std::uint32_t end = 0;
};

struct WireRingEntry {
  std::uint32_t token = 0;
  PeerName peer;
  std::uint32_t version = 0;
  std::uint32_t free = 0;
};

struct WireRing {
  std::uint32_t start = 0;
  std::uint32_t end = 0;
  PeerName sender;
  std::vector<RingEntry> entries;
  std::vector<PeerName> seeds;
};

struct WireIpamState {
  std::int64_t now = 0;
  absl::btree_map<PeerName, std::string> nicknames;
  std::optional<PaxosClaims> paxos;
  std::optional<WireRing> ring;
};

template <>
struct GobDescription<WireRange>
    : GobStruct<"Range", GobField<"Start", &WireRange::start>, GobField<"End", &WireRange::end>> {};

template <>
struct GobDescription<PaxosNodeId>
    : GobStruct<"", GobField<"Name", &PaxosNodeId::name>, GobField<"UID", &PaxosNodeId::uid>> {};

template <>
struct GobDescription<ProposalId>
    : GobStruct<"ProposalID", GobField<"Round", &ProposalId::round>, GobField<"Proposer", &ProposalId::proposer>> {};

template <>
struct GobDescription<AcceptedValue> : GobStruct<"AcceptedValue", GobField<"Value", &AcceptedValue::peers, "Value">,
                                                 GobField<"Origin", &AcceptedValue::origin>> {};

template <>
struct GobDescription<NodeClaims>
    : GobStruct<"", GobField<"Promise", &NodeClaims::promise>, GobField<"Accepted", &NodeClaims::accepted>,
                GobField<"AcceptedVal", &NodeClaims::value>> {};

template <>
struct GobDescription<WireRingEntry>
    : GobStruct<"", GobField<"Token", &WireRingEntry::token>, GobField<"Peer", &WireRingEntry::peer>,
                GobField<"Version", &WireRingEntry::version>, GobField<"Free", &WireRingEntry::free>> {};

namespace {

constexpr absl::uint128 kEndOfV4 = absl::uint128(1) << 32;

// Ranges and counts that 32 bits hold.
std::uint32_t Fit(absl::uint128 number) {
  CHECK(number <= std::numeric_limits<std::uint32_t>::max()) << number;
  return static_cast<std::uint32_t>(number);
}

// The end of a range that includes 255.255.255.255 is 0 in 32 bits.
std::uint32_t EndOf(const AddressRange& range) {
  const absl::uint128 end = range.start.v4() + range.size;
  return end == kEndOfV4 ? 0 : Fit(end);
}

absl::StatusOr<AddressRange> RangeOf(std::uint32_t start, std::uint32_t end) {
  const absl::uint128 behind = end == 0 ? kEndOfV4 : end;
  if (behind <= start || (start == 0 && end == 0))
    return absl::InvalidArgumentError(absl::StrCat("IP range ", IpAddress::V4(start).ToString(), "-",
                                                   IpAddress::V4(end).ToString(), ", want addresses between the two"));
  return AddressRange{IpAddress::V4(start), behind - start};
}

}  // namespace

// One entry at a time into what is asked for: nothing of the list is held twice, and a list of empty entries ends at
// the second.
template <GobText kTypeName>
struct GobCodec<std::vector<RingEntry>, kTypeName> {
  static constexpr GobType kType{
      .kind = GobKind::kSlice, .name = kTypeName.view(), .element = &GobCodec<WireRingEntry>::kType};
  static bool Omitted(const std::vector<RingEntry>& entries) { return entries.empty(); }

  static void Encode(const std::vector<RingEntry>& entries, Bytes& out) {
    AppendGobUint(entries.size(), out);
    for (const RingEntry& entry : entries)
      GobCodec<WireRingEntry>::Encode({entry.token.v4(), entry.peer, entry.version, Fit(entry.free)}, out);
  }

  static absl::Status Decode(GobInput& in, const GobDefinitions& definitions, GobTypeId id,
                             std::vector<RingEntry>& entries) {
    std::size_t count = 0;
    RETURN_IF_ERROR(in.Count(count));
    entries.clear();
    entries.reserve(std::min(count, in.rest().size() / kUsualEntrySize));
    const GobTypeId element = definitions.Find(id)->element;
    for (std::size_t i = 0; i < count; ++i) {
      WireRingEntry wire;
      RETURN_IF_ERROR(GobCodec<WireRingEntry>::Decode(in, definitions, element, wire));
      const IpAddress token = IpAddress::V4(wire.token);
      if (!entries.empty() && token <= entries.back().token) return absl::InvalidArgumentError("Ring not sorted");
      entries.push_back({token, wire.peer, wire.version, wire.free});
    }
    return absl::OkStatus();
  }

  // Field numbers, token, a short name, end.
  static constexpr std::size_t kUsualEntrySize = 9;
};

template <>
struct GobDescription<WireRing>
    : GobStruct<"Ring", GobField<"Start", &WireRing::start>, GobField<"End", &WireRing::end>,
                GobField<"Peer", &WireRing::sender>, GobField<"Entries", &WireRing::entries, "entries">,
                GobField<"Seeds", &WireRing::seeds, "[]main.PeerName">> {};

template <>
struct GobDescription<WireIpamState>
    : GobStruct<"gossipState", GobField<"Now", &WireIpamState::now>,
                GobField<"Nicknames", &WireIpamState::nicknames, "map[main.PeerName]string">,
                GobField<"Paxos", &WireIpamState::paxos, "GossipState">, GobField<"Ring", &WireIpamState::ring>> {};

namespace {

template <typename T>
Bytes EncodeStream(const T& value) {
  GobWriter writer;
  writer.Write(value);
  return writer.Take();
}

Bytes WithKind(IpamUnicastKind kind, Bytes content) {
  content.insert(content.begin(), static_cast<std::uint8_t>(kind));
  return content;
}

absl::StatusOr<Ring> RingOf(WireRing wire) {
  ASSIGN_OR_RETURN(const AddressRange universe, RangeOf(wire.start, wire.end));
  return Ring::Make(universe, std::move(wire.entries), std::move(wire.seeds));
}

Bytes EncodeRange(const AddressRange& range) { return EncodeStream(WireRange{range.start.v4(), EndOf(range)}); }

absl::StatusOr<AddressRange> DecodeRange(ByteView bytes) {
  WireRange wire;
  GobReader reader(bytes);
  RETURN_IF_ERROR(Annotate(reader.Read(wire), "IP space request"));
  return RangeOf(wire.start, wire.end);
}

}  // namespace

Bytes EncodeIpamState(const IpamState& state, PeerName sender) {
  WireIpamState wire{.now = state.now, .nicknames = state.nicknames, .paxos = state.paxos, .ring = std::nullopt};
  if (state.ring.has_value()) {
    const Ring& ring = *state.ring;
    CHECK(!ring.empty()) << "an empty ring is not told";
    wire.ring = WireRing{.start = ring.universe().start.v4(),
                         .end = EndOf(ring.universe()),
                         .sender = sender,
                         .entries = ring.entries(),
                         .seeds = ring.seeds()};
  }
  return EncodeStream(wire);
}

absl::StatusOr<IpamState> DecodeIpamState(ByteView bytes) {
  WireIpamState wire;
  GobReader reader(bytes);
  RETURN_IF_ERROR(Annotate(reader.Read(wire), "IP allocation state"));
  IpamState state{
      .now = wire.now, .nicknames = std::move(wire.nicknames), .paxos = std::move(wire.paxos), .ring = std::nullopt};
  if (wire.ring.has_value()) {
    ASSIGN_OR_RETURN(state.ring, RingOf(*std::move(wire.ring)));
  }
  return state;
}

absl::StatusOr<Ring> DecodeStoredRing(ByteView bytes) {
  WireRing wire;
  GobReader reader(bytes);
  RETURN_IF_ERROR(reader.Read(wire));
  return RingOf(std::move(wire));
}

Bytes EncodeSpaceRequest(const AddressRange& range) {
  return WithKind(IpamUnicastKind::kSpaceRequest, EncodeRange(range));
}

Bytes EncodeSpaceRequestDenied(const AddressRange& range) {
  return WithKind(IpamUnicastKind::kSpaceRequestDenied, EncodeRange(range));
}

Bytes EncodeRingUpdate(const IpamState& state, PeerName sender) {
  return WithKind(IpamUnicastKind::kRingUpdate, EncodeIpamState(state, sender));
}

absl::StatusOr<IpamUnicast> DecodeIpamUnicast(ByteView bytes) {
  if (bytes.empty()) return absl::InvalidArgumentError("IP allocation: empty message");
  const ByteView content = bytes.subspan(1);
  IpamUnicast message{.kind = static_cast<IpamUnicastKind>(bytes.front()), .range = {}, .state = std::nullopt};
  switch (message.kind) {
    case IpamUnicastKind::kSpaceRequest:
    case IpamUnicastKind::kSpaceRequestDenied: {
      ASSIGN_OR_RETURN(message.range, DecodeRange(content));
      return message;
    }
    case IpamUnicastKind::kRingUpdate: {
      ASSIGN_OR_RETURN(message.state, DecodeIpamState(content));
      return message;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("IP allocation: message of kind ", static_cast<int>(bytes.front()), ", want 0 to 2"));
}

}  // namespace weave
