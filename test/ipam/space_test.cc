// The addresses a peer owns: what is handed out, what is taken back, what changes hands.
#include "ipam/space.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "base/random.h"
#include "test/ipam/ipam_values.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

Space Owning(const std::vector<AddressRange>& ranges) {
  Space space;
  space.SetOwned(ranges);
  return space;
}

TEST_CASE("The lowest free address of a range is handed out first", "[ipam]") {
  Space space = Owning({Between(0, 16)});
  CHECK(space.Allocate(Between(0, 16)) == At(0));
  CHECK(space.Allocate(Between(0, 16)) == At(1));
  CHECK(space.Allocate(Between(4, 8)) == At(4));
  CHECK(space.Allocate(Between(0, 16)) == At(2));
  space.Free(At(1));
  CHECK(space.Allocate(Between(0, 16)) == At(1));
  CHECK(space.Allocate(Between(0, 16)) == At(3));
  CHECK(space.Allocate(Between(0, 16)) == At(5));
}

TEST_CASE("Nothing is handed out that is not owned, not free or not asked for", "[ipam]") {
  Space space = Owning({Between(4, 6), Between(10, 11)});
  CHECK_FALSE(space.Allocate(Between(0, 4)).has_value());
  CHECK_FALSE(space.Allocate(Between(6, 10)).has_value());
  CHECK_FALSE(space.Allocate(Between(11, 256)).has_value());
  CHECK_FALSE(space.Allocate(Between(4, 4)).has_value());
  CHECK_FALSE(space.Allocate(Subnet("fd00::/64")).has_value());
  CHECK(space.Allocate(Between(0, 256)) == At(4));
  CHECK(space.Allocate(Between(0, 256)) == At(5));
  CHECK(space.Allocate(Between(0, 256)) == At(10));
  CHECK_FALSE(space.Allocate(Between(0, 256)).has_value());
  CHECK(space.free_count() == 0);
  CHECK(space.owned_count() == 3);
}

TEST_CASE("An address can be claimed once until it is free again", "[ipam]") {
  Space space = Owning({Between(0, 16)});
  CHECK(space.Claim(At(7)));
  CHECK_FALSE(space.Claim(At(7)));
  CHECK(space.Owns(At(7)));
  CHECK_FALSE(space.IsFree(At(7)));
  CHECK(space.FreeIn(Between(0, 16)) == 15);
  space.Free(At(7));
  CHECK(space.IsFree(At(7)));
  CHECK(space.Claim(At(7)));
}

TEST_CASE("What stays owned keeps its state, what comes is free, what goes is forgotten", "[ipam]") {
  Space space = Owning({Between(0, 16), Between(32, 48)});
  for (const std::uint64_t number : {0, 15, 32, 40}) REQUIRE(space.Claim(At(number)));
  space.SetOwned({Between(8, 36)});
  CHECK(space.owned_count() == 28);
  CHECK(space.free_count() == 26);
  CHECK_FALSE(space.Owns(At(0)));
  CHECK_FALSE(space.IsFree(At(0)));
  CHECK_FALSE(space.IsFree(At(15)));
  CHECK_FALSE(space.IsFree(At(32)));
  CHECK(space.IsFree(At(20)));
  space.SetOwned({Between(0, 48)});
  CHECK(space.IsFree(At(0)));
  CHECK(space.IsFree(At(40)));
  CHECK_FALSE(space.IsFree(At(15)));
  space.Clear();
  CHECK(space.owned_count() == 0);
  CHECK(space.free_count() == 0);
  space.SetOwned({Subnet("fd00::/112")});
  CHECK(space.Allocate(Subnet("fd00::/64")) == Ip("fd00::"));
}

TEST_CASE("Nothing is allocated in what is not owned", "[ipam]") {
  Space space = Owning({Between(0, 16)});
  CHECK(space.NothingAllocatedIn(Between(0, 256)));
  REQUIRE(space.Claim(At(3)));
  CHECK_FALSE(space.NothingAllocatedIn(Between(0, 256)));
  CHECK_FALSE(space.NothingAllocatedIn(Between(3, 4)));
  CHECK(space.NothingAllocatedIn(Between(0, 3)));
  CHECK(space.NothingAllocatedIn(Between(4, 100)));
  CHECK(space.NothingAllocatedIn(Between(100, 200)));
}

