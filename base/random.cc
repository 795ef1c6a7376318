#include "base/random.h"

#include <bit>

#include "base/check.h"

namespace weave {
namespace {

std::uint64_t SplitMix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = SplitMix64(seed);
}

Random Random::Split(absl::string_view label) const {
  std::uint64_t mixed = state_[0] ^ std::rotl(state_[3], 17);
  for (char c : label) mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  return Random(mixed);
}

std::uint64_t Random::Next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::Below(std::uint64_t bound) {
  CHECK(bound != 0);
  const std::uint64_t tail = (0 - bound) % bound;  // values below it would favour small results
  std::uint64_t value = Next();
  while (value < tail) value = Next();
  return value % bound;
}

std::int64_t Random::Between(std::int64_t low, std::int64_t high) {
  CHECK(low <= high) << low << ".." << high;
  const std::uint64_t width = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + (width == 0 ? Next() : Below(width)));
}

}  // namespace weave
