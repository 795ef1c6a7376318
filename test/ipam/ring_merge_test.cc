// How a ring takes in what another peer knows: spec/ipam.md section 4.3, rule by rule.
#include <string>
#include <vector>

#include "ipam/ring.h"
#include "test/ipam/ipam_values.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

// A, whose ring is `entries`.
struct Merging {
  explicit Merging(std::vector<RingEntry> entries) : ring(RingOf(std::move(entries))) {}

  // Whether the ring changed.
  bool Hear(std::vector<RingEntry> entries) { return Hear(RingOf(std::move(entries))); }
  bool Hear(const Ring& theirs) {
    const auto changed = ring.Merge(kA, theirs);
    INFO(changed.status());
    REQUIRE(changed.ok());
    CHECK(Ring::Make(ring.universe(), ring.entries(), ring.seeds()).ok());
    return *changed;
  }
  // What is wrong with it; nothing changes.
  std::string Refusal(const Ring& theirs) {
    const Ring before = ring;
    const absl::Status status = ring.Merge(kA, theirs).status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(ring == before);
    return std::string(status.message());
  }

  Ring ring;
};

TEST_CASE("Rings of different seeds refuse each other", "[ipam]") {
  Merging a({Entry(0, kA, 0, 256)});
  a.ring = RingOf({Entry(0, kA, 0, 256)}, {kA, kB});
  CHECK(a.Refusal(RingOf({Entry(0, kA, 0, 256)}, {kA, kC})) ==
        "IP allocation was seeded by different peers (received: 00:00:00:00:00:01, 00:00:00:00:00:03, "
        "ours: 00:00:00:00:00:01, 00:00:00:00:00:02)");
  // Before anything else is looked at.
  CHECK_THAT(a.Refusal(Ring::Make(Subnet("10.1.0.0/24"), {{Ip("10.1.0.0"), kC, 0, 0}}, {kC}).value()),
             Catch::StartsWith("IP allocation was seeded"));
  CHECK_FALSE(a.Hear(RingOf({Entry(0, kA, 0, 256)}, {kA, kB})));
}

TEST_CASE("Rings of different ranges refuse each other", "[ipam]") {
  Merging a({Entry(0, kA, 0, 256)});
  CHECK(a.Refusal(Ring::Make(Subnet("10.0.0.0/23"), {Entry(0, kA, 0, 256)}, {}).value()) ==
        "Incompatible IP allocation ranges (received: 10.0.0.0-10.0.2.0, ours: 10.0.0.0-10.0.1.0)");
  CHECK(a.Refusal(Ring(Subnet("10.1.0.0/24"))) ==
        "Incompatible IP allocation ranges (received: 10.1.0.0-10.1.1.0, ours: 10.0.0.0-10.0.1.0)");
}

TEST_CASE("An empty ring takes all, and the seeds", "[ipam]") {
  Merging a({});
  const Ring theirs = RingOf({Entry(10, kB, 3, 100), Entry(200, kA, 4, 7)}, {kA, kB});
  CHECK(a.Hear(theirs));
  CHECK(a.ring == theirs);
  CHECK_FALSE(a.Hear(theirs));
  // There is nothing to take from an empty one.
  CHECK_FALSE(a.Hear(Ring(Subnet("10.0.0.0/24"))));
  CHECK(a.ring == theirs);
}

// ---- a token that only we have ----

TEST_CASE("An entry that the other has not heard of stays", "[ipam]") {
  Merging a({Entry(0, kA, 2, 64), Entry(64, kC, 0, 64), Entry(128, kB, 5, 128)});
  CHECK_FALSE(a.Hear({Entry(0, kA, 1, 128), Entry(128, kB, 5, 128)}));
  CHECK(a.ring.entries()[1] == Entry(64, kC, 0, 64));
}

// ---- a token that only they have ----

TEST_CASE("A new entry in a range of another peer is taken", "[ipam]") {
  Merging a({Entry(0, kA, 1, 128), Entry(128, kB, 1, 128)});
  CHECK(a.Hear({Entry(0, kA, 1, 128), Entry(128, kB, 2, 64), Entry(192, kC, 0, 64)}));
  CHECK(a.ring == RingOf({Entry(0, kA, 1, 128), Entry(128, kB, 2, 64), Entry(192, kC, 0, 64)}));
}

