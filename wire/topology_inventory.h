// The payload of the channel "topology inventory", which only our own peers have (docs/mesh.md): who is known in which
// version, so that records travel only to where they are missing.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "wire/topology.h"

namespace weave {

// Which of two records of a peer is the better one: the greater (spec/mesh.md section 6.3).
struct RecordRank {
  std::uint64_t version = 0;
  PeerUid uid = 0;
  bool has_short_id = false;

  friend auto operator<=>(const RecordRank&, const RecordRank&) = default;
};

struct InventoryEntry {
  PeerName name;
  RecordRank rank;

  friend bool operator==(const InventoryEntry&, const InventoryEntry&) = default;
};

// What an entry adds to the digest of a topology, modulo 2^64. It guards against loss, not against forgery: whoever may
// send a digest may send records.
std::uint64_t FingerprintOf(const InventoryEntry& entry);

struct TopologyInventory {
  enum class Kind : std::uint8_t {
    kDigest = 1,  // the sum of all fingerprints: who has another one answers with an offer
    kOffer = 2,   // all records the sender has: who has better ones sends them, and wants those that are better there
    kWant = 3,    // the answer to an offer or to news: records that the other end is to send
    kNews = 4,    // some records the sender has and others may lack: who does wants them
  };

  Kind kind = Kind::kDigest;
  std::uint64_t digest = 0;             // of kDigest
  std::vector<InventoryEntry> offered;  // of kOffer and kNews, in order of names
  std::vector<PeerName> wanted;         // of kWant

  friend bool operator==(const TopologyInventory&, const TopologyInventory&) = default;
};

Bytes EncodeInventory(const TopologyInventory& inventory);
// InvalidArgument for what is malformed, and for a kind that is not known: it is not sent to whoever does not know it.
absl::StatusOr<TopologyInventory> DecodeInventory(ByteView payload);

}  // namespace weave
