// Networks whose hosts share a ring: seeds that must pass, stories of peers that come back, and mutants that the
// checkers must catch.
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sim/simulation.h"
#include "test/support/catch.h"
#include "test/support/seeds.h"

namespace weave::sim {
namespace {

TEST_CASE("Whatever fails and whoever is removed, no address has two holders, and all agree when it is over",
          "[sim][ipam]") {
  int burnt = 0;
  int takeovers = 0;
  int given_away = 0;
  int borrowed = 0;
  int came_back_empty = 0;
  for (const std::uint64_t seed : SeedsToRun(60)) {
    INFO("weave-sim --profile ring --seed " << seed << " --verbose");
    Simulation simulation(DrawOptions("ring", seed).value());
    simulation.trace().PrintTo([&](absl::string_view line) {
      burnt += absl::StrContains(line, "burns down") ? 1 : 0;
      takeovers += absl::StrContains(line, "ranges taken over") ? 1 : 0;
      given_away += absl::StrContains(line, "ranges given away") ? 1 : 0;
      borrowed += absl::StrContains(line, "space given") ? 1 : 0;
      came_back_empty += absl::StrContains(line, "comes back with an empty disk") ? 1 : 0;
    });
    CHECK(simulation.Run().violation.value_or("") == "");
  }
  if (GivenSeed().has_value()) return;
  // What the schedules are for: all of it happens, and not once in a blue moon.
  CHECK(burnt > 30);
  CHECK(takeovers > 15);
  CHECK(given_away > 7);
  CHECK(borrowed > 450);
  CHECK(came_back_empty > 7);
}

TEST_CASE("Two runs of one ring are the same event by event", "[sim][ipam]") {
  for (const std::uint64_t seed : SeedsToRun(4)) {
    INFO("seed " << seed);
    const Options options = DrawOptions("ring", seed).value();
    const Outcome first = Simulation(options).Run();
    CHECK(first.trace_hash == Simulation(options).Run().trace_hash);
    CHECK(first.requests > 10);
  }
}

// ---- mutants ----

using MutateRing = void (*)(Options&);

// What the first of the seeds that notices says; "" when none does.
std::string CaughtInRing(std::uint64_t seeds, MutateRing mutate) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Options options = DrawOptions("ring", seed).value();
    mutate(options);
    if (auto violation = Simulation(options).Run().violation) return absl::StrCat("seed ", seed, ": ", *violation);
  }
  return "";
}

// Disks that work, under peers that crash: what is wrong is not that something could not be written.
void CrashOnly(Options& options, IpamMutant mutant) {
  options.host.ipam_mutant = mutant;
  options.host.disk.error_permille = 0;
  options.faults.disk_full = absl::ZeroDuration();
  options.faults.crash = absl::Seconds(8);
}

bool IsGivenTwice(const std::string& violation) {
  return absl::StrContains(violation, "is held by") || absl::StrContains(violation, "both own");
}

TEST_CASE("Who answers callers before the row is on disk is caught", "[sim][ipam][mutant]") {
  const auto mutate = [](Options& o) {
    CrashOnly(o, IpamMutant::kAnswerBeforeDurable);
    o.ring->operators.reset = absl::ZeroDuration();  // whose answer is for others to check
  };
  const std::string caught = CaughtInRing(60, mutate);
  INFO(caught);
  CHECK(IsGivenTwice(caught));
}

TEST_CASE("Who tells peers what is not on disk is caught", "[sim][ipam][mutant]") {
  const std::string caught = CaughtInRing(60, [](Options& o) { CrashOnly(o, IpamMutant::kTellBeforeDurable); });
  INFO(caught);
  CHECK((IsGivenTwice(caught) || absl::StrContains(caught, "first owners that no quorum has voted for")));
}

TEST_CASE("Who frees an address before its row is gone is caught", "[sim][ipam][mutant]") {
  const auto mutate = [](Options& o) {
    CrashOnly(o, IpamMutant::kFreeBeforeDurable);
    o.host.disk.error_permille = 150;  // of two rows in order, the first alone fails
  };
  const std::string caught = CaughtInRing(60, mutate);
  INFO(caught);
  CHECK(caught != "");
}

TEST_CASE("Who tells peers nothing is caught", "[sim][ipam][mutant]") {
  const std::string caught = CaughtInRing(20, [](Options& o) { o.host.ipam_mutant = IpamMutant::kTellNothing; });
  INFO(caught);
  CHECK(absl::StrContains(caught, "waits for"));
}

TEST_CASE("Who forgets a promise of the election in a restart is caught", "[sim][ipam][mutant]") {
  const auto mutate = [](Options& o) {
    o.host.ipam_mutant = IpamMutant::kForgetPromises;
    o.faults.crash = o.duration = absl::Seconds(5);  // while they elect
  };
  const std::string caught = CaughtInRing(60, mutate);
  INFO(caught);
  CHECK(absl::StrContains(caught, "an elector"));
}

TEST_CASE("Who forgets a promise of the council in a restart is caught", "[sim][ipam][mutant]") {
  const std::string caught = CaughtInRing(100, [](Options& o) { o.host.ipam_mutant = IpamMutant::kForgetVotes; });
  INFO(caught);
  CHECK(absl::StrContains(caught, "a member of the council goes back on its promise"));
}

// Containers whose interfaces others make, on hosts whose peers live.
void WithGuests(Options& options) {
  options.guests.guests = 4;
  options.guests.max_think_time = absl::Seconds(20);
  options.duration = absl::Minutes(4);
}

TEST_CASE("A look that does not see what is in use is caught", "[sim][ipam][mutant]") {
  const std::string caught = CaughtInRing(20, [](Options& o) {
    WithGuests(o);
    o.host.model.survey_blind = true;
  });
  INFO(caught);
  CHECK((IsGivenTwice(caught) || absl::StrContains(caught, "does not know that")));
}

TEST_CASE("A peer that never looks whose addresses are in use is caught with addresses of nobody",
          "[sim][ipam][mutant]") {
  const std::string caught = CaughtInRing(5, [](Options& o) {
    WithGuests(o);
    o.host.model.survey_fails = true;
  });
  INFO(caught);
  CHECK(absl::StrContains(caught, "which is not there"));
}

TEST_CASE("Operators who never ask the council are caught", "[sim][ipam][mutant]") {
  const std::string caught = CaughtInRing(100, [](Options& o) { o.ring->operators.always_force = true; });
  INFO(caught);
  CHECK((IsGivenTwice(caught) || absl::StrContains(caught, "of the council is two")));
}

TEST_CASE("A disk of a ring that only says it has written is caught", "[sim][ipam][mutant]") {
  const std::string caught = CaughtInRing(60, [](Options& o) { o.host.disk.lie_about_sync = true; });
  INFO(caught);
  CHECK(caught != "");
}

}  // namespace
}  // namespace weave::sim
