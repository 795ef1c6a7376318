// The Docker plugin as a process: sockets, drivers, the watch over Docker, and how it ends.
#pragma once

#include <signal.h>

#include "absl/status/status.h"
#include "base/log.h"
#include "io/service_notify.h"
#include "plugin/docker/plugin_flags.h"

namespace weave {

// Sent by `weave stop`: end, and remove the Docker network `weave` first. SIGTERM and SIGINT leave it.
inline constexpr int kRemoveNetworkSignal = SIGUSR1;

// Until a signal. OK when all was cleared away; the process should then end without running destructors, since requests
// may still wait for the peer. AlreadyExists: another plugin serves this peer.
//
// Threads: the loop (signals, retries), one for each socket's server, workers for what blocks, one that watches Docker,
// one that makes the network. `notifier` hears that the drivers are served and the network was tried to be made.
absl::Status RunPluginDaemon(const PluginOptions& options, Logger& logger, ServiceNotifier& notifier);

}  // namespace weave
