// What holds of rings whatever happens: to peers that keep the rules, and to one that hears anything. docs/ipam.md,
// "Merging", says the same in prose.
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "test/ipam/ipam_values.h"
#include "test/ipam/ring_world.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

template <typename T>
void Shuffle(std::vector<T>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.Below(i)]);
}

// Somebody who owns nothing hears these.
Ring HeardBy(PeerName bystander, const AddressRange& universe, const std::vector<Ring>& rings) {
  Ring heard(universe);
  for (const Ring& ring : rings) heard.Merge(bystander, ring).value();
  return heard;
}

TEST_CASE("Peers that keep the rules never refuse each other, never give an address twice, and agree in the end",
          "[ipam]") {
  std::size_t grants = 0;
  std::size_t crashes = 0;
  std::size_t removals = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    RingWorldOptions options;
    options.seed = seed;
    options.peer_count = 5 + seed % 4;
    options.universe = Between(seed % 7, seed % 7 + 60 + seed % 90);
    // Some worlds without some of the faults.
    options.crashes = seed % 5 != 0;
    options.partitions = seed % 3 != 0;
    options.removals = seed % 4 != 0;
    RingWorld world(options);
    for (int step = 0; step < 800; ++step) {
      world.Step();
      if (world.failure().empty()) continue;
      INFO("step " << step << "\n" << world.Describe());
      FAIL(world.failure());
    }
    world.Settle();
    REQUIRE(world.failure() == "");
    CHECK(world.Agreed());
    grants += world.grant_count();
    crashes += world.crash_count();
    removals += world.removal_count();
  }
  // Enough has happened.
  CHECK(grants > 1000);
  CHECK(crashes > 300);
  CHECK(removals > 100);
}

TEST_CASE("Peers that tell before they record give an address twice", "[ipam]") {
  std::size_t found = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    RingWorldOptions options;
    options.seed = seed;
    options.removals = false;
    options.record_before_telling = false;
    RingWorld world(options);
    for (int step = 0; step < 800 && world.oracle().violation().empty(); ++step) world.Step();
    if (!world.oracle().violation().empty()) ++found;
  }
  CHECK(found >= 5);
}

TEST_CASE(
    "Under a careless operator no ring is refused, all agree on the owners, and none loses an address that it gave",
    "[ipam]") {
  std::size_t strays = 0;
  std::size_t removals = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    RingWorldOptions options;
    options.seed = seed;
    options.careless_operator = true;
    RingWorld world(options);
    for (int step = 0; step < 800; ++step) {
      world.Step();
      if (world.failure().empty()) continue;
      INFO("step " << step << "\n" << world.Describe());
      FAIL(world.failure());
    }
    world.Settle();
    CHECK(world.failure() == "");
    INFO(world.Describe());
    CHECK(world.AgreedOnOwners());
    strays += world.stray_count();
    removals += world.removal_count();
  }
  CHECK(strays > 100);
  CHECK(removals > 50);
}

TEST_CASE("What peers that keep the rules have told gives the same ring in any order, once or twice, at once or not",
          "[ipam]") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    RingWorldOptions options;
    options.seed = seed;
    RingWorld world(options);
    for (int step = 0; step < 400; ++step) world.Step();
    REQUIRE(world.failure() == "");
    std::vector<Ring> told = world.told();
    REQUIRE(told.size() > 20);
    const PeerName bystander(100);
    const Ring expected = HeardBy(bystander, options.universe, told);
    for (int order = 0; order < 10; ++order) {
      Shuffle(told, random);
      CHECK(HeardBy(bystander, options.universe, told) == expected);
      // Two who have heard a part each tell each other.
      const auto middle = told.begin() + static_cast<std::ptrdiff_t>(random.Below(told.size()));
      const Ring one = HeardBy(bystander, options.universe, {told.begin(), middle});
      const Ring other = HeardBy(bystander, options.universe, {middle, told.end()});
      CHECK(HeardBy(bystander, options.universe, {one, other}) == expected);
      CHECK(HeardBy(bystander, options.universe, {other, one, other, one}) == expected);
    }
  }
}

// Any valid ring of these few tokens, versions and names: what loss of data, bugs or malice may say.
Ring AnyRing(const AddressRange& universe, Random& random) {
  std::vector<RingEntry> entries;
  for (std::uint64_t number = 0; number < 64; number += 8) {
    if (random.Chance(1, 2)) entries.push_back(Entry(number, PeerName(1 + random.Below(4)), random.Below(3), 0));
  }
  Ring sizes = Ring::Make(universe, entries, {}).value();
  for (std::size_t i = 0; i < entries.size(); ++i)
    entries[i].free = random.Below(static_cast<std::uint64_t>(sizes.SizeOf(i)) + 1);
  return Ring::Make(universe, std::move(entries), {}).value();
}

