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
  int reboots = 0;
  int meddlings = 0;
  int refusals = 0;
  for (const std::uint64_t seed : SeedsToRun(12)) {
    INFO("weave-sim --profile frames --seed " << seed << " --verbose");
    Simulation simulation(DrawOptions("frames", seed).value());
    simulation.trace().PrintTo([&](absl::string_view line) {
      by_kernels += absl::StrContains(line, "frame tunnelled") ? 1 : 0;
      by_peers += absl::StrContains(line, "frame seen by the peer") ? 1 : 0;
      fallbacks += absl::StrContains(line, "from=fastdp to=sleeve") ? 1 : 0;
      reboots += absl::EndsWith(line, " reboot") ? 1 : 0;
      for (const absl::string_view what : {"datapath deleted", "flows refused", "port taken", "foreign flows"})
        meddlings += absl::StrContains(line, what) ? 1 : 0;
      refusals += absl::StrContains(line, "frame refused") ? 1 : 0;
    });
    CHECK(simulation.Run().violation.value_or("") == "");
  }
  CAPTURE(by_kernels, by_peers, fallbacks, reboots, meddlings, refusals);
  if (GivenSeed().has_value()) return;
  // What the schedules are for.
  CHECK(by_kernels > by_peers);
  CHECK(by_peers > 1000);
  CHECK(fallbacks > 10);
  CHECK(reboots > 5);
  CHECK(meddlings > 20);
  CHECK(refusals > 20);
}

// ---- mutants ----

// Whether one of the first seeds ends with these words; if it is changed, also whether it ends well without the mutant.
bool IsCaught(DataPathMutant mutant, absl::string_view words, void (*change)(Options&) = nullptr) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    Options options = DrawOptions("frames", seed).value();
    if (change != nullptr) change(options);
    options.host.fast_path->mutant = mutant;
    if (!absl::StrContains(Simulation(options).Run().violation.value_or(""), words)) continue;
    options.host.fast_path->mutant = DataPathMutant::kNone;
    return change == nullptr || !Simulation(options).Run().violation.has_value();
  }
  return false;
}

// A network of kernels alone, in which nothing else fails.
void OnlyKernels(Options& options) {
  options.peers = 3;
  options.duration = absl::Seconds(40);
  options.faults = FaultOptions();
  options.network_faults = NetworkFaultOptions();
  options.kernel_faults = KernelFaultOptions();
  options.host.fast_path->missing_permille = 0;
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

TEST_CASE("A peer that is not told that its datapath is gone is caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kDeafToLoss, "best way", [](Options& options) {
    OnlyKernels(options);
    options.kernel_faults.datapath_deleted = absl::Seconds(5);
  }));
}

TEST_CASE("A peer that is not told that a port is gone is caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kDeafToPorts, "at rest", [](Options& options) {
    OnlyKernels(options);
    options.kernel_faults.port_deleted = absl::Seconds(5);
  }));
}

TEST_CASE("Flows that a start does not hear of are caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kHidesFlows, "the kernel has", [](Options& options) {
    OnlyKernels(options);
    options.kernel_faults.foreign_flows = absl::Seconds(5);
  }));
}

TEST_CASE("A kernel that goes on refusing to delete flows is caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kKeepsRefused, "the kernel has", [](Options& options) {
    OnlyKernels(options);
    options.kernel_faults.refusal = absl::Seconds(5);
    options.frames->churn_permille = 500;
  }));
}

TEST_CASE("A UDP port that tunnels do not get back is caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kKeepsPort, "best way", [](Options& options) {
    OnlyKernels(options);
    options.kernel_faults.port_taken = absl::Seconds(5);
  }));
}

TEST_CASE("Containers that a reboot leaves without an interface are caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kForgetsNics, "at rest", [](Options& options) {
    OnlyKernels(options);
    options.faults.crash = absl::Seconds(10);
    options.faults.reboot_permille = 1000;
  }));
}

TEST_CASE("Packets that are lost for their size are caught", "[sim][fastdp][mutant]") {
  CHECK(IsCaught(DataPathMutant::kLosesLarge, "a packet at rest", [](Options& options) {
    OnlyKernels(options);
    options.host.fast_path->search_mtu = true;
    options.host.fast_path->old_kernel_permille = 0;
    options.datagrams.path_mtu_bytes = 9000;
    options.network_faults.path = absl::Seconds(5);
    options.frames->quiet = absl::Seconds(20);
    options.frames->packet_permille = 300;
  }));
}

}  // namespace
}  // namespace weave::sim
