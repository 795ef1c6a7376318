// Where keys, nonces and incarnation numbers come from: the kernel in the daemon, a seed in the simulator.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace weave {

class EntropySource {
 public:
  virtual ~EntropySource() = default;

  // Fills all of `bytes` with unpredictable ones.
  virtual void Fill(absl::Span<std::uint8_t> bytes) = 0;

  std::uint64_t Next() {
    std::uint8_t bytes[8];
    Fill(absl::MakeSpan(bytes));
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
  }
};

}  // namespace weave
