#include "wire/topology_inventory.h"

#include <limits>

#include "test/support/catch.h"

namespace weave {
namespace {

using Kind = TopologyInventory::Kind;

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("An inventory is read as it was written", "[wire]") {
  TopologyInventory inventory;
  SECTION("digest") { inventory.digest = kLargest; }
  SECTION("offer, also of nothing") {
    inventory.kind = GENERATE(Kind::kOffer, Kind::kNews);
    if (GENERATE(true, false))
      inventory.offered = {{PeerName(1), {}}, {PeerName(0xffffffffffff), {kLargest, kLargest - 1, true}}};
  }
  SECTION("want") {
    inventory.kind = Kind::kWant;
    inventory.wanted = {PeerName(0x020000000001), PeerName(7)};
  }
  CHECK(DecodeInventory(EncodeInventory(inventory)).value() == inventory);
}

TEST_CASE("An inventory that is cut short, of another kind or no gob at all is refused", "[wire]") {
  TopologyInventory inventory;
  inventory.kind = Kind::kOffer;
  inventory.offered = {{PeerName(1), {2, 3, true}}, {PeerName(4), {5, 6, false}}};
  const Bytes whole = EncodeInventory(inventory);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(DecodeInventory(ByteView(whole).first(size)).status().code() == absl::StatusCode::kInvalidArgument);
  }
  inventory.offered.clear();
  inventory.wanted = {PeerName(1)};  // six bytes, where whole entries belong
  CHECK(DecodeInventory(EncodeInventory(inventory)).status().message() ==
        "topology inventory: peers in 6 bytes, want a multiple of 23");
  inventory.kind = static_cast<Kind>(9);
  CHECK(DecodeInventory(EncodeInventory(inventory)).status().message() == "topology inventory of kind 9, want 1 to 4");
}

TEST_CASE("Fingerprints of entries that differ in anything differ", "[wire]") {
  const InventoryEntry entry = {PeerName(1), {2, 3, true}};
  CHECK(FingerprintOf(entry) == FingerprintOf(entry));
  for (const InventoryEntry& other :
       {InventoryEntry{PeerName(2), {2, 3, true}}, InventoryEntry{PeerName(1), {3, 3, true}},
        InventoryEntry{PeerName(1), {2, 2, true}}, InventoryEntry{PeerName(1), {3, 2, true}},
        InventoryEntry{PeerName(1), {2, 3, false}}})
    CHECK(FingerprintOf(other) != FingerprintOf(entry));
}

}  // namespace
}  // namespace weave
