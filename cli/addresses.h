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

// The addresses as the peer takes them, `a.b.c.d/n`, `net:a.b.c.d/n` or `net:default`, in the order given.
// InvalidArgument names the first bad one.
absl::StatusOr<std::vector<std::string>> ParseAddresses(absl::Span<const std::string> args);

}  // namespace weave
