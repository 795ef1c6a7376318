// What callers see of one allocator and of few (spec/ipam.md sections 5 to 8).
#include "ipam/allocator.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

TEST_CASE("The lowest free address is given, never the first or the last of the subnet", "[ipam]") {
  Cluster c({.peers = 1, .range = "10.0.0.0/29"});
  CHECK(c.Answer(c.Allocate(0, "a")) == "10.0.0.1/29");
  CHECK(c.Answer(c.Allocate(0, "b")) == "10.0.0.2/29");
  CHECK(c.Answer(c.Release(0, "a")) == "10.0.0.1/29");
  CHECK(c.Answer(c.Allocate(0, "c")) == "10.0.0.1/29");
  for (int i = 3; i <= 6; ++i)
    CHECK(c.Answer(c.Allocate(0, absl::StrCat("d", i))) == absl::StrCat("10.0.0.", i, "/29"));
  CHECK(c.Answer(c.Allocate(0, "too many")) == "");
  c.CheckAll();
}

TEST_CASE("A holder that asks twice gets the same address, in another subnet another one", "[ipam]") {
  Cluster c({.peers = 1});
  CHECK(c.Answer(c.Allocate(0, "a", "10.0.0.0/25")) == "10.0.0.1/25");
  CHECK(c.Answer(c.Allocate(0, "a")) == "10.0.0.1/25");
  CHECK(c.Answer(c.Allocate(0, "a", "10.0.0.128/25")) == "10.0.0.129/25");
  CHECK(c.AddressesOf(0, "a") == "10.0.0.1/25 10.0.0.129/25");
}

TEST_CASE("Callers without a name each get an address of their own", "[ipam]") {
  Cluster c({.peers = 1});
  CHECK(c.Answer(c.Allocate(0, "_")) == "10.0.0.1/24");
  CHECK(c.Answer(c.Allocate(0, "_")) == "10.0.0.2/24");
  CHECK(c.AddressesOf(0, "10.0.0.2") == "10.0.0.2/24");
}

TEST_CASE("A request that can mean nothing here is refused", "[ipam]") {
  Cluster c({.peers = 1});
  CHECK(absl::StrContains(c.Answer(c.Allocate(0, "a", "10.1.0.0/24")), "range 10.1.0.0/24 out of bounds: 10.0.0.0/24"));
  CHECK(absl::StrContains(c.Answer(c.Allocate(0, "a", "10.0.0.0/31")), "at least 4"));
  CHECK(absl::StrContains(c.Answer(c.Allocate(0, "a", "10.0.0.1/28")), "without host bits"));
}

TEST_CASE("What one has is claimed, freed and deleted with the texts of old", "[ipam]") {
  Cluster c({.peers = 1, .range = "10.32.0.0/24"});
  CHECK(c.Answer(c.Claim(0, "k1", "10.32.0.50/24")) == "10.32.0.50/24");
  CHECK(c.Answer(c.Claim(0, "k1", "10.32.0.50/24")) == "10.32.0.50/24");
  CHECK(c.Answer(c.Claim(0, "k2", "10.32.0.50/24")) == "address 10.32.0.50/24 is already owned by k1");
  CHECK(c.Answer(c.Claim(0, "_", "10.32.0.50/24")) == "10.32.0.50/24");
  CHECK(c.AddressesOf(0, "k1") == "10.32.0.50/24");
  CHECK(c.Answer(c.Claim(0, "_", "10.32.0.51/24")) == "10.32.0.51/24");
  CHECK(c.Answer(c.Claim(0, "_", "10.32.0.51/24")) == "10.32.0.51/24");
  CHECK(c.Answer(c.Claim(0, "k1", "10.32.0.51/24")) == "address 10.32.0.51/24 already in use");
  CHECK(c.Answer(c.Release(0, "k1", "10.32.0.50")) == "10.32.0.50/24");
  CHECK(c.Answer(c.Release(0, "k1", "10.32.0.50")) == "Free: address 10.32.0.50 not found for k1");
  CHECK(c.Answer(c.Release(0, "k1")) == "Delete: no addresses for k1");
  c.CheckAll();
}

TEST_CASE("An address outside the range needs no ring", "[ipam]") {
  Cluster c({.peers = 2, .bootstraps = {ObserverBootstrap{}}});
  CHECK(c.Answer(c.Claim(0, "k4", "172.16.0.1/24")) == "172.16.0.1/24");
  CHECK(c.Answer(c.Claim(0, "k5", "172.16.0.1/24")) == "address 172.16.0.1/24 already in use by k4");
  CHECK(c.Answer(c.Claim(0, "_", "172.16.0.1/24")) == "172.16.0.1/24");
  CHECK(c.Answer(c.Release(0, "k4")) == "172.16.0.1/24");
  CHECK(c.Answer(c.Claim(0, "k5", "172.16.0.1/24")) == "172.16.0.1/24");
  CHECK(c.at(0).ring().empty());
}

