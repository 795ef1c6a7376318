// What is on disk before anybody hears of it, and what a restart finds there (spec/ipam.md section 10).
#include <string>

#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

using Message = Cluster::Message;

TEST_CASE("No caller is answered before its address is on disk", "[ipam]") {
  Cluster c({.peers = 1});
  c.HoldDisk(0, true);
  const OperationId web = c.Allocate(0, "web");
  const OperationId again = c.Allocate(0, "web");
  CHECK(c.Answer(web) == "");
  CHECK(c.Text(again) == "");
  c.HoldDisk(0, false);
  CHECK(c.Answer(web) == "10.0.0.1/24");
  CHECK(c.Text(again) == "10.0.0.1/24");
  CHECK(c.disk(0).contains(AllocationKey("web")));
}

TEST_CASE("An address that is claimed while it is released waits for one write, and for no ring outside the range",
          "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Consensus(3)}});
  const OperationId first = c.Claim(0, "web", "192.168.1.1/24");
  CHECK(c.Answer(first) == "192.168.1.1/24");
  c.HoldDisk(0, true);
  c.Release(0, "web");
  const OperationId second = c.Claim(0, "db", "192.168.1.1/24");
  c.RunFor(absl::Seconds(20));
  CHECK(c.Text(second) == "");
  c.HoldDisk(0, false);
  CHECK(c.Answer(second) == "192.168.1.1/24");
  CHECK(c.at(0).ring().empty());
  CHECK(!c.at(0).Status().election.has_value());
  c.CheckAll();
}

TEST_CASE("Nobody hears of a promise, a ring or a grant that is not on disk", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {Consensus(2)}});
  const auto told = [&] { return DecodeIpamState(c.at(1).FullState(c.now())->Encode().at(0)).value(); };
  c.HoldDisk(1, true);
  c.Allocate(0, "a");
  c.RunFor(absl::Seconds(20));
  CHECK(told().paxos == PaxosClaims{});
  CHECK(c.at(0).ring().empty());

  c.HoldDisk(1, false);
  c.RunFor(absl::Seconds(10));
  REQUIRE(told().ring.has_value());
  const Ring before = *told().ring;

  c.HoldDisk(1, true);
  c.Claim(0, "b", "10.0.0.200/24");
  c.RunFor(absl::Seconds(20));
  CHECK(c.at(1).ring().CountOf(Cluster::Name(0)) == 129);
  CHECK(*told().ring == before);
  CHECK(c.AddressesOf(0, "b") == "");
  c.HoldDisk(1, false);
  c.RunUntilQuiet();
  CHECK(c.AddressesOf(0, "b") == "10.0.0.200/24");
}

TEST_CASE("A crash before the record is on disk leaves nothing behind, here or elsewhere", "[ipam]") {
  Cluster c({.peers = 2});
  c.HoldDisk(1, true);
  c.Claim(0, "b", "10.0.0.200/24");
  c.RunUntilQuiet();
  c.Crash(1);
  c.HoldDisk(1, false);
  c.Restart(1);
  c.RunUntilQuiet();
  CHECK(c.at(1).ring().CountOf(Cluster::Name(1)) == 128);
  c.RunFor(absl::Seconds(6));
  CHECK(c.AddressesOf(0, "b") == "10.0.0.200/24");
  c.CheckAll();
}

TEST_CASE("A restart keeps ring and addresses", "[ipam]") {
  Cluster c({.peers = 2});
  c.Allocate(0, "a");
  c.Claim(0, "b", "10.0.0.200/24");
  c.Claim(0, "out", "192.168.0.1/16");
  c.RunFor(absl::Seconds(60));
  const Ring ring = c.at(0).ring();
  c.Crash(0);
  c.Restart(0);
  CHECK(c.at(0).ring() == ring);
  CHECK(c.AddressesOf(0, "a") == "10.0.0.1/24");
  CHECK(c.AddressesOf(0, "b") == "10.0.0.200/24");
  CHECK(c.AddressesOf(0, "out") == "192.168.0.1/16");
  CHECK(c.Answer(c.Allocate(0, "next")) == "10.0.0.2/24");
  CHECK(c.at(0).TakeOutput().empty());
  c.CheckAll();
}

TEST_CASE("A restart remembers the nicknames of owners", "[ipam]") {
  Cluster c({.peers = 2});
  c.Allocate(0, "a");
  c.RunFor(absl::Seconds(31));
  c.Crash(0);
  c.Crash(1);
  c.Restart(0);
  const OperationId id = c.Do(0, TakeOverOperation{"host1"});
  c.RunUntilQuiet();
  CHECK(c.ReplyTo(id)->taken_over == 128);
}

