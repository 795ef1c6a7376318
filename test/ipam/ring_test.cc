// Rings and what their owners do with them: spec/ipam.md sections 4, 4.1 and 4.2, rule by rule. Merging has its own
// file.
#include "ipam/ring.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "test/ipam/ipam_values.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

std::string MakeError(std::vector<RingEntry> entries) {
  const auto ring = Ring::Make(Subnet("10.0.0.0/24"), std::move(entries), {});
  if (ring.ok()) return "";
  CHECK(ring.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(ring.status().message());
}

Ring Divided(const std::string& universe, std::vector<PeerName> peers) {
  Ring ring(Subnet(universe));
  ring.DivideAmong(std::move(peers));
  return ring;
}

// ---- section 4: what a ring is ----

TEST_CASE("A ring is taken from outside only when it is valid", "[ipam]") {
  CHECK(MakeError({}).empty());
  CHECK(MakeError({Entry(0, kA, 0, 256)}).empty());
  CHECK(MakeError({Entry(0, kA, 0, 128), Entry(128, kB, 0, 128)}).empty());
  // The last entry's range crosses the origin: 56 + 100 addresses.
  CHECK(MakeError({Entry(100, kA, 0, 100), Entry(200, kB, 0, 156)}).empty());

  CHECK(MakeError({Entry(128, kA, 0, 0), Entry(0, kB, 0, 0)}) == "Ring not sorted");
  CHECK(MakeError({Entry(128, kA, 0, 0), Entry(128, kB, 0, 0)}) == "Ring not sorted");
  CHECK(MakeError({Entry(256, kA, 0, 0)}) == "Token is out of range");
  CHECK(MakeError({{Ip("9.255.255.255"), kA, 0, 0}}) == "Token is out of range");
  CHECK(MakeError({{Ip("fd00::1"), kA, 0, 0}}) == "Token is out of range");
  CHECK(MakeError({Entry(0, kA, 0, 129), Entry(128, kB, 0, 128)}) ==
        "Entry 10.0.0.0-10.0.0.128 reporting too much free space: 129 > 128");
  CHECK(MakeError({Entry(100, kA, 0, 100), Entry(200, kB, 0, 157)}) ==
        "Entry 10.0.0.200-10.0.0.100 reporting too much free space: 157 > 156");
  CHECK(MakeError({Entry(7, kA, 0, 257)}) == "Entry 10.0.0.7-10.0.0.7 reporting too much free space: 257 > 256");

  CHECK(std::string(Ring::Make(Between(4, 7), {}, {}).status().message()) ==
        "IP allocation range 10.0.0.4-10.0.0.7, want at least 4 addresses");
}

TEST_CASE("Every address of the universe has one owner, and no other address has any", "[ipam]") {
  const Ring ring = RingOf({Entry(10, kA, 0, 0), Entry(20, kB, 0, 0), Entry(30, kC, 0, 0)});
  CHECK(ring.OwnerOf(At(10)) == kA);
  CHECK(ring.OwnerOf(At(19)) == kA);
  CHECK(ring.OwnerOf(At(20)) == kB);
  CHECK(ring.OwnerOf(At(30)) == kC);
  CHECK(ring.OwnerOf(At(255)) == kC);
  CHECK(ring.OwnerOf(At(0)) == kC);
  CHECK(ring.OwnerOf(At(9)) == kC);
  CHECK_FALSE(ring.OwnerOf(At(256)).has_value());
  CHECK_FALSE(ring.OwnerOf(Ip("9.255.255.255")).has_value());
  CHECK_FALSE(ring.OwnerOf(Ip("::1")).has_value());
  CHECK_FALSE(Ring(Subnet("10.0.0.0/24")).OwnerOf(At(10)).has_value());
}

TEST_CASE("The last entry's range crosses the origin, unless the first token is there", "[ipam]") {
  const Ring crossing = RingOf({Entry(10, kA, 0, 0), Entry(20, kB, 0, 0), Entry(30, kA, 0, 0)});
  CHECK(crossing.RangesOf(kA) == std::vector<AddressRange>{Between(0, 20), Between(30, 256)});
  CHECK(crossing.RangesOf(kB) == std::vector<AddressRange>{Between(20, 30)});
  CHECK(crossing.RangesOf(kC).empty());
  CHECK(crossing.CountOf(kA) == 246);
  CHECK(crossing.SizeOf(2) == 236);

  const Ring alone = RingOf({Entry(10, kA, 0, 0)});
  CHECK(alone.RangesOf(kA) == std::vector<AddressRange>{Between(0, 256)});
  CHECK(alone.SizeOf(0) == 256);

  const Ring at_origin = RingOf({Entry(0, kA, 0, 0), Entry(30, kB, 0, 0)});
  CHECK(at_origin.RangesOf(kB) == std::vector<AddressRange>{Between(30, 256)});
  CHECK(at_origin.SizeOf(1) == 226);
  CHECK(Ring(Subnet("10.0.0.0/24")).RangesOf(kA).empty());
}

TEST_CASE("Owners are named once", "[ipam]") {
  const Ring ring = RingOf({Entry(0, kC, 0, 0), Entry(10, kA, 0, 0), Entry(20, kC, 0, 0)});
  CHECK(ring.Owners() == std::vector<PeerName>{kA, kC});
  CHECK(ring.Owns(kA));
  CHECK_FALSE(ring.Owns(kB));
  CHECK(Ring(Subnet("10.0.0.0/24")).Owners().empty());
  CHECK(ToString(ring) ==
        "10.0.0.0 00:00:00:00:00:03(v0, 0 free), 10.0.0.10 00:00:00:00:00:01(v0, 0 free), "
        "10.0.0.20 00:00:00:00:00:03(v0, 0 free)");
}

// ---- section 4.1: the first division ----

TEST_CASE("Three peers get a half and two quarters, in the order of their names", "[ipam]") {
  const Ring ring = Divided("10.0.0.0/24", {kC, kA, kB, kA});
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kA, 0, 128), Entry(128, kB, 0, 64), Entry(192, kC, 0, 64)});
  CHECK(ring.seeds() == std::vector<PeerName>{kA, kB, kC});
}

