#include "wire/topology.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "wire/gob.h"

namespace weave {

// As they stand on the wire; views into the bytes they came in or go out from.
struct WirePeer {
  ByteView name;
  absl::string_view nickname;
  std::uint64_t uid = 0;
  std::uint64_t version = 0;
  std::uint16_t short_id = 0;
  bool has_short_id = false;
};

struct WireConnection {
  ByteView name;
  absl::string_view remote_address;
  bool outbound = false;
  bool established = false;
};

template <>
struct GobDescription<WirePeer>
    : GobStruct<"peerSummary",  //
                GobField<"NameByte", &WirePeer::name>, GobField<"NickName", &WirePeer::nickname>,
                GobField<"UID", &WirePeer::uid>, GobField<"Version", &WirePeer::version>,
                GobField<"ShortID", &WirePeer::short_id>, GobField<"HasShortID", &WirePeer::has_short_id>> {};

template <>
struct GobDescription<WireConnection>
    : GobStruct<"connectionSummary",  //
                GobField<"NameByte", &WireConnection::name>, GobField<"RemoteTCPAddr", &WireConnection::remote_address>,
                GobField<"Outbound", &WireConnection::outbound>,
                GobField<"Established", &WireConnection::established>> {};

namespace {

// The ids that a fresh encoder gives; EncodeSummary depends on them.
constexpr GobTypeId kPeerTypeId = 65;
constexpr GobTypeId kConnectionsTypeId = 67;

// Before the first peer, and between it and its connections.
struct Definitions {
  Bytes peer;
  Bytes connections;
};

const Definitions& OwnDefinitions() {
  static const Definitions* const kDefinitions = [] {
    GobWriter writer;
    auto* made = new Definitions;
    CHECK(writer.Define<WirePeer>() == kPeerTypeId);
    made->peer = writer.Take();
    CHECK(writer.Define<std::vector<WireConnection>>() == kConnectionsTypeId);
    made->connections = writer.Take();
    return made;
  }();
  return *kDefinitions;
}

absl::StatusOr<PeerName> NameOf(ByteView bytes) {
  if (bytes.size() != kPeerNameSize)
    return absl::InvalidArgumentError(absl::StrCat("peer name of ", bytes.size(), " bytes, want ", kPeerNameSize));
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return PeerName(value);
}

template <typename T>
absl::StatusOr<T> InTopology(absl::StatusOr<T> result) {
  if (!result.ok()) return Annotate(result.status(), "topology");
  return result;
}

absl::StatusOr<TopologyReader::Head> HeadOf(const WirePeer& peer) {
  TopologyReader::Head head;
  ASSIGN_OR_RETURN(head.name, NameOf(peer.name));
  if (peer.short_id > kMaxShortId)
    return absl::InvalidArgumentError(
        absl::StrCat("short id ", peer.short_id, " of ", head.name.ToString(), ", want at most ", kMaxShortId));
  head.nickname = peer.nickname;
  head.uid = peer.uid;
  head.version = peer.version;
  if (peer.has_short_id) head.short_id = peer.short_id;
  return head;
}

// The decoder's short way through a value of our own definition. False for whatever it would complain of.
bool ReadPlain(ByteView value, WirePeer& peer) {
  GobInput in(value);
  const auto read = [&](std::uint64_t field) {
    std::uint64_t number = 0;
    ByteView bytes;
    if (field == 1) return in.ByteString(peer.name).ok();
    if (field == 2) {
      if (!in.ByteString(bytes).ok()) return false;
      peer.nickname = AsText(bytes);
      return true;
    }
    if (field == 3) return in.Uint(peer.uid).ok();
    if (field == 4) return in.Uint(peer.version).ok();
    if (field > 6 || !in.Uint(number).ok()) return false;
    if (field == 6) peer.has_short_id = number != 0;
    if (field == 5) peer.short_id = static_cast<std::uint16_t>(number);
    return number <= std::numeric_limits<std::uint16_t>::max();
  };
  for (std::uint64_t field = 0;;) {
    std::uint64_t delta = 0;
    if (!in.Uint(delta).ok()) return false;
    if (delta == 0) return in.empty();
    field += std::min<std::uint64_t>(delta, 7);
    if (!read(field)) return false;
  }
}

}  // namespace

// One element at a time into what is asked for: nothing of the list is held twice, and a list of empty elements ends at
// the first.
template <>
struct GobCodec<std::vector<ConnectionSummary>> {
  static constexpr const GobType& kType = GobCodec<std::vector<WireConnection>>::kType;

  static absl::Status Decode(GobInput& in, const GobDefinitions& definitions, GobTypeId id,
                             std::vector<ConnectionSummary>& connections) {
    std::size_t count = 0;
    RETURN_IF_ERROR(in.Count(count));
    connections.reserve(std::min(count, in.rest().size() / kMinElementSize));
    const GobTypeId element = definitions.Find(id)->element;
    for (std::size_t i = 0; i < count; ++i) {
      WireConnection wire;
      RETURN_IF_ERROR(GobCodec<WireConnection>::Decode(in, definitions, element, wire));
      ASSIGN_OR_RETURN(const PeerName peer, NameOf(wire.name));
      connections.push_back({peer, std::string(wire.remote_address), wire.outbound, wire.established});
    }
    return absl::OkStatus();
  }

