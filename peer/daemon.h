// The `weaver` daemon: which parts there are, in which order they start, and in which order they end.
#pragma once

#include "absl/status/status.h"
#include "base/log.h"
#include "io/service_notify.h"
#include "peer/flags.h"

namespace weave {

// Runs a peer until it is told to stop (signal, API); OK then. An error is why it could not start: one line, and the
// host is as it was. Tells `notifier` when it is ready.
//
// Threads: the caller's becomes the loop. Some workers may still be stuck in a foreign program when this returns, so
// the process must end without running their destructors (see main.cc).
absl::Status RunDaemon(const WeaverOptions& options, Logger& logger, ServiceNotifier& notifier);

}  // namespace weave
