// The kernel's generator as the entropy source of the daemon.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "base/entropy.h"

namespace weave {

// getrandom(2): waits, early in the boot of a host, until the kernel has gathered enough. A kernel that refuses is a
// CHECK: there is no safe way on without keys. Any thread.
class KernelEntropy final : public EntropySource {
 public:
  void Fill(absl::Span<std::uint8_t> bytes) override;
};

}  // namespace weave
