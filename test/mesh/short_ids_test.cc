// The table of short ids: who owns an id, when that changes, and which ids are free.
#include "mesh/short_ids.h"

#include <string>
#include <vector>

#include "test/mesh/records.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

constexpr ShortId kId = 7;

TEST_CASE("A short id belongs to the lowest name that announces it", "[mesh]") {
  struct Step {
    std::string what;
    bool add;
    std::uint64_t peer;
    bool stale;           // what was derived from the id
    std::uint64_t owner;  // 0: nobody
  };
  const std::vector<Step> steps = {
      {"the first to announce it owns it, and nobody relied on it", true, 5, false, 5},
      {"a higher name waits", true, 9, false, 5},
      {"another one too", true, 7, false, 5},
      {"a lower name takes it over", true, 3, true, 3},
      {"one that waited leaves", false, 7, false, 3},
      {"one that never had it leaves", false, 8, false, 3},
      {"the owner leaves: the next lowest has it", false, 3, true, 5},
      {"again", false, 5, true, 9},
      {"the last one leaves", false, 9, true, 0},
      {"one that left leaves again", false, 9, false, 0},
      {"an id that was in use is used again", true, 9, true, 9},
  };
  ShortIdTable table;
  for (const Step& step : steps) {
    INFO(step.what);
    CHECK((step.add ? table.Add(kId, Peer(step.peer)) : table.Remove(kId, Peer(step.peer))) == step.stale);
    CHECK(table.OwnerOf(kId).value_or(PeerName()) == Peer(step.owner));
    CHECK(table.OwnerOf(kId - 1) == std::nullopt);
    CHECK(table.OwnerOf(kId + 1) == std::nullopt);
  }
}

TEST_CASE("A short id out of range means nobody", "[mesh]") {
  ShortIdTable table;
  for (const ShortId short_id : {ShortId{4096}, ShortId{65535}}) {
    CHECK_FALSE(table.Add(short_id, Peer(1)));
    CHECK(table.OwnerOf(short_id) == std::nullopt);
    CHECK_FALSE(table.Remove(short_id, Peer(1)));
  }
  CHECK(table.size() == 0);
}

TEST_CASE("Only free short ids are picked, and all of them can be", "[mesh]") {
  Random random(1);
  ShortIdTable table;
  for (std::size_t count = 0; count < kShortIdCount; ++count) {
    const std::optional<ShortId> short_id = table.PickFree(random);
    REQUIRE(short_id.has_value());
    REQUIRE(*short_id <= kMaxShortId);
    REQUIRE(table.OwnerOf(*short_id) == std::nullopt);
    table.Add(*short_id, Peer(count + 1));
  }
  CHECK(table.PickFree(random) == std::nullopt);

  const PeerName owner = *table.OwnerOf(1234);
  table.Add(1234, Peer(10000));
  table.Remove(1234, owner);
  CHECK(table.PickFree(random) == std::nullopt);
  table.Remove(1234, Peer(10000));
  CHECK(table.PickFree(random) == ShortId{1234});
}

TEST_CASE("Among few free short ids each is picked about equally often", "[mesh]") {
  Random random(2);
  ShortIdTable table;
  for (ShortId short_id = 8; short_id <= kMaxShortId; ++short_id) table.Add(short_id, Peer(1));
  std::vector<int> picked(8);
  for (int i = 0; i < 4000; ++i) ++picked[*table.PickFree(random)];
  for (const int count : picked) {
    CHECK(count > 400);
    CHECK(count < 600);
  }
}

}  // namespace
}  // namespace weave::test