TEST_CASE("One peer gets everything", "[ipam]") {
  CHECK(Divided("10.0.0.0/24", {kB}).entries() == std::vector<RingEntry>{Entry(0, kB, 0, 256)});
}

TEST_CASE("The middle address of an odd size is counted nowhere and belongs to the lower half", "[ipam]") {
  // 7 addresses: 3 for A, 1 skipped, 3 for B and C: 1 each, with 1 skipped.
  Ring ring(Between(1, 8));
  ring.DivideAmong({kA, kB, kC});
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(1, kA, 0, 3), Entry(5, kB, 0, 1), Entry(7, kC, 0, 1)});
  CHECK(ring.RangesOf(kA) == std::vector<AddressRange>{Between(1, 5)});
  CHECK(ring.RangesOf(kB) == std::vector<AddressRange>{Between(5, 7)});
  // The owner's first report counts it.
  CHECK(ring.ReportFree(kA, SpaceOf(ring, kA)));
  CHECK(ring.entries()[0] == Entry(1, kA, 1, 4));
}

TEST_CASE("Of more peers than addresses some get nothing, but all are seeds", "[ipam]") {
  std::vector<PeerName> peers;
  for (std::uint64_t name = 1; name <= 10; ++name) peers.emplace_back(name);
  Ring ring(Between(0, 4));
  ring.DivideAmong(peers);
  // 5 for 0 and 1: 2 share 0, 3 share 1. Of those who share one address the first gets it.
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, PeerName(1), 0, 1), Entry(1, PeerName(3), 0, 1),
                                                 Entry(2, PeerName(6), 0, 1), Entry(3, PeerName(8), 0, 1)});
  CHECK(ring.seeds() == peers);
}

TEST_CASE("Whatever is divided, the ring is valid, and all of it belongs to the peers", "[ipam]") {
  for (std::uint64_t size = 4; size <= 70; ++size) {
    for (std::uint64_t count = 1; count <= 20; ++count) {
      INFO(size << " addresses, " << count << " peers");
      std::vector<PeerName> peers;
      for (std::uint64_t name = 1; name <= count; ++name) peers.emplace_back(name);
      Ring ring(Between(3, 3 + size));
      ring.DivideAmong(peers);
      REQUIRE(Ring::Make(ring.universe(), ring.entries(), ring.seeds()).value() == ring);
      REQUIRE(ring.entries().front().token == At(3));
      REQUIRE(ring.entries().size() <= std::min(size, count));
      AddressCount sum = 0;
      for (const PeerName peer : peers) sum += ring.CountOf(peer);
      REQUIRE(sum == size);
    }
  }
}

// ---- section 4.2: changes by the owner ----

TEST_CASE("A report counts the free addresses of each own entry, and a version where they changed", "[ipam]") {
  Ring ring = RingOf({Entry(10, kA, 5, 10), Entry(20, kB, 5, 10), Entry(30, kA, 5, 236)});
  Space space = SpaceOf(ring, kA);
  CHECK_FALSE(ring.ReportFree(kA, space));
  REQUIRE(space.Claim(At(12)));
  CHECK(ring.ReportFree(kA, space));
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(10, kA, 6, 9), Entry(20, kB, 5, 10), Entry(30, kA, 5, 236)});
  CHECK_FALSE(ring.ReportFree(kA, space));
  // On either side of the origin.
  REQUIRE(space.Claim(At(3)));
  REQUIRE(space.Claim(At(250)));
  CHECK(ring.ReportFree(kA, space));
  CHECK(ring.entries()[2] == Entry(30, kA, 6, 234));
  space.Free(At(12));
  CHECK(ring.ReportFree(kA, space));
  CHECK(ring.entries()[0] == Entry(10, kA, 7, 10));
  CHECK(ring.entries()[1] == Entry(20, kB, 5, 10));
}

