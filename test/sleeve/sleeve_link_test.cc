// Two peers over a path that loses, delays, reorders, duplicates, limits and translates.
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "test/sleeve/sleeve_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

void CheckBothEstablished(const SleeveWorld& world) {
  CHECK(world.dialler.established_at.has_value());
  CHECK(world.acceptor.established_at.has_value());
  CHECK_FALSE(world.dialler.failed_at.has_value());
  CHECK_FALSE(world.acceptor.failed_at.has_value());
}

TEST_CASE("Two peers get established and find what the path carries", "[sleeve]") {
  struct Row {
    std::string what;
    SleevePath path;
    std::string mtu;
    bool fragments_pass = true;
  };
  const Row rows[] = {
      {"Ethernet, in clear", {}, "1438"},
      {"Ethernet, sealed", {.sealed = true}, "1414"},
      {"jumbo frames", {.kernel_mtu = 9000, .mtu = 9000}, "8938"},
      {"loopback", {.kernel_mtu = 65536, .mtu = 65536}, "65535"},
      {"a tunnel the kernel does not know of", {.sealed = true, .mtu = 1400}, "1314"},
      {"a path narrower than any test", {.mtu = 560}, "552"},
      {"an interface narrower than any test", {.kernel_mtu = 576, .mtu = 576}, "514"},
      {"no fragments", {.fragments_pass = false}, "1438", false},
      {"a long way", {.least_delay = absl::Milliseconds(300), .most_delay = absl::Milliseconds(400)}, "1438"},
      {"a NAT", {.sealed = true, .translated = true}, "1414"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    SleeveWorld world(row.path);
    world.Confirm();
    world.RunFor(absl::Seconds(60));
    CheckBothEstablished(world);
    for (const SleeveEnd* end : {&world.dialler, &world.acceptor}) {
      CHECK(world.Mtu(*end) == row.mtu);
      CHECK(world.FragmentsPass(*end) == row.fragments_pass);
    }
    CHECK(world.acceptor.sleeve.Find(SleeveWorld::kConnection)->remote_address() == world.Translated());
  }
}

TEST_CASE("A path that loses, reorders and duplicates is established and kept", "[sleeve]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    SleeveWorld world({.seed = seed,
                       .sealed = seed % 2 == 0,
                       .loss_percent = 15,
                       .duplication_percent = 10,
                       .least_delay = absl::Milliseconds(1),
                       .most_delay = absl::Milliseconds(80),
                       .mtu = 1450,
                       .translated = seed % 4 < 2});
    world.Confirm();
    world.RunFor(absl::Minutes(10));
    CheckBothEstablished(world);
    const std::string mtu = world.path.sealed ? "1364" : "1388";
    CHECK(world.Mtu(world.dialler) == mtu);
    CHECK(world.Mtu(world.acceptor) == mtu);
    const SleeveCounters& counters = world.acceptor.forwarder.counters();
    CHECK(counters.malformed + counters.forged + counters.bad_frames == 0);
    CHECK(world.acceptor.sleeve.counters().foreign_heartbeats == 0);
    CHECK((counters.replayed > 0) == world.path.sealed);  // duplicates
  }
}

TEST_CASE("An idle connection costs six heartbeats a minute and a test every five", "[sleeve]") {
  SleeveWorld world({.sealed = true});
  world.Confirm();
  world.RunFor(absl::Minutes(1));
  const std::uint64_t before = world.dialler.datagram_count;
  world.RunFor(absl::Minutes(10));
  CHECK(world.dialler.datagram_count - before == 60 + 2);
}

TEST_CASE("A minute of silence ends the connection on both ends, with the reason", "[sleeve]") {
  SleeveWorld world({.sealed = true});
  world.Confirm();
  world.RunFor(absl::Minutes(3));
  CheckBothEstablished(world);
  const MonotonicTime cut = world.time();
  world.path.loss_percent = 100;
  world.RunFor(absl::Seconds(49));
  CHECK_FALSE(world.dialler.failed_at.has_value());  // the last heartbeat was at most 10 s before
  world.RunFor(absl::Seconds(12));                   // what was under way when it was cut has arrived
  for (const SleeveEnd* end : {&world.dialler, &world.acceptor}) {
    REQUIRE(end->failed_at.has_value());
    CHECK(*end->failed_at - cut >= absl::Seconds(50));
    CHECK(absl::StartsWith(end->failure, "no working forwarders to 00:00:00:00:00:0"));
    CHECK(absl::StrContains(end->failure, "sleeve timed out waiting for UDP heartbeat from "));
  }
  world.RunFor(absl::Minutes(10));  // nothing more is sent
  CHECK_FALSE(world.dialler.overlays.NextDeadline().has_value());
}

