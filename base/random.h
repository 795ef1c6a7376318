// The deterministic generator of cores and of the simulator. Integers only, so that a seed gives the same run on every
// compiler. Not for keys and nonces: those come from an injected entropy source.
#pragma once

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace weave {

// xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators"), seeded through splitmix64.
class Random {
 public:
  explicit Random(std::uint64_t seed);

  // A generator for the component `label`, independent of how much is drawn here afterwards.
  Random Split(absl::string_view label) const;

  std::uint64_t Next();

  // Uniform in [0, bound); bound must not be 0.
  std::uint64_t Below(std::uint64_t bound);

  // Uniform in [low, high], both included; low must not exceed high.
  std::int64_t Between(std::int64_t low, std::int64_t high);

  // True in `numerator` of `denominator` cases.
  bool Chance(std::uint64_t numerator, std::uint64_t denominator) { return Below(denominator) < numerator; }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace weave
