// Addresses in use here that are another peer's by the ring: what lost data, careless operators and --force bring about
// (docs/ipam.md, "What only lost data can produce").
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"
#include "test/ipam/cluster.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

using Index = Cluster::Index;

IpAddress Ip(absl::string_view text) { return IpAddress::Parse(text).value(); }

// Two of three peers are in two pieces of a network; each takes over the third by force, and both give the last of
// these addresses.
struct TwoPieces {
  TwoPieces() {
    c.Crash(2);
    c.Cut(0, 1);
    for (const Index i : {0, 1}) c.Do(i, TakeOverOperation{"host2", true});
    c.RunFor(Allocator::kTakeoverRest);
    REQUIRE(c.Answer(c.Claim(0, "a", "10.0.0.200/24")) == "10.0.0.200/24");
    REQUIRE(c.Answer(c.Claim(1, "b", "10.0.0.201/24")) == "10.0.0.201/24");
    for (const Index i : {0, 1}) REQUIRE(c.Answer(c.Claim(i, "both", "10.0.0.202/24")) == "10.0.0.202/24");
    REQUIRE(c.violations().size() == 1);  // what nothing can help
    c.Heal();
    c.RunFor(absl::Seconds(10));
    loser = c.at(0).Status().strays.empty() ? 1 : 0;
  }

  std::vector<IpamStatus::Stray> StraysOf(Index i) { return c.at(i).Status().strays; }
  std::string own() const { return loser == 0 ? "a" : "b"; }
  std::string own_address() const { return loser == 0 ? "10.0.0.200" : "10.0.0.201"; }
  Index winner() const { return 1 - loser; }

  Cluster c{{.peers = 3}};
  Index loser = 0;
};

TEST_CASE("A peer that was removed while it lived keeps what is in use, and has it back", "[ipam]") {
  Cluster c({.peers = 3});
  std::vector<std::string> addresses;
  const auto allocate = [&](int count) {
    for (; count > 0; --count)
      addresses.push_back(c.Answer(c.Allocate(2, absl::StrCat("c", addresses.size()), "10.0.0.0/24")));
  };
  allocate(70);
  c.Cut(0, 2);
  c.Cut(1, 2);
  c.RunFor(absl::Seconds(60));
  REQUIRE(c.Answer(c.Do(0, TakeOverOperation{"host2"})) == "OK");
  allocate(5);
  c.Heal();
  c.RunFor(absl::Seconds(60));
  CHECK(c.errors().empty());
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    CHECK(c.AddressesOf(2, absl::StrCat("c", i)) == addresses[i]);
    CHECK(c.at(0).ring().OwnerOf(Cidr::Parse(addresses[i])->address()) == Cluster::Name(2));
  }
  CHECK(c.at(2).Status().strays.empty());
  CHECK(c.at(2).ring().CountOf(Cluster::Name(2)) == 75);
  c.CheckAll();
  c.CheckConverged();
}

TEST_CASE("What two have taken by force is one's in the end; the other has back what only it uses", "[ipam]") {
  TwoPieces w;
  CHECK(w.c.errors().empty());
  CHECK(w.StraysOf(w.winner()).empty());
  REQUIRE(w.StraysOf(w.loser).size() == 1);
  const IpamStatus::Stray stray = w.StraysOf(w.loser)[0];
  CHECK(stray.address == Ip("10.0.0.202"));
  CHECK(stray.holder == "both");
  CHECK(stray.owner.peer == Cluster::Name(w.winner()));
  CHECK(stray.owner.nickname == absl::StrCat("host", w.winner()));
  CHECK(stray.used_there);
  CHECK(w.c.at(w.winner()).ring().OwnerOf(Ip(w.own_address())) == Cluster::Name(w.loser));
  for (const Index i : {0, 1}) CHECK(w.c.AddressesOf(i, "both") == "10.0.0.202/24");
  w.c.RunFor(absl::Seconds(60));
  w.c.CheckConverged();
  // Both go on giving others.
  for (const Index i : {0, 1}) CHECK(absl::StrContains(w.c.Answer(w.c.Allocate(i, "more")), "/24"));
  CHECK(w.c.violations().size() == 1);
}

TEST_CASE("An address that two use is the other's as soon as its owner lets it go", "[ipam]") {
  TwoPieces w;
  w.c.Answer(w.c.Release(w.winner(), "both"));
  w.c.RunFor(Allocator::kStrayRetry);
  CHECK(w.StraysOf(w.loser).empty());
  CHECK(w.c.at(w.loser).ring().OwnerOf(Ip("10.0.0.202")) == Cluster::Name(w.loser));
  CHECK(w.c.AddressesOf(w.loser, "both") == "10.0.0.202/24");
}

TEST_CASE("An address that two use and that the other lets go stays its owner's", "[ipam]") {
  TwoPieces w;
  CHECK(w.c.Answer(w.c.Release(w.loser, "both")) == "10.0.0.202/24");
  CHECK(w.StraysOf(w.loser).empty());
  w.c.RunFor(2 * Allocator::kStrayRetry);
  CHECK(w.c.at(w.loser).ring().OwnerOf(Ip("10.0.0.202")) == Cluster::Name(w.winner()));
  CHECK(w.c.AddressesOf(w.winner(), "both") == "10.0.0.202/24");
  CHECK(w.c.Answer(w.c.Claim(w.loser, "other", "10.0.0.202/24")) != "10.0.0.202/24");
}

TEST_CASE("An address that is another's is still its holder's, also after a restart", "[ipam]") {
  TwoPieces w;
  w.c.Crash(w.loser);
  w.c.Restart(w.loser);
  w.c.RunFor(absl::Seconds(1));
  CHECK(w.StraysOf(w.loser).size() == 1);
  CHECK(w.c.AddressesOf(w.loser, "both") == "10.0.0.202/24");
  CHECK(w.c.Answer(w.c.Allocate(w.loser, "both")) == "10.0.0.202/24");
  CHECK(w.c.Answer(w.c.Claim(w.loser, "both", "10.0.0.202/24")) == "10.0.0.202/24");
  CHECK(w.c.AddressesOf(w.loser, w.own()) == w.own_address() + "/24");
}

}  // namespace
}  // namespace weave::test
