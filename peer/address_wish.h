// The grammar in which callers name addresses (contract A1-08): [ip:]<cidr>, net:<cidr>, net:default.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peer/core/peer_output.h"

namespace weave {

// InvalidArgument quotes the text and names the forms. Whether an address or subnet can be used is the core's business.
absl::StatusOr<AddressWish> ParseAddressWish(absl::string_view text);

}  // namespace weave
