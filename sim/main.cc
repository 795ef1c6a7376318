// weave-sim: runs seeds of the simulated world and says which promise broke, with the command that shows it again.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "sim/simulation.h"

namespace weave::sim {
namespace {

constexpr int kExitViolation = 1;
constexpr int kExitUsage = 2;

// One seed in this many runs twice and must give the same trace.
constexpr std::uint64_t kRunTwiceEvery = 8;

struct Flags {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::uint32_t peers = 0;  // 0: as the profile draws them
  std::string profile = "swarm";
  std::string duration;  // empty: as the profile draws it
  double for_seconds = 0;
  bool verbose = false;
};

int UsageError(const std::string& text) {
  std::fprintf(stderr, "weave-sim: %s\n", text.c_str());
  return kExitUsage;
}

void PrintLine(absl::string_view line) { std::printf("%s\n", std::string(line).c_str()); }

// The last events of a failed run, by running it again with its text kept.
void Report(const Options& options, const Flags& flags, const std::string& violation) {
  Simulation again(options);
  again.trace().KeepText();
  again.Run();
  std::printf("\nlast events:\n");
  for (const std::string& line : again.trace().lines()) PrintLine(line);
  std::printf(
      "\nseed %llu violated a promise: %s\nreplay: weave-sim --seed %llu --peers %u --profile %s --duration %s "
      "--verbose\n",
      static_cast<unsigned long long>(options.seed), violation.c_str(), static_cast<unsigned long long>(options.seed),
      options.peers, flags.profile.c_str(), absl::FormatDuration(options.duration).c_str());
}

int RunSeeds(const Flags& flags, Duration duration) {
  const auto started = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  };
  std::uint64_t steps = 0;
  std::uint64_t done = 0;
  while (flags.for_seconds > 0 ? elapsed() < flags.for_seconds : done < flags.seeds) {
    const std::uint64_t seed = flags.seed + done;
    absl::StatusOr<Options> options = DrawOptions(flags.profile, seed);
    if (!options.ok()) return UsageError(std::string(options.status().message()));
    if (flags.peers != 0) options->peers = flags.peers;
    if (!flags.duration.empty()) options->duration = duration;
    Simulation simulation(*options);
    if (flags.verbose) simulation.trace().PrintTo(PrintLine);
    Outcome outcome = simulation.Run();
    if (!outcome.violation.has_value() && seed % kRunTwiceEvery == 0) {
      const Outcome second = Simulation(*options).Run();
      if (second.trace_hash != outcome.trace_hash) outcome.violation = "two runs of one seed differ";
    }
    steps += outcome.steps;
    ++done;
    if (flags.for_seconds == 0 || outcome.violation.has_value())
      PrintLine(absl::StrFormat("seed %d: steps %d, requests %d, crashes %d, trace %016x%s", seed, outcome.steps,
                                outcome.requests, outcome.crashes, outcome.trace_hash,
                                outcome.violation.has_value() ? ", FAILED" : ""));
    if (outcome.violation.has_value()) {
      Report(*options, flags, *outcome.violation);
      return kExitViolation;
    }
  }
  PrintLine(absl::StrFormat("%d seeds from %d, %d events, %.0f events/s, no violation", done, flags.seed, steps,
                            static_cast<double>(steps) / elapsed()));
  return 0;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Runs the peer in a simulated world of crashes, full disks and failing hosts, and checks its promises.",
               "weave-sim");
  app.add_option("--seed", flags.seed, "the first seed")->check(CLI::NonNegativeNumber);
  app.add_option("--seeds", flags.seeds, "how many seeds, counting up")->check(CLI::PositiveNumber);
  app.add_option("--for", flags.for_seconds, "run seeds for so many seconds of real time instead")
      ->check(CLI::PositiveNumber);
  app.add_option("--peers", flags.peers, "simulated hosts in each run")->check(CLI::Range(1, 10000));
  app.add_option("--profile", flags.profile, "calm, faults, crashes, disk, swarm, mesh, names, ring or frames")
      ->check(CLI::IsMember(ProfileNames()));
  app.add_option("--duration", flags.duration, "virtual time with faults, as in 30s or 2m");
  app.add_flag("--verbose", flags.verbose, "print every event");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return UsageError(error.what());
  }
  Duration duration = absl::Seconds(30);
  if ((!flags.duration.empty() && !absl::ParseDuration(flags.duration, &duration)) ||
      duration <= absl::ZeroDuration() || duration > absl::Hours(24 * 365))
    return UsageError(absl::StrCat("--duration \"", flags.duration, "\": want a time above 0, as in 30s or 2m"));
  return RunSeeds(flags, duration);
}

}  // namespace
}  // namespace weave::sim

int main(int argc, char** argv) { return weave::sim::Main(argc, argv); }