TEST_CASE("What was recorded for another name or range is set aside, with the addresses", "[ipam]") {
  Cluster c({.peers = 1});
  c.Allocate(0, "a");
  c.Claim(0, "out", "192.168.0.1/16");
  c.RunUntilQuiet();
  c.Crash(0);
  AllocatorConfig config = c.ConfigOf(0);
  SECTION("name") { config.self = PeerName(99); }
  SECTION("range") { config.range = config.default_subnet = Cidr::Parse("10.0.0.0/16").value(); }
  config.bootstrap = Consensus(3);
  c.Configure(0, config);
  c.Restart(0);
  c.RunUntilQuiet();
  CHECK(c.at(0).ring().empty());
  CHECK(c.at(0).allocations().empty());
  CHECK(c.disk(0).empty());
}

TEST_CASE("Seeds do not matter where there is a ring", "[ipam]") {
  Cluster c({.peers = 1});
  c.Allocate(0, "a");
  c.RunUntilQuiet();
  c.Crash(0);
  AllocatorConfig config = c.ConfigOf(0);
  config.bootstrap = SeedBootstrap{{PeerName(55)}};
  c.Configure(0, config);
  c.Restart(0);
  CHECK(c.at(0).ring().seeds() == std::vector<PeerName>{Cluster::Name(0)});
  CHECK(c.AddressesOf(0, "a") == "10.0.0.1/24");
}

TEST_CASE("An elector that restarts is the same node, with its promises", "[ipam]") {
  Cluster c({.peers = 3, .bootstraps = {Consensus(3)}});
  c.Cut(0, 1);
  c.Cut(0, 2);
  c.Allocate(0, "a");
  c.RunFor(absl::Seconds(11));
  const IpamState before = DecodeIpamState(c.at(0).FullState(c.now())->Encode().at(0)).value();
  REQUIRE(before.paxos->size() == 1);
  CHECK(before.paxos->begin()->second.promise.round == 3);
  c.Crash(0);
  c.Restart(0);
  const IpamState after = DecodeIpamState(c.at(0).FullState(c.now())->Encode().at(0)).value();
  CHECK(after.paxos == before.paxos);
  c.Heal();
  c.RunUntilQuiet();
  c.Allocate(0, "a");
  c.RunFor(absl::Seconds(6));
  CHECK_FALSE(c.at(0).ring().empty());
  CHECK_FALSE(c.disk(0).contains(PaxosKey()));
}

TEST_CASE("An allocation writes its own row, whoever else has addresses", "[ipam]") {
  Cluster c({.peers = 1, .range = "10.32.0.0/12"});
  for (int i = 0; i < 60000; ++i) c.Allocate(0, absl::StrCat("c", i));
  c.RunFor(absl::Seconds(5));
  const std::size_t before = c.rows_written(0);
  c.Allocate(0, "one more");
  c.RunUntilQuiet();
  CHECK(c.rows_written(0) == before + 1);
  c.RunFor(absl::Seconds(5));
  CHECK(c.rows_written(0) == before + 2);  // the ring, with the count of free addresses
  c.RunFor(absl::Seconds(60));
  CHECK(c.rows_written(0) == before + 2);
  CHECK_FALSE(c.at(0).NextDeadline().has_value());
}

TEST_CASE("What is free again is reported on the next tick", "[ipam]") {
  Cluster c({.peers = 1});
  c.Allocate(0, "a");
  c.RunFor(absl::Seconds(5));
  CHECK(c.at(0).ring().entries()[0].free == 255);
  c.Release(0, "a");
  c.RunFor(absl::Seconds(5));
  CHECK(c.at(0).ring().entries()[0].free == 256);
  CHECK(std::get<RingRecord>(c.disk(0).at(RingKey())).entries == c.at(0).ring().entries());
}

TEST_CASE("An address whose record cannot be written goes back, once that is written", "[ipam]") {
  Cluster c({.peers = 1});
  c.FailDisk(0, true);
  CHECK(c.Answer(c.Allocate(0, "a")) == "disk");
  CHECK(c.AddressesOf(0, "a") == "");
  c.FailDisk(0, false);
  // The row may have reached the disk, so nobody else gets the address before it is gone.
  CHECK(c.Answer(c.Allocate(0, "b")) == "10.0.0.2/24");
  c.RunFor(absl::Seconds(2));
  CHECK(c.Answer(c.Allocate(0, "c")) == "10.0.0.1/24");
  c.CheckAll();
  c.CheckConverged();
}

TEST_CASE("A row that says who holds an address is on disk with the ring that makes it ours, whyever it is written",
          "[ipam]") {
  Cluster c({.peers = 2});
  CHECK(c.Answer(c.Allocate(0, "web")) == "10.0.0.1/24");
  c.FailDisk(0, true);
  c.Claim(0, "web", "10.0.0.200/24", /*no_error_on_unknown=*/true);
  c.RunFor(absl::Seconds(1));
  REQUIRE(c.AddressesOf(0, "web") == "10.0.0.1/24 10.0.0.200/24");
  c.FailDisk(0, false);
  c.Release(0, "web", "10.0.0.1");
  while (c.Step()) {
  }
  c.Crash(0);
  c.Restart(0);
  CHECK(c.AddressesOf(0, "web") == "10.0.0.200/24");
  CHECK(c.at(0).stray_count() == 0);
}

