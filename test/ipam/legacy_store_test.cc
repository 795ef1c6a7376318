#include "ipam/legacy_store.h"

#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "test/support/catch.h"
#include "test/wire/bolt_world.h"
#include "wire/gob.h"

namespace weave {
namespace {

Bytes Golden() {
  std::ifstream in(WEAVE_SOURCE_DIR "/test/golden/weave-2.8.db", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<Cidr> Cidrs(std::initializer_list<const char*> texts) {
  std::vector<Cidr> cidrs;
  for (const char* text : texts) cidrs.push_back(Cidr::Parse(text).value());
  return cidrs;
}

// A store with these entries.
Bytes StoreOf(std::vector<BoltWorld::Entry> entries) {
  BoltWorld world;
  world.AddLeaf({{"top", BoltWorld::InlineBucket(entries), true}});
  return world.file();
}

template <typename T>
std::string Gob(const T& value) {
  GobWriter writer;
  writer.Write(value);
  return std::string(AsText(writer.Take()));
}

std::string RefusalOf(const Bytes& file) {
  const absl::StatusOr<LegacyStore> store = ReadLegacyStore(file);
  return store.ok() ? "taken" : std::string(store.status().message());
}

TEST_CASE("What a 2.8 peer wrote is read: its name, ring, addresses and the peers it was told", "[ipam][golden]") {
  const absl::StatusOr<LegacyStore> store = ReadLegacyStore(Golden());
  REQUIRE(store.status() == absl::OkStatus());
  CHECK(store->name == PeerName(1));
  REQUIRE(store->ring.has_value());
  CHECK(store->ring->universe() == Cidr::Parse("10.32.0.0/12").value().Range());
  CHECK(store->ring->seeds() == std::vector<PeerName>{PeerName(1)});
  REQUIRE(store->ring->entries().size() == 1);
  CHECK(store->ring->entries()[0].peer == PeerName(1));
  CHECK(store->ring->entries()[0].free == (1 << 20) - 3);
  CHECK(store->allocations ==
        std::vector<AllocationRecord>{{"10.32.0.9", Cidrs({"10.32.0.9/12"}), false},
                                      {"4b0d7bb1a2b3", Cidrs({"10.32.0.1/12", "10.2.1.1/24"}), false},
                                      {"weave:expose", Cidrs({"10.32.0.2/12"}), false}});
  CHECK(store->direct_peers == std::vector<std::string>{"10.77.0.9", "10.77.0.2"});
}

TEST_CASE("A 2.8 peer without an allocator has left its peers only", "[ipam]") {
  const absl::StatusOr<LegacyStore> store = ReadLegacyStore(
      StoreOf({{"directPeers", Gob(std::vector<std::string>{"host2"})}, {"version", std::string("\1\0", 2)}}));
  REQUIRE(store.status() == absl::OkStatus());
  CHECK(!store->name.has_value());
  CHECK(!store->ring.has_value());
  CHECK(store->allocations.empty());
  CHECK(store->direct_peers == std::vector<std::string>{"host2"});
}

TEST_CASE("A file that was made and never written to is an empty store", "[ipam]") {
  BoltWorld world;
  world.AddLeaf({});
  CHECK(RefusalOf(world.file()) == "taken");
}

TEST_CASE("Entries of tools and of later minor versions are left alone", "[ipam]") {
  CHECK(RefusalOf(StoreOf({{"flag:reclaim", "whatever"}, {"version", std::string("\1\7", 2)}})) == "taken");
}

TEST_CASE("What cannot be understood is refused by the name of its entry", "[ipam]") {
  CHECK(RefusalOf(StoreOf({{"version", std::string("\2\0", 2)}})) == "entry \"version\": 0200, want major version 1");
  CHECK(RefusalOf(StoreOf({{"version", "1"}})) == "entry \"version\": 31, want major version 1");
  for (const char* key : {"peername", "ring", "ownedAddresses", "directPeers"})
    CHECK(absl::StrContains(RefusalOf(StoreOf({{key, "no gob"}})), absl::StrCat("entry \"", key, "\": ")));
  CHECK(absl::StrContains(RefusalOf({}), "no bbolt file"));
}

}  // namespace
}  // namespace weave