TEST_CASE("A peer that runs out of space receives half of a neighbour's range", "[ipam]") {
  Cluster c({.peers = 2, .range = "10.0.0.0/28"});
  for (int i = 1; i <= 7; ++i) c.Allocate(0, absl::StrCat("full", i));
  CHECK(c.Answer(c.Allocate(0, "web")) == "10.0.0.12/28");
  CHECK(c.at(1).ring().CountOf(Cluster::Name(0)) == 12);
  c.RunFor(absl::Seconds(31));
  c.CheckConverged();
  c.CheckAll();
}

TEST_CASE("A subnet is exhausted when no peer is known to have an address for it", "[ipam]") {
  Cluster c({.peers = 2, .seed = 5, .range = "10.0.0.0/28"});
  const Cidr all = Cidr::Parse("10.0.0.0/28").value();
  CHECK_FALSE(c.at(0).IsExhausted(all));  // no ring
  for (int i = 0; i < 13; ++i) c.Answer(c.Allocate(i % 2, absl::StrCat("web", i)));
  c.RunFor(Allocator::kTick + absl::Seconds(30));  // until each has heard of the other
  CHECK_FALSE(c.at(0).IsExhausted(all));
  CHECK_FALSE(c.at(1).IsExhausted(all));  // one is left, with either of them
  c.Answer(c.Allocate(1, "last"));
  c.RunFor(Allocator::kTick + absl::Seconds(30));
  CHECK(c.at(0).IsExhausted(all));
  CHECK(c.at(1).IsExhausted(all));
  CHECK_FALSE(c.at(0).IsExhausted(Cidr::Parse("10.9.0.0/24").value()));  // not the ring's to say
  CHECK_FALSE(c.at(0).IsExhausted(Cidr::Parse("10.0.0.4/31").value()));  // refused for other reasons
  c.Answer(c.Release(0, "web0"));
  c.RunFor(Allocator::kTick + absl::Seconds(30));
  CHECK_FALSE(c.at(0).IsExhausted(all));
  CHECK_FALSE(c.at(1).IsExhausted(all));  // the other has it
}

TEST_CASE("Who is refused space asks the next peer at once", "[ipam]") {
  Cluster c({.peers = 3, .range = "10.0.0.0/28"});
  for (Cluster::Index i = 0; i < 3; ++i)
    for (int n = 0; n < 4; ++n) c.Allocate(i, absl::StrCat(i, ".", n), i == 0 ? "" : "10.0.0.0/28");
  const OperationId last = c.Allocate(2, "last");
  c.RunFor(absl::Seconds(1));
  CHECK(c.Text(last) != "");
  c.CheckAll();
}

TEST_CASE("Thousands that wait in one subnet are served in the order in which they came", "[ipam]") {
  Cluster c({.peers = 2, .range = "10.0.0.0/16"});
  c.Cut(0, 1);
  std::vector<OperationId> waiting;
  for (int i = 0; i < 40000; ++i) waiting.push_back(c.Allocate(0, absl::StrCat("c", i)));
  c.RunUntilQuiet();
  CHECK(c.Text(waiting[32766]) != "");
  CHECK(c.Text(waiting[32767]) == "");
  c.Heal();
  c.RunFor(absl::Seconds(1));
  CHECK(c.Text(waiting[39999]) == "10.0.220.64/16");
  c.CheckAll();
}

TEST_CASE("An address of another peer is claimed by asking its owner", "[ipam]") {
  Cluster c({.peers = 2});
  CHECK(c.Answer(c.Claim(0, "a", "10.0.0.200/24")) == "10.0.0.200/24");
  CHECK(c.at(1).ring().OwnerOf(IpAddress::Parse("10.0.0.200").value()) == Cluster::Name(0));
  CHECK(c.Answer(c.Claim(1, "b", "10.0.0.200/24")) ==
        "address 10.0.0.200/24 is owned by other peer 00:00:00:00:00:01 (host0)");
  CHECK(c.errors().empty());
  c.CheckAll();
}

TEST_CASE("A claim whose owner cannot be reached is given up after more than five tries", "[ipam]") {
  Cluster c({.peers = 2});
  c.Crash(1);
  const OperationId claim = c.Claim(0, "a", "10.0.0.200/24");
  const OperationId hopeful = c.Claim(0, "b", "10.0.0.201/24", /*no_error_on_unknown=*/true);
  CHECK(c.Answer(hopeful) == "OK");
  CHECK(c.at(0).Status().pending_claims.size() == 2);
  c.RunFor(absl::Seconds(24));
  CHECK(c.Text(claim) == "");
  c.RunFor(absl::Seconds(2));
  CHECK(absl::StrContains(c.Text(claim), "10.0.0.200/24 is owned by other peer 00:00:00:00:00:02"));
  CHECK(c.at(0).Status().pending_claims.empty());
}