TEST_CASE("A new entry in a range of ours is taken", "[ipam]") {
  Merging a({Entry(0, kA, 1, 127), Entry(128, kB, 1, 128)});
  CHECK(a.Hear({Entry(0, kA, 1, 64), Entry(64, kC, 0, 64), Entry(128, kB, 1, 128)}));
  CHECK(a.ring.OwnerOf(At(64)) == kC);
  CHECK(a.ring.OwnerOf(At(63)) == kA);
  // Two in a row, too.
  Merging b({Entry(0, kA, 1, 127), Entry(128, kB, 1, 128)});
  CHECK(b.Hear({Entry(0, kA, 1, 64), Entry(64, kA, 0, 16), Entry(80, kC, 0, 48), Entry(128, kB, 1, 128)}));
  CHECK(b.ring.RangesOf(kA) == std::vector<AddressRange>{Between(0, 80)});
}

TEST_CASE("A new entry that names us is taken wherever it is, and what is behind it is still ours", "[ipam]") {
  Merging a({Entry(0, kA, 1, 127), Entry(128, kB, 1, 128)});
  CHECK(a.Hear({Entry(0, kA, 1, 64), Entry(64, kA, 9, 64), Entry(128, kB, 1, 72), Entry(200, kA, 0, 56)}));
  CHECK(a.ring.RangesOf(kA) == std::vector<AddressRange>{Between(0, 128), Between(200, 256)});
}

TEST_CASE("A new entry behind all of ours is taken, with what was ours beyond the origin", "[ipam]") {
  Merging a({Entry(0, kB, 1, 128), Entry(128, kA, 1, 127)});
  CHECK(a.Hear({Entry(0, kB, 1, 128), Entry(128, kA, 1, 64), Entry(192, kC, 0, 64)}));
  CHECK(a.ring.RangesOf(kA) == std::vector<AddressRange>{Between(128, 192)});
  Merging over({Entry(8, kB, 1, 120), Entry(128, kA, 1, 135)});
  CHECK(over.Hear({Entry(8, kB, 1, 120), Entry(128, kA, 1, 64), Entry(192, kC, 0, 72)}));
  CHECK(over.ring.RangesOf(kA) == std::vector<AddressRange>{Between(128, 192)});
  // From another's range it is taken, and by ourselves.
  Merging b({Entry(0, kA, 1, 128), Entry(128, kB, 1, 128)});
  CHECK(b.Hear({Entry(0, kA, 1, 128), Entry(128, kB, 2, 64), Entry(192, kC, 0, 64)}));
  Merging c({Entry(0, kB, 1, 128), Entry(128, kA, 1, 128)});
  CHECK(c.Hear({Entry(0, kB, 1, 128), Entry(128, kA, 1, 64), Entry(192, kA, 0, 64)}));
}

TEST_CASE("A new entry below all of ours leaves us what is before it beyond the origin", "[ipam]") {
  Merging a({Entry(64, kB, 1, 64), Entry(128, kA, 1, 190)});
  CHECK(a.Hear({Entry(8, kC, 0, 56), Entry(64, kB, 1, 64), Entry(128, kA, 1, 136)}));
  CHECK(a.ring.RangesOf(kA) == std::vector<AddressRange>{Between(0, 8), Between(128, 256)});
}

// ---- a token that both have ----

TEST_CASE("Of two versions of an entry the higher one stays", "[ipam]") {
  Merging a({Entry(0, kB, 5, 100), Entry(128, kC, 5, 100)});
  CHECK_FALSE(a.Hear({Entry(0, kC, 4, 128), Entry(128, kC, 4, 7)}));
  CHECK(a.Hear({Entry(0, kD, 6, 20), Entry(128, kC, 5, 100)}));
  CHECK(a.ring == RingOf({Entry(0, kD, 6, 20), Entry(128, kC, 5, 100)}));
}

TEST_CASE("The same version of the same owner stays as it is, whatever it says is free", "[ipam]") {
  Merging a({Entry(0, kB, 5, 100), Entry(128, kA, 5, 100)});
  CHECK_FALSE(a.Hear({Entry(0, kB, 5, 110), Entry(128, kA, 5, 110)}));
  CHECK(a.ring == RingOf({Entry(0, kB, 5, 100), Entry(128, kA, 5, 100)}));
}

TEST_CASE("Of two owners with the same version the one with more free addresses stays", "[ipam]") {
  Merging a({Entry(0, kB, 5, 100)});
  CHECK_FALSE(a.Hear({Entry(0, kC, 5, 99)}));
  CHECK(a.Hear({Entry(0, kC, 5, 101)}));
  CHECK(a.ring.OwnerOf(At(0)) == kC);
  // Ours too.
  Merging b({Entry(0, kA, 5, 100)});
  CHECK_FALSE(b.Hear({Entry(0, kC, 5, 99)}));
  CHECK(b.Hear({Entry(0, kC, 5, 101)}));
  CHECK_FALSE(b.ring.Owns(kA));
}

