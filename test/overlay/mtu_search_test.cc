#include "overlay/mtu_search.h"

#include <cstdint>
#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

constexpr std::size_t kClearOverhead = 62;  // spec/overlay.md section 2.5

struct Search {
  MtuSearch search{kClearOverhead};
  Now now;
  std::vector<std::size_t> tested;

  // The path carries `passes` and loses everything larger without a word.
  void Run(std::optional<std::size_t> test, std::size_t passes) {
    while (search.searching()) {
      REQUIRE(tested.size() < 1000);
      if (test.has_value()) {
        tested.push_back(*test);
        if (*test <= passes) {
          test = search.OnVerified(now, *test);
          continue;
        }
      }
      REQUIRE(search.NextDeadline().has_value());
      now.monotonic = *search.NextDeadline();
      test = search.OnTimer(now);
    }
  }
};

TEST_CASE("Everything may pass until the kernel refuses a datagram", "[sleeve]") {
  const MtuSearch search(kClearOverhead);
  CHECK(search.mtu() == 65535);
  CHECK(search.max_payload_size() == 65507);  // the most that UDP can carry
  CHECK_FALSE(search.searching());
  CHECK_FALSE(search.NextDeadline().has_value());
}

TEST_CASE("The search ends at the largest frame that the path carries", "[sleeve]") {
  struct Row {
    std::size_t path_mtu;  // what the kernel says
    std::size_t passes;    // what is true
    std::size_t mtu;       // what is found
  };
  const Row rows[] = {
      {1500, 1438, 1438}, {1500, 1437, 1437}, {1500, 900, 900},      {1500, 553, 553},
      {1500, 552, 552},   {1500, 0, 552},  // nothing passes: assumed, never tested
      {9000, 8938, 8938}, {9000, 1438, 1438}, {576, 514, 514},       {576, 0, 514},
      {20, 68, 68},       {0, 0, 68},         {65535, 65473, 65473}, {1'000'000, 1438, 1438},
  };
  for (const Row& row : rows) {
    CAPTURE(row.path_mtu, row.passes);
    Search world;
    world.Run(world.search.OnMessageTooBig(world.now, row.path_mtu), row.passes);
    CHECK(world.search.mtu() == row.mtu);
    CHECK(world.search.max_payload_size() == row.mtu + kClearOverhead - 28);
    CHECK_FALSE(world.search.NextDeadline().has_value());
    CHECK(world.tested.size() <= 8 * 17);  // halving 65535
  }
}

TEST_CASE("The kernel's word is used at once and tested eight times, each twice as patient", "[sleeve]") {
  Search world;
  CHECK(world.search.OnMessageTooBig(world.now, 1500) == 1438);
  CHECK(world.search.mtu() == 1438);
  std::vector<std::int64_t> waits;
  for (int attempt = 1; attempt <= 8; ++attempt) {
    const MonotonicTime deadline = world.search.NextDeadline().value();
    waits.push_back(absl::ToInt64Milliseconds(deadline - world.now.monotonic));
    CHECK_FALSE(world.search.OnTimer(world.now).has_value());  // early
    world.now.monotonic = deadline;
    CHECK(world.search.OnTimer(world.now) == (attempt < 8 ? 1438 : (552 + 1438) / 2));
  }
  CHECK(waits == std::vector<std::int64_t>{10, 20, 40, 80, 160, 320, 640, 1280});
}

TEST_CASE("Only the confirmation of the frame under test counts", "[sleeve]") {
  Search world;
  CHECK_FALSE(world.search.OnVerified(world.now, 1438).has_value());
  CHECK(world.search.OnMessageTooBig(world.now, 1500) == 1438);
  for (const std::size_t other : {0, 552, 1437, 1439, 65535}) {
    CHECK_FALSE(world.search.OnVerified(world.now, other).has_value());
    CHECK(world.search.searching());
  }
  CHECK_FALSE(world.search.OnVerified(world.now, 1438).has_value());
  CHECK_FALSE(world.search.searching());
  CHECK(world.search.mtu() == 1438);
}

TEST_CASE("A path that shrinks restarts the search, one that is known to be larger does not disturb it", "[sleeve]") {
  Search world;
  CHECK(world.search.OnMessageTooBig(world.now, 1500) == 1438);
  CHECK_FALSE(world.search.OnMessageTooBig(world.now, 1500).has_value());
  CHECK_FALSE(world.search.OnMessageTooBig(world.now, 9000).has_value());
  CHECK(world.search.OnMessageTooBig(world.now, 1400) == 1338);
  CHECK(world.search.mtu() == 1338);
  world.Run(1338, 1338);
  CHECK(world.search.mtu() == 1338);
  CHECK(world.search.OnMessageTooBig(world.now, 1500) == 1438);  // after the search anything may be news
}

}  // namespace
}  // namespace weave
