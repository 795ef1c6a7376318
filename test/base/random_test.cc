#include "base/random.h"

#include <array>
#include <set>

#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("A seed gives the sequence it always gave", "[base]") {
  Random random(1);
  const std::array<std::uint64_t, 4> known = {0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514,
                                              0x642e1c7bc266a3a7};
  for (std::uint64_t value : known) CHECK(random.Next() == value);
}

TEST_CASE("A split stands on its label, not on what was drawn from it", "[base]") {
  const Random random(7);
  Random left = random.Split("left");
  Random right = random.Split("right");
  Random left_again = random.Split("left");
  for (int i = 0; i < 100; ++i) left.Next();
  CHECK(random.Split("right").Next() == right.Next());
  CHECK(left_again.Next() != right.Next());
  CHECK(Random(7).Split("left").Next() == random.Split("left").Next());
  CHECK(Random(8).Split("left").Next() != random.Split("left").Next());
}

TEST_CASE("Bounded numbers stay within their bounds and reach both ends", "[base]") {
  Random random(3);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Between(-2, 2));
  CHECK(seen == std::set<std::int64_t>{-2, -1, 0, 1, 2});
  for (int i = 0; i < 100; ++i) CHECK(random.Below(1) == 0);
  CHECK(random.Between(5, 5) == 5);
  random.Between(INT64_MIN, INT64_MAX);
}

TEST_CASE("Chances of none and all are certain", "[base]") {
  Random random(4);
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(random.Chance(0, 10));
    CHECK(random.Chance(10, 10));
  }
}

}  // namespace
}  // namespace weave