TEST_CASE("A path that passes no UDP is given up after a minute", "[sleeve]") {
  SleeveWorld world({.loss_percent = 100});
  world.Confirm();
  world.RunFor(absl::Seconds(59));
  CHECK_FALSE(world.dialler.failed_at.has_value());
  CHECK_FALSE(world.acceptor.failed_at.has_value());
  world.RunFor(absl::Seconds(1));
  CHECK(world.dialler.failed_at.has_value());
  CHECK(world.acceptor.failed_at.has_value());
  CHECK_FALSE(world.dialler.established_at.has_value());
  CHECK(world.dialler.datagram_count == 120);  // two a second
  CHECK(world.acceptor.datagram_count == 0);   // it knows no address
}

TEST_CASE("A translated address that changes is followed", "[sleeve]") {
  for (const bool sealed : {false, true}) {
    CAPTURE(sealed);
    SleeveWorld world({.sealed = sealed, .translated = true});
    world.Confirm();
    for (int i = 0; i < 5; ++i) {
      world.RunFor(absl::Minutes(2));
      world.Retranslate();
    }
    world.RunFor(absl::Minutes(2));
    CheckBothEstablished(world);
    CHECK(world.acceptor.sleeve.Find(SleeveWorld::kConnection)->remote_address() == world.Translated());
  }
}

TEST_CASE("Whether fragments pass is found out again every five minutes", "[sleeve]") {
  SleeveWorld world({});
  world.Confirm();
  world.RunFor(absl::Minutes(1));
  CHECK(world.FragmentsPass(world.dialler));
  for (const bool pass : {false, true, false}) {
    world.path.fragments_pass = pass;
    world.RunFor(absl::Minutes(5));
    CHECK(world.FragmentsPass(world.dialler) == pass);
    CHECK(world.FragmentsPass(world.acceptor) == pass);
  }
}

TEST_CASE("Replaying everything that was ever sent changes nothing on a sealed connection", "[sleeve]") {
  SleeveWorld world({.sealed = true});
  world.Confirm();
  world.RunFor(absl::Minutes(3));
  const SocketAddress attacker = {IpAddress::V4(0x06060606), 6783};
  const auto recorded = world.delivered;
  REQUIRE(recorded.size() > 30);
  for (const auto& [to, datagram] : recorded) world.Inject(*to, attacker, datagram);
  // Each at the end that sent it, too.
  for (const auto& [to, datagram] : recorded)
    world.Inject(to == &world.dialler ? world.acceptor : world.dialler, attacker, datagram);
  world.RunFor(absl::Minutes(3));
  CheckBothEstablished(world);
  CHECK(world.acceptor.sleeve.Find(SleeveWorld::kConnection)->remote_address() == world.dialler.address);
  CHECK(world.dialler.sleeve.Find(SleeveWorld::kConnection)->remote_address() == world.acceptor.address);
  const SleeveCounters& a = world.dialler.forwarder.counters();
  const SleeveCounters& b = world.acceptor.forwarder.counters();
  CHECK(a.replayed + b.replayed == recorded.size());
  CHECK(a.unknown_senders + b.unknown_senders == recorded.size());  // nobody has a connection to itself
}

TEST_CASE("The same seed gives the same run", "[sleeve]") {
  const auto run = [](std::uint64_t seed) {
    SleeveWorld world({.seed = seed, .loss_percent = 20, .most_delay = absl::Milliseconds(50), .mtu = 1300});
    world.Confirm();
    world.RunFor(absl::Minutes(2));
    return absl::StrCat(world.dialler.datagram_count, " ", world.acceptor.datagram_count, " ",
                        world.dialler.established_at.value_or(MonotonicTime()).nanoseconds());
  };
  CHECK(run(3) == run(3));
  CHECK(run(3) != run(4));
}

}  // namespace
}  // namespace weave
