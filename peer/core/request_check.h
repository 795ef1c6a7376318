// What can be said of a request before anything is looked up: whether it can mean something.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "peer/core/peer_output.h"

namespace weave {

// Bytes of a holder's name, and addresses that one holder may have of the allocator: what a record takes.
inline constexpr std::size_t kMaxIdentSize = 256;
inline constexpr std::size_t kMaxHolderAddressCount = 1024;

// InvalidArgument names what is wrong.
absl::Status CheckRequest(const ApiRequest& request);

// FailedPrecondition for a wish that only an allocator could fulfil; with none, wishes to be given must be exact, and
// at least one.
absl::Status CheckWithoutAllocator(const ApiRequest& request);

}  // namespace weave
