// Running another CNI plugin, as SPEC.md section 4 wants it: found in CNI_PATH, with our environment and configuration.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "plugin/cni/cni_context.h"

namespace weave {

// Runs the network's IPAM plugin with `command` and returns what it printed. Its errors keep their code; one that
// cannot be found or started is code 7 or 100. What it writes to standard error goes to ours.
absl::StatusOr<std::string> RunDelegate(CniContext& context, CniCommand command);

}  // namespace weave
