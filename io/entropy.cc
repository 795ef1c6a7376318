#include "io/entropy.h"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"

namespace weave {

void KernelEntropy::Fill(absl::Span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    CHECK(got > 0 || errno == EINTR) << "getrandom: " << std::generic_category().message(errno);
    if (got > 0) bytes.remove_prefix(static_cast<std::size_t>(got));
  }
}

}  // namespace weave
