#include "peer/legacy_import.h"

#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "peer/record_codec.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("The store of a 2.8 peer becomes records that a start understands", "[peer][golden]") {
  std::ifstream in(WEAVE_SOURCE_DIR "/test/golden/weave-2.8.db", std::ios::binary);
  const Bytes file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const absl::StatusOr<StoreBatch> batch = ImportLegacyStore(file);
  REQUIRE(batch.status() == absl::OkStatus());
  std::map<std::string, Record> records;
  for (const StoreChange& change : *batch) {
    const absl::StatusOr<Record> record = DecodeRecord(change.key, change.value.value());
    REQUIRE(record.status() == absl::OkStatus());
    records.emplace(change.key, *record);
  }
  REQUIRE(records.size() == 6);
  CHECK(std::get<IdentityRecord>(records.at(IdentityKey())).name == PeerName(1));
  const auto& ring = std::get<RingRecord>(records.at(RingKey()));
  CHECK(ring.self == PeerName(1));
  CHECK(ring.universe == Cidr::Parse("10.32.0.0/12").value().Range());
  CHECK(ring.entries.size() == 1);
  const auto& container = std::get<AllocationRecord>(records.at(AllocationKey("4b0d7bb1a2b3")));
  CHECK(container.addresses.size() == 2);
  // Of containers 2.8 heard that they ended; what its Docker plugin asked for has no other name than the address.
  CHECK(container.upkeep == Upkeep::kInterface);
  CHECK(std::get<AllocationRecord>(records.at(AllocationKey("weave:expose"))).upkeep == Upkeep::kHolder);
  CHECK(std::get<AllocationRecord>(records.at(AllocationKey("10.32.0.9"))).upkeep == Upkeep::kDocker);
  CHECK(std::get<DirectPeersRecord>(records.at(DirectPeersKey())).peers.size() == 2);
}

TEST_CASE("What is no store of a 2.8 peer is refused", "[peer]") {
  CHECK(ImportLegacyStore({}).status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weave
