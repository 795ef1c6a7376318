// The address grammar of attach, detach, expose and hide (contract A1-08): [ip:]<cidr>, net:<cidr>, net:default.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weave {

// Whether `arg` means an address, well formed or not, rather than a container: it has a prefix `ip:` or `net:`, or is
// digits and dots with a slash, or an IPv6 address with a slash. A path never does: it begins with '/' or '.'.
bool LooksLikeAddress(absl::string_view arg);

// The addresses as `a.b.c.d/n`, in the order given. InvalidArgument names the first bad one. FailedPrecondition for
// net:..., which asks for an allocator that this build does not have; also for an empty list, which means net:default.
absl::StatusOr<std::vector<std::string>> ParseAddresses(absl::Span<const std::string> args);

}  // namespace weave