TEST_CASE("What is given from the start of an entry on is the other's, and the rest is a new entry of ours", "[ipam]") {
  Ring ring = RingOf({Entry(0, kA, 5, 100), Entry(128, kB, 7, 128)});
  ring.Grant(kA, Between(0, 64), kC);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kC, 6, 64), Entry(64, kA, 0, 64), Entry(128, kB, 7, 128)});
}

TEST_CASE("What is given up to the end of an entry is a new entry, and ours ends before it", "[ipam]") {
  Ring ring = RingOf({Entry(0, kA, 5, 100), Entry(128, kB, 7, 128)});
  ring.Grant(kA, Between(64, 128), kC);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kA, 6, 64), Entry(64, kC, 0, 64), Entry(128, kB, 7, 128)});
}

TEST_CASE("What is given from the middle of an entry leaves us both ends", "[ipam]") {
  Ring ring = RingOf({Entry(0, kA, 5, 100), Entry(128, kB, 7, 128)});
  ring.Grant(kA, Between(64, 96), kC);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kA, 6, 64), Entry(64, kC, 0, 32), Entry(96, kA, 0, 32),
                                                 Entry(128, kB, 7, 128)});
}

TEST_CASE("A whole entry that is given changes hands where it stands", "[ipam]") {
  Ring ring = RingOf({Entry(0, kA, 5, 100), Entry(128, kB, 7, 128)});
  ring.Grant(kA, Between(0, 128), kC);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kC, 6, 128), Entry(128, kB, 7, 128)});
  ring.Grant(kB, Between(128, 256), kC);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kC, 6, 128), Entry(128, kC, 8, 128)});
}

TEST_CASE("What is given across several entries of ours takes those inside along", "[ipam]") {
  Ring ring = RingOf({Entry(0, kA, 1, 60), Entry(64, kA, 2, 30), Entry(96, kA, 3, 64), Entry(160, kB, 4, 96)});
  ring.Grant(kA, Between(32, 128), kC);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kA, 2, 32), Entry(32, kC, 0, 32), Entry(64, kC, 3, 30),
                                                 Entry(96, kC, 4, 32), Entry(128, kA, 0, 32), Entry(160, kB, 4, 96)});
}

TEST_CASE("What is given up to the universe's end ends at its origin", "[ipam]") {
  SECTION("where an entry begins: nothing is added") {
    Ring ring = RingOf({Entry(0, kB, 1, 0), Entry(128, kA, 1, 128)});
    ring.Grant(kA, Between(192, 256), kC);
    CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kB, 1, 0), Entry(128, kA, 2, 64), Entry(192, kC, 0, 64)});
  }
  SECTION("which was inside a range of ours: that goes on there") {
    Ring ring = RingOf({Entry(16, kB, 1, 0), Entry(128, kA, 1, 144)});
    ring.Grant(kA, Between(192, 256), kC);
    CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kA, 0, 16), Entry(16, kB, 1, 0), Entry(128, kA, 2, 64),
                                                   Entry(192, kC, 0, 64)});
  }
}

TEST_CASE("What is given below the first token comes from the last entry", "[ipam]") {
  Ring ring = RingOf({Entry(16, kB, 1, 0), Entry(128, kA, 1, 144)});
  ring.Grant(kA, Between(4, 8), kC);
  CHECK(ring.entries() ==
        std::vector<RingEntry>{Entry(4, kC, 0, 4), Entry(8, kA, 0, 8), Entry(16, kB, 1, 0), Entry(128, kA, 2, 132)});
}

TEST_CASE("All that there is can be given, wherever the only token is", "[ipam]") {
  Ring ring = RingOf({Entry(0, kA, 1, 256)});
  ring.Grant(kA, Between(0, 256), kC);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(0, kC, 2, 256)});
  ring = RingOf({Entry(100, kA, 1, 256)});
  ring.Grant(kA, Between(0, 256), kC);
  CHECK(ring.CountOf(kC) == 256);
  CHECK(Ring::Make(ring.universe(), ring.entries(), {}).ok());
}

