// The checkers of the ring, on peers that have gone wrong.
#include "sim/ring_checker.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "sim/paxos_checker.h"
#include "test/support/catch.h"

namespace weave::sim {
namespace {

constexpr PeerName kOne(1);
constexpr PeerName kTwo(2);
constexpr PeerName kThree(3);

IpAddress Ten(std::uint32_t number) { return IpAddress::V4(0x0a00'0000 + number); }

const Cidr kSixteen(Ten(0), 28);

class NobodyElse final : public PeerDirectory {
 public:
  bool IsReachable(PeerName) const override { return false; }
  bool IsKnown(PeerName) const override { return false; }
  std::size_t DirectPeerCount() const override { return 0; }
  bool AwaitsFirstAnswer() const override { return false; }
  std::vector<PeerName> Neighbours() const override { return {}; }
};

RingRecord RingOn(PeerName self, std::vector<RingEntry> entries) {
  return {self, kSixteen.Range(), std::move(entries), {kOne, kTwo}, {}, std::nullopt};
}

// A peer that has found this on its disk.
struct Found {
  Found(PeerName self, std::vector<RingEntry> entries, std::vector<AllocationRecord> rows = {})
      : allocator({self, "", kSixteen, kSixteen, ObserverBootstrap{}, 1}, directory, Random(1), logger) {
    std::vector<IpamRecord> records(rows.begin(), rows.end());
    records.insert(records.begin(), RingOn(self, std::move(entries)));
    allocator.OnStart(Now{}, records);
    allocator.TakeOutput();
  }

  NobodyElse directory;
  NullLogger logger;
  Allocator allocator;
};

const std::vector<RingEntry> kHalves = {{Ten(0), kOne, 0, 8}, {Ten(8), kTwo, 0, 8}};

TEST_CASE("Halves that two peers agree on pass", "[sim][ipam]") {
  Found one(kOne, kHalves);
  Found two(kTwo, kHalves);
  CHECK(CheckOwners({&one.allocator, &two.allocator}).message() == "");
  CHECK(CheckRings({&one.allocator, &two.allocator}).message() == "");
  CHECK(CheckServed({&one.allocator, &two.allocator}).message() == "");
}

TEST_CASE("A part that two own by their own words is found", "[sim][ipam]") {
  Found one(kOne, {{Ten(0), kOne, 0, 12}, {Ten(12), kTwo, 0, 4}});
  Found two(kTwo, kHalves);
  CHECK(CheckOwners({&one.allocator, &two.allocator}).message() ==
        "00:00:00:00:00:01 and 00:00:00:00:00:02 both own 10.0.0.8");
}

TEST_CASE("Rings that differ, owners that are no more, and free addresses that are none are found", "[sim][ipam]") {
  Found one(kOne, kHalves);
  SECTION("another version") {
    Found two(kTwo, {{Ten(0), kOne, 0, 8}, {Ten(8), kTwo, 1, 8}});
    CHECK(CheckRings({&one.allocator, &two.allocator}).message() ==
          "00:00:00:00:00:02 has 10.0.0.8 of 00:00:00:00:00:02 in version 1 with 8 free, others have 10.0.0.8 of "
          "00:00:00:00:00:02 in version 0 with 8 free");
  }
  SECTION("nobody there owns a half") {
    CHECK(CheckRings({&one.allocator}).message() == "00:00:00:00:00:02 owns addresses and is no more");
  }
  SECTION("an address in use is reported free") {
    Found two(kTwo, kHalves);
    two.allocator.OnOperation(Now{}, 1, AllocateOperation{"web", kSixteen});
    CHECK(CheckRings({&one.allocator, &two.allocator}).message() ==
          "00:00:00:00:00:02 reports 8 free addresses from 10.0.0.8 on, and has 7");
  }
}

TEST_CASE("Who waits for what another has free is found, and who waits for what nobody has passes", "[sim][ipam]") {
  std::vector<AllocationRecord> rows;
  for (std::uint32_t n = 1; n < 8; ++n) rows.push_back({Ten(n).ToString(), {Cidr(Ten(n), 28)}});
  Found one(kOne, kHalves, rows);
  one.allocator.OnOperation(Now{}, 1, AllocateOperation{"web", kSixteen});
  SECTION("another has") {
    Found two(kTwo, kHalves);
    CHECK(CheckServed({&one.allocator, &two.allocator}).message() ==
          "00:00:00:00:00:01 waits for an address of 10.0.0.0/28, and 10.0.0.8 is free at 00:00:00:00:00:02");
  }
  SECTION("nobody has: the first and the last address are nobody's") {
    rows.clear();
    for (std::uint32_t n = 8; n < 15; ++n) rows.push_back({Ten(n).ToString(), {Cidr(Ten(n), 28)}});
    Found two(kTwo, kHalves, rows);
    CHECK(CheckServed({&one.allocator, &two.allocator}).message() == "");
  }
}

// ---- who was told what ----

struct Watched {
  EventQueue queue;
  Trace trace{queue};
  NetworkOracle oracle{kSixteen, trace};

  std::string Violation() const { return trace.violation().value_or(""); }
};

TEST_CASE("An address that two were told to have is found, on an interface or not", "[sim][ipam]") {
  Watched w;
  w.oracle.OnGiven(1, "web", Ten(1));
  w.oracle.OnGiven(1, "web", Ten(1));
  w.oracle.OnGiven(2, "far", Ten(77));  // outside the range
  w.oracle.OnGiven(1, "far", Ten(77));
  CHECK(w.Violation() == "");
  SECTION("given back before") {
    w.oracle.OnGivenBack(1, "web", std::nullopt);
    w.oracle.OnGiven(2, "db", Ten(1));
    CHECK(w.Violation() == "");
  }
  SECTION("on another host") {
    w.oracle.OnGiven(2, "db", Ten(1));
    CHECK(w.Violation() == "host 2: address 10.0.0.1 is held by web on host 1 and by db on host 2");
  }
  SECTION("on an interface") {
    w.oracle.OnAddressAdded(1, Ten(1));
    CHECK(w.Violation() == "host 1: address 10.0.0.1 is held by an interface on host 1 and by web on host 1");
  }
  SECTION("a host that is lost holds nothing") {
    w.oracle.OnHostLost(1);
    CHECK(w.oracle.GivenOn(1).empty());
    w.oracle.OnGiven(2, "db", Ten(1));
    CHECK(w.Violation() == "");
  }
}

TEST_CASE("What a caller was told and the allocator has forgotten is found", "[sim][ipam]") {
  Watched w;
  Found one(kOne, kHalves, {{"web", {Cidr(Ten(1), 28)}}});
  w.oracle.OnGiven(1, "web", Ten(1));
  CHECK(CheckGiven(w.oracle, 1, one.allocator).message() == "");
  w.oracle.OnGiven(1, "db", Ten(2));
  CHECK(CheckGiven(w.oracle, 1, one.allocator).message() ==
        "10.0.0.2 was given to db, and the allocator has it of nobody");
}

// ---- promises and votes ----

class Voters {
 public:
  explicit Voters(std::optional<std::size_t> quorum = 2) : checker_(quorum, w_.trace) {}

  // Node `name`/`uid` on the host of that number.
  void Write(PeerName name, PeerUid uid, std::uint64_t promised, std::uint64_t accepted,
             std::vector<PeerName> value = {kOne, kTwo}) {
    const PaxosNodeId node{name, uid};
    const ProposalId promise{promised, {kOne, 7}};
    const ProposalId vote{accepted, {kOne, 7}};
    PaxosRecord record{node, {}};
    record.claims[node] = {promise, accepted == 0 ? ProposalId{} : vote, {std::move(value), vote}};
    Look(name, {{PaxosKey(), record}});
  }
  void WriteRing(PeerName name, std::vector<PeerName> seeds, std::optional<CouncilMemory> council = std::nullopt) {
    RingRecord record = RingOn(name, kHalves);
    record.seeds = std::move(seeds);
    record.council = std::move(council);
    Look(name, {{RingKey(), record}});
  }
  void Forget(PeerName name) { checker_.Forget(HostOf(name)); }
  std::string Violation() const { return w_.Violation(); }

 private:
  static HostId HostOf(PeerName name) { return static_cast<HostId>(name.value()); }
  void Look(PeerName name, const SimDisk::Records& disk) { checker_.Look(HostOf(name), disk); }

  Watched w_;
  PaxosChecker checker_;
};

TEST_CASE("An election of two out of three passes", "[sim][ipam]") {
  Voters v;
  v.Write(kOne, 7, 1, 0);
  v.Write(kTwo, 8, 1, 0);
  v.Write(kOne, 7, 1, 1);
  v.WriteRing(kTwo, {kOne, kTwo});
  v.WriteRing(kOne, {kOne, kTwo});
  CHECK(v.Violation() == "");
}

TEST_CASE("What no quorum can have agreed on is found", "[sim][ipam]") {
  Voters v;
  SECTION("a promise that is taken back") {
    v.Write(kOne, 7, 2, 0);
    v.Write(kOne, 7, 1, 0);
    CHECK(v.Violation() == "host 1: an elector goes back on its promise of round 2");
  }
  SECTION("another node under the same name, on the same disk") {
    v.Write(kOne, 7, 2, 0);
    v.Write(kOne, 9, 2, 0);
    CHECK(v.Violation() == "host 1: an elector comes back as another node");
  }
  SECTION("another node on another disk is none of it") {
    v.Write(kOne, 7, 2, 0);
    v.Forget(kOne);
    v.Write(kOne, 9, 1, 0);
    CHECK(v.Violation() == "");
  }
  SECTION("one round with two values") {
    v.Write(kOne, 7, 1, 1);
    v.Write(kTwo, 8, 1, 1, {kTwo, kThree});
    CHECK(v.Violation() == "host 2: round 1 of the election has two values");
  }
  SECTION("a ring without votes") {
    v.Write(kOne, 7, 1, 0);
    v.WriteRing(kTwo, {kOne, kTwo});
    CHECK(v.Violation() == "host 2: first owners that no quorum has voted for");
  }
  SECTION("two rings") {
    v.Write(kOne, 7, 1, 1);
    v.WriteRing(kTwo, {kOne, kTwo});
    v.WriteRing(kOne, {kOne, kThree});
    CHECK(v.Violation() == "host 1: there are two lists of first owners");
  }
}

CouncilMemory Decided(std::uint64_t epoch, std::vector<CouncilMember> members, std::uint64_t promised = 0) {
  CouncilMemory memory;
  memory.uid = 5;
  memory.state.id.epoch = epoch;
  memory.state.members = std::move(members);
  memory.claim.promise.round = promised;
  return memory;
}

TEST_CASE("A council that decides two things at once, or forgets, is found", "[sim][ipam]") {
  Voters v(std::nullopt);
  v.WriteRing(kOne, {kOne, kTwo}, Decided(1, {{kOne, 5}, {kTwo, 6}}, 4));
  CHECK(v.Violation() == "");
  SECTION("two decisions of one number") {
    v.WriteRing(kTwo, {kOne, kTwo}, Decided(1, {{kTwo, 6}}));
    CHECK(v.Violation() == "host 2: decision 0/1 of the council is two");
  }
  SECTION("unless the disk is lost that alone had the first of them") {
    v.Forget(kOne);
    v.WriteRing(kTwo, {kOne, kTwo}, Decided(1, {{kTwo, 6}}));
    CHECK(v.Violation() == "");
  }
  SECTION("a decision that is taken back") {
    v.WriteRing(kOne, {kOne, kTwo}, Decided(0, {{kOne, 0}, {kTwo, 0}}));
    CHECK(v.Violation() == "host 1: a decision of the council is forgotten");
  }
  SECTION("a promise that is taken back") {
    v.WriteRing(kOne, {kOne, kTwo}, Decided(1, {{kOne, 5}, {kTwo, 6}}, 3));
    CHECK(v.Violation() == "host 1: a member of the council goes back on its promise of round 4");
  }
  SECTION("the next decision begins anew") {
    v.WriteRing(kOne, {kOne, kTwo}, Decided(2, {{kOne, 5}}));
    CHECK(v.Violation() == "");
  }
}

}  // namespace
}  // namespace weave::sim
