// How a ring takes in what another peer knows: spec/ipam.md section 4.3, rule by rule.
#include <string>
#include <vector>

#include "ipam/ring.h"
#include "test/ipam/ipam_values.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

// A, whose ring is `entries`, with `used` allocated.
struct Merging {
  explicit Merging(std::vector<RingEntry> entries, const std::vector<std::uint64_t>& used = {})
      : ring(RingOf(std::move(entries))), space(SpaceOf(ring, kA)) {
    for (const std::uint64_t number : used) REQUIRE(space.Claim(At(number)));
  }

  // Whether the ring changed.
  bool Hear(std::vector<RingEntry> entries) { return Hear(RingOf(std::move(entries))); }
  bool Hear(const Ring& theirs) {
    const auto changed = ring.Merge(kA, theirs, space);
    INFO(changed.status());
    REQUIRE(changed.ok());
    CHECK(Ring::Make(ring.universe(), ring.entries(), ring.seeds()).ok());
    return *changed;
  }
  // What is wrong with it; nothing changes.
  std::string Refusal(std::vector<RingEntry> entries) { return Refusal(RingOf(std::move(entries))); }
  std::string Refusal(const Ring& theirs) {
    const Ring before = ring;
    const absl::Status status = ring.Merge(kA, theirs, space).status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(ring == before);
    return std::string(status.message());
  }

  Ring ring;
  Space space;
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

}  // namespace
}  // namespace weave::test
