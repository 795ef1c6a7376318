// Whether something runs already where `weave launch` is about to start a peer (contract A2-04).
#pragma once

#include <optional>

#include "cli/command.h"
#include "cli/launch_state.h"

namespace weave {

// Nothing when the way is free; else the exit status, having said who is there. What is on its way out, or in, is
// waited for. Starts no threads: a launch that goes on may fork.
std::optional<int> FindRunning(CommandContext& context, const LaunchState& planned);

}  // namespace weave
