// What `weave launch --no-restart` in a systemd unit tells systemd (sd_notify(3)).
#pragma once

#include <sys/types.h>

#include "absl/status/status.h"
#include "cli/instance.h"

namespace weave {

// The service is ready and its main process is `main_pid`. Returns when systemd has taken note, so that it does not see
// us end first; after 5 s in any case. OK and nothing done without NOTIFY_SOCKET.
absl::Status NotifySystemd(const Environment& environment, pid_t main_pid);

}  // namespace weave