TEST_CASE("Of two owners with the same version and as many free addresses the lower name stays, on both sides",
          "[ipam]") {
  Merging one({Entry(0, kB, 5, 100)});
  Merging other({Entry(0, kC, 5, 100)});
  const Ring before = one.ring;
  CHECK_FALSE(one.Hear(other.ring));
  CHECK(other.Hear(before));
  CHECK(one.ring == other.ring);
  CHECK(one.ring.OwnerOf(At(0)) == kB);
}

TEST_CASE("A newer owner of a range of ours has it", "[ipam]") {
  Merging a({Entry(0, kA, 5, 128), Entry(128, kB, 1, 128)});
  CHECK(a.Hear({Entry(0, kC, 6, 64), Entry(64, kA, 0, 64), Entry(128, kB, 1, 128)}));
  CHECK(a.ring.RangesOf(kA) == std::vector<AddressRange>{Between(64, 128)});
}

TEST_CASE("A version of ours that we have forgotten is overtaken", "[ipam]") {
  Merging a({Entry(0, kA, 5, 127), Entry(128, kB, 1, 128)});
  CHECK(a.Hear({Entry(0, kA, 9, 3), Entry(128, kB, 1, 128)}));
  CHECK(a.ring == RingOf({Entry(0, kA, 10, 127), Entry(128, kB, 1, 128)}));
  // The other is behind now.
  CHECK_FALSE(a.Hear({Entry(0, kA, 9, 3), Entry(128, kB, 1, 128)}));
}

TEST_CASE("A range that another says is ours is ours", "[ipam]") {
  Merging a({Entry(0, kA, 5, 128), Entry(128, kB, 1, 128)});
  CHECK(a.Hear({Entry(0, kA, 5, 128), Entry(128, kA, 2, 128)}));
  CHECK(a.ring.CountOf(kA) == 256);
}

// ---- afterwards ----

TEST_CASE("Of an entry that others have shortened no more is free than is left of it", "[ipam]") {
  SECTION("ours: in a version of our own, for everybody has the one that says too much") {
    Merging a({Entry(0, kA, 1, 128), Entry(128, kB, 1, 128)});
    CHECK(a.Hear({Entry(0, kA, 1, 60), Entry(64, kC, 0, 64), Entry(128, kB, 1, 128)}));
    CHECK(a.ring == RingOf({Entry(0, kA, 2, 64), Entry(64, kC, 0, 64), Entry(128, kB, 1, 128)}));
  }
  SECTION("another's: in its version, which may come from somebody who knows the division or not") {
    Merging a({Entry(0, kB, 5, 128), Entry(128, kA, 1, 128)});
    CHECK(a.Hear({Entry(0, kB, 4, 64), Entry(64, kC, 0, 64), Entry(128, kA, 1, 128)}));
    CHECK(a.ring == RingOf({Entry(0, kB, 5, 64), Entry(64, kC, 0, 64), Entry(128, kA, 1, 128)}));
    CHECK_FALSE(a.Hear({Entry(0, kB, 5, 128), Entry(128, kA, 1, 128)}));
  }
}

TEST_CASE("Seeds come from the first who knows them, also when there is nothing else to take", "[ipam]") {
  Merging a({Entry(0, kA, 5, 256)});
  CHECK(a.Hear(RingOf({Entry(0, kA, 5, 256)}, {kA, kB})));
  CHECK(a.ring == RingOf({Entry(0, kA, 5, 256)}, {kA, kB}));
  CHECK_FALSE(a.Hear(RingOf({Entry(0, kA, 5, 256)})));
  CHECK_FALSE(a.Hear(RingOf({Entry(0, kA, 5, 256)}, {kA, kB})));
}

TEST_CASE("A peer whose free range was given away allocates nothing there any more", "[ipam]") {
  Merging a({Entry(0, kA, 5, 128), Entry(128, kB, 1, 128)});
  Space space = SpaceOf(a.ring, kA);
  REQUIRE(space.Claim(At(0)));
  CHECK(a.Hear({Entry(0, kA, 5, 64), Entry(64, kC, 0, 64), Entry(128, kB, 1, 128)}));
  space.SetOwned(a.ring.RangesOf(kA));
  for (std::uint64_t number = 1; number < 64; ++number) CHECK(space.Allocate(Between(0, 256)) == At(number));
  CHECK_FALSE(space.Allocate(Between(0, 256)).has_value());
  CHECK(a.ring.ReportFree(kA, space));
  CHECK(a.ring.entries()[0] == Entry(0, kA, 7, 0));
}

}  // namespace
}  // namespace weave::test