TEST_CASE("Entries that are transferred are a hundred versions ahead", "[ipam]") {
  Ring ring = RingOf({Entry(10, kA, 5, 1), Entry(20, kB, 6, 2), Entry(30, kA, 7, 3)});
  CHECK(ring.Transfer(kA, kC) == 246);
  CHECK(ring.entries() == std::vector<RingEntry>{Entry(10, kC, 105, 1), Entry(20, kB, 6, 2), Entry(30, kC, 107, 3)});
  CHECK(ring.Transfer(kA, kC) == 0);
}

TEST_CASE("Whatever is given, it and nothing else changes hands", "[ipam]") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Ring ring(Between(16, 16 + 64));
    ring.DivideAmong({kA, kB, kC, kD});
    std::map<std::uint64_t, PeerName> owners;
    for (std::uint64_t number = 16; number < 80; ++number) owners[number] = *ring.OwnerOf(At(number));
    for (int step = 0; step < 60; ++step) {
      INFO("step " << step << ": " << ring);
      const auto ranges = ring.RangesOf(PeerName(1 + random.Below(4)));
      if (ranges.empty()) continue;
      const AddressRange range = ranges[random.Below(ranges.size())];
      const std::uint64_t first = static_cast<std::uint64_t>(range.start.value() - At(0).value());
      const auto size = static_cast<std::uint64_t>(range.size);
      const std::uint64_t start = first + random.Below(size);
      const std::uint64_t end = start + 1 + random.Below(first + size - start);
      const PeerName from = owners[start];
      const PeerName to(1 + random.Below(4));
      if (to == from) continue;
      const std::size_t before = ring.entries().size();
      ring.Grant(from, Between(start, end), to);
      CHECK(ring.entries().size() <= before + 2);
      for (std::uint64_t number = start; number < end; ++number) owners[number] = to;
      for (const auto& [number, owner] : owners) REQUIRE(ring.OwnerOf(At(number)) == owner);
      REQUIRE(Ring::Make(ring.universe(), ring.entries(), ring.seeds()).ok());
    }
  }
}

// ---- section 6, item 1: whom to ask for space ----

TEST_CASE("Asked for space is who has some in the range, the richer the earlier more often", "[ipam]") {
  const Ring ring = RingOf({Entry(0, kA, 0, 10), Entry(64, kB, 0, 60), Entry(128, kC, 0, 0), Entry(160, kD, 0, 20),
                            Entry(200, PeerName(5), 0, 50)});
  Random random(7);
  CHECK(ring.DonorCandidates(kA, Between(128, 160), random).empty());
  CHECK(ring.DonorCandidates(kA, Between(0, 64), random).empty());
  CHECK(ring.DonorCandidates(kB, Between(0, 65), random) == std::vector<PeerName>{kA});
  CHECK(ring.DonorCandidates(kC, Between(127, 129), random) == std::vector<PeerName>{kB});
  int b_first = 0;
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    const auto candidates = ring.DonorCandidates(kA, Between(100, 180), random);
    REQUIRE(candidates.size() == 2);
    REQUIRE(candidates[0] != candidates[1]);
    if (candidates[0] == kB) ++b_first;
  }
  // 60 u > 20 v for uniform u and v: in 5 of 6 cases.
  CHECK(b_first > kDraws * 78 / 100);
  CHECK(b_first < kDraws * 88 / 100);
}

TEST_CASE("What a peer has free in several entries counts together, also beyond the origin", "[ipam]") {
  const Ring ring = RingOf({Entry(10, kA, 0, 0), Entry(20, kB, 0, 1), Entry(30, kA, 0, 0), Entry(40, kB, 0, 200)});
  Random random(7);
  CHECK(ring.DonorCandidates(kC, Between(0, 1), random) == std::vector<PeerName>{kB});
  CHECK(ring.DonorCandidates(kC, Between(20, 21), random) == std::vector<PeerName>{kB});
  CHECK(ring.DonorCandidates(kC, Between(10, 20), random).empty());
}

TEST_CASE("Rings of IPv6 count beyond 64 bits", "[ipam]") {
  Ring ring(Subnet("fd00::/32"));
  ring.DivideAmong({kA, kB, kC, kD});
  CHECK(ring.CountOf(kA) == absl::uint128(1) << 94);
  CHECK(ring.OwnerOf(Ip("fd00:0:4000::")) == kB);
  Random random(7);
  CHECK(ring.DonorCandidates(kA, ring.universe(), random).size() == 3);
  Space space = SpaceOf(ring, kA);
  const AddressRange given = space.Donation(ring.universe()).value();
  CHECK(given == Subnet("fd00:0:2000::/35"));
  ring.Grant(kA, given, kB);
  space.SetOwned(ring.RangesOf(kA));
  CHECK_FALSE(ring.ReportFree(kA, space));
  CHECK(ring.entries()[0] == RingEntry{Ip("fd00::"), kA, 1, absl::uint128(1) << 93});
}

}  // namespace
}  // namespace weave::test
