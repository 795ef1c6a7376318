// Seeds of random tests. WEAVE_TEST_SEED in the environment replays the one that a failure has printed.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

namespace weave {

inline std::optional<std::uint64_t> GivenSeed() {
  const char* given = std::getenv("WEAVE_TEST_SEED");
  if (given == nullptr) return std::nullopt;
  return std::strtoull(given, nullptr, 10);
}

// 1 to `count`, or the given one alone.
inline std::vector<std::uint64_t> SeedsToRun(std::uint64_t count) {
  if (const std::optional<std::uint64_t> given = GivenSeed()) return {*given};
  std::vector<std::uint64_t> seeds;
  for (std::uint64_t seed = 1; seed <= count; ++seed) seeds.push_back(seed);
  return seeds;
}

}  // namespace weave