TEST_CASE("Whatever rings a peer hears, its own is valid, and none is news twice", "[ipam]") {
  const AddressRange universe = Between(0, 64);
  int taken = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Ring ring = AnyRing(universe, random);
    Space space = SpaceOf(ring, kA);
    ring.ReportFree(kA, space);
    for (int step = 0; step < 10; ++step) {
      const Ring theirs = AnyRing(universe, random);
      const Ring before = ring;
      const bool changed = ring.Merge(kA, theirs).value();
      INFO("step " << step << "\nours:   " << before << "\ntheirs: " << theirs << "\nresult: " << ring);
      taken += changed ? 1 : 0;
      REQUIRE(changed == !(ring == before));
      REQUIRE(Ring::Make(universe, ring.entries(), ring.seeds()).ok());
      const Ring after = ring;
      REQUIRE(ring.Merge(kA, theirs).value() == false);
      REQUIRE(ring == after);
      space.SetOwned(ring.RangesOf(kA));
      REQUIRE(space.owned_count() == ring.CountOf(kA));
      ring.ReportFree(kA, space);
    }
  }
  CHECK(taken > 1000);
}

// ---- two operators take over the same dead peer ----

struct TwoTakers {
  TwoTakers() {
    Ring ring(Between(0, 96));
    ring.DivideAmong({kA, kB, kC});
    for (Side* side : {&a, &b}) {
      side->ring = ring;
      side->ring.Transfer(kC, side->name);
      side->space.SetOwned(side->ring.RangesOf(side->name));
      side->ring.ReportFree(side->name, side->space);
    }
    dead_range = ring.RangesOf(kC).at(0);
  }
  struct Side {
    PeerName name;
    Ring ring{Between(0, 96)};
    Space space = {};

    absl::StatusOr<bool> Hear(const Ring& theirs) {
      auto changed = ring.Merge(name, theirs);
      space.SetOwned(ring.RangesOf(name));
      ring.ReportFree(name, space);
      return changed;
    }
    void Give(const IpAddress& address) {
      REQUIRE(space.Claim(address));
      ring.ReportFree(name, space);
    }
  };
  Side a{kA};
  Side b{kB};
  AddressRange dead_range;
};

TEST_CASE("Of two who take over the same peer at once one has it in the end, the same for all", "[ipam]") {
  TwoTakers w;
  const bool a_first = GENERATE(false, true);
  const Ring from_a = w.a.ring;
  const Ring from_b = w.b.ring;
  if (a_first) {
    CHECK(w.b.Hear(from_a).ok());
    CHECK(w.a.Hear(from_b).ok());
  } else {
    CHECK(w.a.Hear(from_b).ok());
    CHECK(w.b.Hear(w.a.ring).ok());
  }
  CHECK(w.a.ring == w.b.ring);
  CHECK(w.a.ring.OwnerOf(w.dead_range.start) == kA);
  CHECK(w.a.space.Owns(w.dead_range.start));
  CHECK_FALSE(w.b.space.Owns(w.dead_range.start));
}

TEST_CASE("Of two who take over the same peer at once the one who has used it keeps it", "[ipam]") {
  TwoTakers w;
  w.b.Give(w.dead_range.start);
  CHECK(w.a.Hear(w.b.ring).ok());
  CHECK(w.b.Hear(w.a.ring).ok());
  CHECK(w.a.ring == w.b.ring);
  CHECK(w.a.ring.OwnerOf(w.dead_range.start) == kB);
}

TEST_CASE("Of two who have both used what they took over the one who reported later has it", "[ipam]") {
  TwoTakers w;
  w.a.Give(w.dead_range.start);
  w.b.Give(w.dead_range.start);
  w.b.Give(AddressAt(IpFamily::kV4, w.dead_range.start.value() + 1));
  const Ring from_a = w.a.ring;
  CHECK(w.a.Hear(w.b.ring).ok());
  CHECK(w.b.Hear(from_a).ok());
  CHECK(w.a.ring == w.b.ring);
  CHECK(w.a.ring.OwnerOf(w.dead_range.start) == kB);
}

}  // namespace
}  // namespace weave::test