  // Field number, name, end.
  static constexpr std::size_t kMinElementSize = 1 + 1 + kPeerNameSize + 1;
};

EncodedSummary EncodeSummary(const PeerSummary& summary) {
  const auto name = summary.name.ToMac().bytes();
  const WirePeer peer{.name = name,
                      .nickname = summary.nickname,
                      .uid = summary.uid,
                      .version = summary.version,
                      .short_id = summary.short_id.value_or(0),
                      .has_short_id = summary.short_id.has_value()};
  EncodedSummary encoded;
  AppendGobMessage(kPeerTypeId, peer, encoded.summary);

  std::vector<std::array<std::uint8_t, kPeerNameSize>> names;
  std::vector<WireConnection> connections;
  names.reserve(summary.connections.size());
  connections.reserve(summary.connections.size());
  for (const ConnectionSummary& connection : summary.connections) {
    names.push_back(connection.peer.ToMac().bytes());
    connections.push_back({.name = names.back(),
                           .remote_address = connection.remote_address,
                           .outbound = connection.outbound,
                           .established = connection.established});
  }
  AppendGobMessage(kConnectionsTypeId, connections, encoded.connections);
  encoded.summary.shrink_to_fit();  // they live as long as the record
  encoded.connections.shrink_to_fit();
  return encoded;
}

Bytes EncodeTopology(absl::Span<const EncodedSummary* const> summaries) {
  Bytes update;
  if (summaries.empty()) return update;
  const Definitions& definitions = OwnDefinitions();
  std::size_t size = definitions.peer.size() + definitions.connections.size();
  for (const EncodedSummary* summary : summaries) size += summary->summary.size() + summary->connections.size();
  update.reserve(size);
  const auto append = [&update](const Bytes& bytes) { update.insert(update.end(), bytes.begin(), bytes.end()); };
  append(definitions.peer);
  for (const EncodedSummary* summary : summaries) {
    append(summary->summary);
    if (summary == summaries.front()) append(definitions.connections);
    append(summary->connections);
  }
  return update;
}

class TopologyReader::Impl {
 public:
  explicit Impl(ByteView update) : reader_(update), plain_(StartsWith(update, OwnDefinitions().peer)) {}

  absl::StatusOr<bool> Advance() {
    if (connections_pending_) RETURN_IF_ERROR(reader_.Skip<std::vector<ConnectionSummary>>());
    connections_pending_ = false;
    ASSIGN_OR_RETURN(const bool more, reader_.HasValue());
    if (!more) return false;
    WirePeer peer;
    const bool plain = plain_ && reader_.value_type() == kPeerTypeId;
    summary_ = plain ? reader_.message() : ByteView();
    if (plain && ReadPlain(reader_.value(), peer)) {
      RETURN_IF_ERROR(reader_.Skip<WirePeer>());
    } else {
      peer = {};
      RETURN_IF_ERROR(reader_.Read(peer));
    }
    ASSIGN_OR_RETURN(head_, HeadOf(peer));
    connections_pending_ = true;
    // Behind the first peer stand the definitions that its connections need.
    if (!std::exchange(definitions_seen_, true))
      plain_ = plain_ && StartsWith(reader_.rest(), OwnDefinitions().connections);
    return true;
  }

  const Head& head() const { return head_; }

  absl::StatusOr<std::optional<PlainBytes>> Plain() {
    CHECK(connections_pending_);
    ASSIGN_OR_RETURN(const bool more, reader_.HasValue());
    if (!more || !plain_ || summary_.empty() || reader_.value_type() != kConnectionsTypeId) return std::nullopt;
    return PlainBytes{summary_, reader_.message()};
  }

  absl::StatusOr<std::vector<ConnectionSummary>> Connections() {
    CHECK(connections_pending_) << "connections of a peer are read once, after the peer";
    connections_pending_ = false;
    std::vector<ConnectionSummary> connections;
    RETURN_IF_ERROR(reader_.Read(connections));
    return connections;
  }

 private:
  static bool StartsWith(ByteView bytes, ByteView start) {
    return bytes.size() >= start.size() && bytes.first(start.size()) == start;
  }

  GobReader reader_;
  bool plain_;  // types are defined as we do
  bool definitions_seen_ = false;
  Head head_;
  ByteView summary_;  // message of the peer; empty: not plain
  bool connections_pending_ = false;
};

TopologyReader::TopologyReader(ByteView update) : impl_(std::make_unique<Impl>(update)) {}
TopologyReader::~TopologyReader() = default;

const TopologyReader::Head& TopologyReader::head() const { return impl_->head(); }

PeerSummary TopologyReader::Summary() const {
  PeerSummary summary;
  summary.name = head().name;
  summary.nickname = std::string(head().nickname);
  summary.uid = head().uid;
  summary.version = head().version;
  summary.short_id = head().short_id;
  return summary;
}

absl::StatusOr<bool> TopologyReader::Advance() { return InTopology(impl_->Advance()); }
absl::StatusOr<std::optional<TopologyReader::PlainBytes>> TopologyReader::Plain() { return InTopology(impl_->Plain()); }
absl::StatusOr<std::vector<ConnectionSummary>> TopologyReader::Connections() {
  return InTopology(impl_->Connections());
}

absl::StatusOr<std::optional<PeerSummary>> TopologyReader::Next() {
  ASSIGN_OR_RETURN(const bool more, Advance());
  if (!more) return std::nullopt;
  return Summary();
}

}  // namespace weave
