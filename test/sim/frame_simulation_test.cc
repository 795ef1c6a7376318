// Networks whose containers send frames: seeds that must pass, and mutants that the checkers must catch.
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sim/simulation.h"
#include "test/support/catch.h"
#include "test/support/seeds.h"

namespace weave::sim {
namespace {

TEST_CASE("Whatever fails, flows are at any time what would be decided then, and frames arrive once when it is over",
          "[sim][fastdp]") {
  int by_kernels = 0;
  int by_peers = 0;
  int fallbacks = 0;
  for (const std::uint64_t seed : SeedsToRun(12)) {
    INFO("weave-sim --profile frames --seed " << seed << " --verbose");
    Simulation simulation(DrawOptions("frames", seed).value());
    simulation.trace().PrintTo([&](absl::string_view line) {
      by_kernels += absl::StrContains(line, "frame tunnelled") ? 1 : 0;
      by_peers += absl::StrContains(line, "frame seen by the peer") ? 1 : 0;
      fallbacks += absl::StrContains(line, "from=fastdp to=sleeve") ? 1 : 0;
    });
    CHECK(simulation.Run().violation.value_or("") == "");
  }
  CAPTURE(by_kernels, by_peers, fallbacks);
  if (GivenSeed().has_value()) return;
  // What the schedules are for.
  CHECK(by_kernels > by_peers);
  CHECK(by_peers > 1000);
  CHECK(fallbacks > 10);
}

// ---- mutants ----

// Whether one of the first seeds ends with these words.
bool IsCaught(DataPathMutant mutant, absl::string_view words) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    Options options = DrawOptions("frames", seed).value();
    options.host.fast_path->mutant = mutant;
    if (absl::StrContains(Simulation(options).Run().violation.value_or(""), words)) return true;
  }
  return false;
}

TEST_CASE("A datapath that is not told of other routes is caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kDeafToRoutes, "would"));
}

TEST_CASE("A kernel that keeps flows it was told to delete is caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kKeepsFlows, "the kernel has"));
}

TEST_CASE("A start that deletes the flows of the run before is caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kFlushesFlows, "restart is noticed"));
}

TEST_CASE("Keys that go before the flows that need them are caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kDropsKeys, "leaves in clear"));
}

}  // namespace
}  // namespace weave::sim