TEST_CASE("What is given away is the biggest aligned block, or half of it where it is most of what is free", "[ipam]") {
  SECTION("255 free in a /24: the upper quarter") {
    Space space = Owning({Between(0, 256)});
    REQUIRE(space.Claim(At(1)));
    CHECK(space.Donation(Between(0, 256)) == Between(192, 256));
  }
  SECTION("ten addresses from 10 on: 12 to 15") {
    CHECK(Owning({Between(0, 256)}).Donation(Between(10, 20)) == Between(12, 16));
  }
  SECTION("all of a free /24: its upper half") {
    CHECK(Owning({Between(0, 256)}).Donation(Between(0, 256)) == Between(128, 256));
  }
  SECTION("one address: that") {
    CHECK(Owning({Between(0, 256)}).Donation(Between(7, 8)) == Between(7, 8));
    CHECK(Owning({Between(7, 8)}).Donation(Between(0, 256)) == Between(7, 8));
  }
  SECTION("two addresses: the upper one of a pair that is aligned, else the lower one") {
    CHECK(Owning({Between(6, 8)}).Donation(Between(0, 256)) == Between(7, 8));
    CHECK(Owning({Between(7, 9)}).Donation(Between(0, 256)) == Between(7, 8));
  }
  SECTION("not the first or the last address alone, of which a subnet has no use, while there is another") {
    CHECK(Owning({Between(6, 7), Between(15, 16)}).Donation(Between(0, 16)) == Between(6, 7));
    CHECK(Owning({Between(0, 1), Between(6, 7), Between(16, 17)}).Donation(Between(0, 16)) == Between(6, 7));
    CHECK(Owning({Between(14, 16)}).Donation(Between(0, 16)) == Between(14, 15));
    CHECK(Owning({Between(0, 1), Between(15, 16)}).Donation(Between(0, 16)) == Between(15, 16));
  }
  SECTION("exactly half of what is free: all of the block, the later of two") {
    CHECK(Owning({Between(0, 8), Between(16, 24)}).Donation(Between(0, 256)) == Between(16, 24));
  }
  SECTION("the next aligned block where the stretch begins off a multiple") {
    // From 9 to 26: 16 to 23 is aligned and as big as what begins at 9 cannot be.
    CHECK(Owning({Between(9, 27), Between(40, 56)}).Donation(Between(0, 256)) == Between(40, 48));
    CHECK(Owning({Between(9, 33), Between(40, 60)}).Donation(Between(0, 256)) == Between(16, 32));
  }
  SECTION("nothing is free, or nothing is ours") {
    Space space = Owning({Between(7, 8)});
    CHECK_FALSE(space.Donation(Between(8, 256)).has_value());
    REQUIRE(space.Claim(At(7)));
    CHECK_FALSE(space.Donation(Between(0, 256)).has_value());
    CHECK_FALSE(Space().Donation(Between(0, 256)).has_value());
  }
}

// What Space is, address by address.
struct Model {
  std::set<std::uint64_t> owned;
  std::set<std::uint64_t> used;

  AddressCount FreeIn(std::uint64_t start, std::uint64_t end) const {
    AddressCount count = 0;
    for (const std::uint64_t number : owned)
      if (number >= start && number < end && !used.contains(number)) ++count;
    return count;
  }
  std::optional<IpAddress> LowestFree(std::uint64_t start, std::uint64_t end) const {
    for (const std::uint64_t number : owned)
      if (number >= start && number < end && !used.contains(number)) return At(number);
    return std::nullopt;
  }
};

TEST_CASE("Whatever is done to it, a space is what a list of its addresses says", "[ipam]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Space space;
    Model model;
    constexpr std::uint64_t kSize = 64;
    for (int step = 0; step < 400; ++step) {
      INFO("step " << step);
      std::uint64_t start = random.Below(kSize);
      std::uint64_t end = start + random.Below(kSize - start + 1);
      const std::uint64_t number = random.Below(kSize);
      switch (random.Below(8)) {
        case 0: {
          std::vector<AddressRange> ranges;
          std::set<std::uint64_t> owned;
          for (std::uint64_t at = random.Below(8); at < kSize; at += 1 + random.Below(16)) {
            const std::uint64_t size = random.Below(std::min<std::uint64_t>(16, kSize - at)) + 1;
            ranges.push_back(Between(at, at + size));
            for (const std::uint64_t last = at + size; at < last; ++at) owned.insert(at);
            at -= random.Below(2);  // sometimes the next one touches
          }
          if (random.Chance(1, 2)) {
            space.SetOwned(ranges);
            model.owned = owned;
            std::erase_if(model.used, [&](std::uint64_t used) { return !owned.contains(used); });
          }
          break;
        }
        case 1:
        case 2:
          if (model.owned.contains(number)) CHECK(space.Claim(At(number)) == model.used.insert(number).second);
          break;
        case 3:
        case 4:
          if (model.used.erase(number) == 1) space.Free(At(number));
          break;
        default: {
          const auto expected = model.LowestFree(start, end);
          CHECK(space.Allocate(Between(start, end)) == expected);
          if (expected.has_value()) model.used.insert(static_cast<std::uint64_t>(expected->v4() - At(0).v4()));
        }
      }
      REQUIRE(space.owned_count() == model.owned.size());
      REQUIRE(space.free_count() == model.owned.size() - model.used.size());
      REQUIRE(space.FreeIn(Between(start, end)) == model.FreeIn(start, end));
      REQUIRE(space.Owns(At(number)) == model.owned.contains(number));
      REQUIRE(space.IsFree(At(number)) == (model.owned.contains(number) && !model.used.contains(number)));
      const auto used =
          std::count_if(model.used.begin(), model.used.end(), [&](std::uint64_t n) { return n >= start && n < end; });
      REQUIRE(space.NothingAllocatedIn(Between(start, end)) == (used == 0));
      if (const auto donation = space.Donation(Between(start, end))) {
        const absl::uint128 from = donation->start.value() - At(0).value();
        REQUIRE((from >= start && from + donation->size <= end));
        REQUIRE(space.FreeIn(*donation) == donation->size);
        REQUIRE((donation->size & (donation->size - 1)) == 0);
        REQUIRE(donation->start.value() % donation->size == 0);
        REQUIRE((donation->size == 1 || donation->size * 2 <= model.FreeIn(start, end)));
      } else {
        REQUIRE(model.FreeIn(start, end) == 0);
      }
    }
  }
}

}  // namespace
}  // namespace weave::test
