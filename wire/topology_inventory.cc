#include "wire/topology_inventory.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wire/gob.h"

namespace weave {

// Peers stand in one byte slice, each in the same number of bytes: there are many, and gob's own forms are larger and
// slower to read.
struct WireInventory {
  std::uint8_t kind = 0;
  std::uint64_t digest = 0;
  Bytes peers;
};

template <>
struct GobDescription<WireInventory>
    : GobStruct<"topologyInventory",  //
                GobField<"Kind", &WireInventory::kind>, GobField<"Digest", &WireInventory::digest>,
                GobField<"Peers", &WireInventory::peers>> {};

namespace {

constexpr std::size_t kNumberSize = 8;
constexpr std::size_t kEntrySize =
    kPeerNameSize + 2 * kNumberSize + 1;  // name, version, uid, whether there is a short id

absl::Status CheckSize(ByteView peers, std::size_t size) {
  if (peers.size() % size == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("topology inventory: peers in ", peers.size(), " bytes, want a multiple of ", size));
}

std::uint64_t Mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 32);
}

}  // namespace

std::uint64_t FingerprintOf(const InventoryEntry& entry) {
  std::uint64_t hash = Mix(0, entry.name.value());
  hash = Mix(hash, entry.rank.version);
  hash = Mix(hash, entry.rank.uid);
  return Mix(hash, entry.rank.has_short_id ? 2 : 1);
}

Bytes EncodeInventory(const TopologyInventory& inventory) {
  WireInventory wire;
  wire.kind = static_cast<std::uint8_t>(inventory.kind);
  wire.digest = inventory.digest;
  wire.peers.reserve(inventory.offered.size() * kEntrySize + inventory.wanted.size() * kPeerNameSize);
  for (const InventoryEntry& entry : inventory.offered) {
    AppendBigEndian(entry.name.value(), kPeerNameSize, wire.peers);
    AppendBigEndian(entry.rank.version, kNumberSize, wire.peers);
    AppendBigEndian(entry.rank.uid, kNumberSize, wire.peers);
    wire.peers.push_back(entry.rank.has_short_id ? 1 : 0);
  }
  for (const PeerName name : inventory.wanted) AppendBigEndian(name.value(), kPeerNameSize, wire.peers);
  GobWriter writer;
  writer.Write(wire);
  return writer.Take();
}

absl::StatusOr<TopologyInventory> DecodeInventory(ByteView payload) {
  GobReader reader(payload);
  WireInventory wire;
  RETURN_IF_ERROR(Annotate(reader.Read(wire), "topology inventory"));
  TopologyInventory inventory;
  inventory.kind = static_cast<TopologyInventory::Kind>(wire.kind);
  ByteView peers = wire.peers;
  switch (inventory.kind) {
    case TopologyInventory::Kind::kDigest:
      inventory.digest = wire.digest;
      return inventory;
    case TopologyInventory::Kind::kOffer:
    case TopologyInventory::Kind::kNews:
      RETURN_IF_ERROR(CheckSize(peers, kEntrySize));
      inventory.offered.reserve(peers.size() / kEntrySize);
      while (!peers.empty()) {
        InventoryEntry& entry = inventory.offered.emplace_back();
        entry.name = PeerName(TakeBigEndian(kPeerNameSize, peers));
        entry.rank.version = TakeBigEndian(kNumberSize, peers);
        entry.rank.uid = TakeBigEndian(kNumberSize, peers);
        entry.rank.has_short_id = TakeBigEndian(1, peers) != 0;
      }
      return inventory;
    case TopologyInventory::Kind::kWant:
      RETURN_IF_ERROR(CheckSize(peers, kPeerNameSize));
      inventory.wanted.reserve(peers.size() / kPeerNameSize);
      while (!peers.empty()) inventory.wanted.emplace_back(TakeBigEndian(kPeerNameSize, peers));
      return inventory;
  }
  return absl::InvalidArgumentError(absl::StrCat("topology inventory of kind ", wire.kind, ", want 1 to 4"));
}

}  // namespace weave
