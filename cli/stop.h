// Ending a peer and its supervisor, however they are.
#pragma once

#include <ostream>

#include "absl/status/status.h"
#include "cli/instance.h"

namespace weave {

// Asks the peer to end, makes it if it does not within 10 s (with a warning), and waits until it and its supervisor
// have ended. OK when nobody ran. Failing means that somebody still runs.
absl::Status EndPeer(const Instance& instance, std::ostream& warnings);

}  // namespace weave
