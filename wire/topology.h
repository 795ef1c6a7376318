// The payload of the channel "topology": what peers say about themselves and their connections (spec/mesh.md
// section 6).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/peer_name.h"

namespace weave {

using PeerUid = std::uint64_t;  // 0: not known
using ShortId = std::uint16_t;  // 0..4095

inline constexpr ShortId kMaxShortId = 4095;
inline constexpr std::size_t kPeerNameSize = 6;  // bytes of a name on the wire

struct ConnectionSummary {
  PeerName peer;               // the other end
  std::string remote_address;  // `host:port` as the owner of the record sees the other end; not checked
  bool outbound = false;
  bool established = false;

  friend bool operator==(const ConnectionSummary&, const ConnectionSummary&) = default;
};

// What a peer announces of itself. Immutable and shared once it is known.
struct PeerSummary {
  PeerName name;
  std::string nickname;
  PeerUid uid = 0;
  std::uint64_t version = 0;
  std::optional<ShortId> short_id;
  std::vector<ConnectionSummary> connections;  // in the order of the wire

  friend bool operator==(const PeerSummary&, const PeerSummary&) = default;
};

// A summary as bytes of our own encoder. They depend on nothing before them in the stream, so one encoding serves every
// update the summary is part of.
struct EncodedSummary {
  Bytes summary;      // gob message with the value of the six fields
  Bytes connections;  // gob message with the slice of connections
};

EncodedSummary EncodeSummary(const PeerSummary& summary);

// An update: type definitions once, then the pairs in the order given. Byte for byte what a fresh encoder of the
// reference peer writes for the same order. Empty for no summaries.
Bytes EncodeTopology(absl::Span<const EncodedSummary* const> summaries);

// Walks through an update from any implementation: any type ids, names and order of fields. Connection lists are
// decoded only when asked for, and nothing is copied before: most of what arrives is known already.
class TopologyReader {
 public:
  // `update` outlives the reader.
  explicit TopologyReader(ByteView update);
  ~TopologyReader();
  TopologyReader(const TopologyReader&) = delete;
  TopologyReader& operator=(const TopologyReader&) = delete;

  // Goes to the next peer. False: the update ends. Connections of the one before that nobody asked for are skipped.
  // InvalidArgument for anything malformed, here and below; nothing may be called after that.
  absl::StatusOr<bool> Advance();

  // What the peer says of itself; the nickname is a view into the update.
  struct Head {
    PeerName name;
    absl::string_view nickname;
    PeerUid uid = 0;
    std::uint64_t version = 0;
    std::optional<ShortId> short_id;
  };
  const Head& head() const;
  // The same as a summary, `connections` left empty.
  PeerSummary Summary() const;

  // The connections of the peer; once.
  absl::StatusOr<std::vector<ConnectionSummary>> Connections();

  // Advance and Summary; none at the end.
  absl::StatusOr<std::optional<PeerSummary>> Next();

  // The bytes of the peer, as EncodedSummary has them: somebody may have decoded the same before. Before Connections.
  // None where they depend on what else stands in the update.
  struct PlainBytes {
    ByteView summary;
    ByteView connections;
  };
  absl::StatusOr<std::optional<PlainBytes>> Plain();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