TEST_CASE("Given again, an address leaves every row that may still say it is somebody's", "[ipam]") {
  Cluster c({.peers = 1});
  const auto a_restart_finds = [&c](const std::string& holder, const std::string& address) {
    c.Crash(0);
    c.Restart(0);
    CHECK(c.AddressesOf(0, holder) == address);
    c.CheckAll();
  };
  REQUIRE(c.Answer(c.Allocate(0, "a")) == "10.0.0.1/24");
  c.FailDisk(0, true);
  REQUIRE(c.Answer(c.Release(0, "a")) == "disk");

  SECTION("after a claim that failed") {
    REQUIRE(c.Answer(c.Claim(0, "b", "10.0.0.1/24")) == "disk");
    c.FailDisk(0, false);
    REQUIRE(c.Answer(c.Claim(0, "c", "10.0.0.1/24")) == "10.0.0.1/24");
    a_restart_finds("c", "10.0.0.1/24");
  }
  SECTION("with the second of two answers, of which the first was lost") {
    c.HoldDisk(0, true);
    const OperationId first = c.Claim(0, "b", "10.0.0.1/24");
    c.RunUntilQuiet();
    const OperationId second = c.Claim(0, "b", "10.0.0.1/24");
    c.FailDisk(0, false);
    c.FailNextWrite(0);
    c.HoldDisk(0, false);
    REQUIRE(c.Answer(first) == "disk");
    REQUIRE(c.Text(second) == "10.0.0.1/24");
    a_restart_finds("b", "10.0.0.1/24");
  }
  SECTION("outside of the range, too") {
    c.FailDisk(0, false);
    REQUIRE(c.Answer(c.Claim(0, "a", "192.168.7.7/24")) == "192.168.7.7/24");
    c.FailDisk(0, true);
    REQUIRE(c.Answer(c.Release(0, "a", "192.168.7.7")) == "disk");
    REQUIRE(c.Answer(c.Claim(0, "b", "192.168.7.7/24")) == "disk");
    c.FailDisk(0, false);
    REQUIRE(c.Answer(c.Claim(0, "c", "192.168.7.7/24")) == "192.168.7.7/24");
    a_restart_finds("c", "192.168.7.7/24");
  }
}

TEST_CASE("A second answer for an address that is not on disk yet falls with the first", "[ipam]") {
  Cluster c({.peers = 1});
  c.HoldDisk(0, true);
  const OperationId first = c.Allocate(0, "a");
  c.RunUntilQuiet();
  const OperationId second = c.Allocate(0, "a");
  c.FailDisk(0, true);
  c.HoldDisk(0, false);
  CHECK(c.Answer(first) == "disk");
  CHECK(c.Text(second) == "disk");
  CHECK(c.AddressesOf(0, "a") == "");
  c.FailDisk(0, false);
  c.RunFor(absl::Seconds(3));
  c.CheckAll();
  c.CheckConverged();
}

TEST_CASE("What could not be told is told when the disk is well again", "[ipam]") {
  Cluster c({.peers = 2});
  c.FailDisk(1, true);
  const OperationId claim = c.Claim(0, "b", "10.0.0.200/24");
  c.RunFor(absl::Seconds(7));
  CHECK(c.Text(claim) == "");
  CHECK(c.at(0).ring().CountOf(Cluster::Name(0)) == 128);
  c.FailDisk(1, false);
  c.RunFor(absl::Seconds(2));
  CHECK(c.Text(claim) == "10.0.0.200/24");
  c.CheckAll();
}

TEST_CASE("Released and given again, an address changes hands only over the disk", "[ipam]") {
  Cluster c({.peers = 1, .range = "10.0.0.0/30"});
  c.Allocate(0, "a");
  c.Allocate(0, "b");
  c.RunUntilQuiet();
  c.HoldDisk(0, true);
  c.Release(0, "a");
  const OperationId next = c.Allocate(0, "next");
  const OperationId claim = c.Claim(0, "claim", "10.0.0.1/30");
  c.RunUntilQuiet();
  CHECK(c.at(0).allocations().contains("next") == false);
  CHECK(c.Text(claim) == "");
  c.HoldDisk(0, false);
  c.RunUntilQuiet();
  CHECK(c.Text(claim) == "10.0.0.1/30");
  CHECK(c.Text(next) == "");
  c.Release(0, "claim");
  c.RunUntilQuiet();
  CHECK(c.Text(next) == "10.0.0.1/30");
  c.CheckAll();
}

}  // namespace
}  // namespace weave::test