TEST_CASE("A claim that may fail quietly goes on until the owner gives the address", "[ipam]") {
  Cluster c({.peers = 2});
  c.Cut(0, 1);
  CHECK(c.Answer(c.Claim(0, "b", "10.0.0.201/24", true)) == "OK");
  CHECK(c.AddressesOf(0, "b") == "");
  c.RunFor(absl::Seconds(6));
  c.Heal();
  c.RunFor(absl::Seconds(6));
  CHECK(c.AddressesOf(0, "b") == "10.0.0.201/24");
}

TEST_CASE("A dead container keeps its address for thirty seconds", "[ipam]") {
  Cluster c({.peers = 1});
  const Cidr range = Cidr::Parse("10.0.0.0/24").value();
  CHECK(c.Answer(c.Do(0, AllocateOperation{"web", range, true})) == "10.0.0.1/24");
  CHECK(c.Answer(c.Allocate(0, "bridge")) == "10.0.0.2/24");
  c.at(0).OnContainerDied(c.now(), "web");
  c.at(0).OnContainerDied(c.now(), "bridge");
  c.RunFor(absl::Seconds(29));
  CHECK(c.AddressesOf(0, "web") == "10.0.0.1/24");

  SECTION("then it is free, and only containers' addresses are") {
    c.RunFor(absl::Seconds(1));
    CHECK(c.AddressesOf(0, "web") == "");
    CHECK(c.AddressesOf(0, "bridge") == "10.0.0.2/24");
  }
  SECTION("unless it is back before") {
    c.at(0).OnContainerStarted(c.now(), "web");
    c.RunFor(absl::Seconds(60));
    CHECK(c.AddressesOf(0, "web") == "10.0.0.1/24");
  }
  SECTION("or asks for an address again") {
    CHECK(c.Answer(c.Do(0, AllocateOperation{"web", range, true})) == "10.0.0.1/24");
    c.RunFor(absl::Seconds(60));
    CHECK(c.AddressesOf(0, "web") == "10.0.0.1/24");
  }
  SECTION("and not at all once it is destroyed") {
    c.at(0).OnContainerDestroyed(c.now(), "web");
    CHECK(c.AddressesOf(0, "web") == "");
  }
}

TEST_CASE("What waits is cancelled when its caller goes or its container dies", "[ipam]") {
  Cluster c({.peers = 1, .range = "10.0.0.0/30"});
  c.Allocate(0, "a");
  c.Allocate(0, "b");
  const OperationId gone = c.Allocate(0, "gone");
  const OperationId dead = c.Allocate(0, "dead");
  c.RunUntilQuiet();
  c.Cancel(0, gone);
  c.at(0).OnContainerDied(c.now(), "dead");
  c.RunFor(absl::Seconds(5));
  CHECK(c.ReplyTo(gone)->status.code() == absl::StatusCode::kCancelled);
  CHECK(c.ReplyTo(dead)->status.code() == absl::StatusCode::kCancelled);
  CHECK(c.Answer(c.Release(0, "a")) == "10.0.0.1/30");
  CHECK(c.Answer(c.Allocate(0, "next")) == "10.0.0.1/30");
}

TEST_CASE("A peer that shuts down gives its ranges to one that is there", "[ipam]") {
  Cluster c({.peers = 3, .range = "10.0.0.0/24"});
  for (int i = 0; i < 300; ++i) c.Allocate(0, absl::StrCat("c", i));
  c.RunUntilQuiet();
  const OperationId waits = c.Allocate(0, "waits");
  c.Crash(1);
  CHECK(c.Answer(c.Do(0, ShutdownOperation{})) == "OK");
  CHECK(c.ReplyTo(waits)->status.code() == absl::StatusCode::kCancelled);
  CHECK_FALSE(c.at(2).ring().Owns(Cluster::Name(0)));
  CHECK(c.at(2).ring().CountOf(Cluster::Name(2)) + c.at(2).ring().CountOf(Cluster::Name(1)) == 256);
  const OperationId late = c.Allocate(0, "late");
  c.RunUntilQuiet();
  CHECK(c.ReplyTo(late)->status.code() == absl::StatusCode::kCancelled);
}

TEST_CASE("Space that arrives after the shutdown is given away, too", "[ipam]") {
  Cluster c({.peers = 2, .range = "10.0.0.0/28"});
  for (int i = 1; i <= 7; ++i) c.Allocate(0, absl::StrCat("full", i));
  c.RunUntilQuiet();
  c.Allocate(0, "web");  // asks for space
  CHECK(c.Text(c.Do(0, ShutdownOperation{})) == "");
  c.RunUntilQuiet();
  CHECK(c.at(1).ring().CountOf(Cluster::Name(1)) == 16);
  c.CheckConverged();
}

}  // namespace
}  // namespace weave::test
