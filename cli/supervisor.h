// The process that stays after `weave launch`: it starts the peer, starts it again when it crashes and ends it when
// told.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/time.h"
#include "cli/launch_channel.h"
#include "cli/launch_traces.h"
#include "io/fd.h"
#include "io/service_notify.h"

namespace weave {

// How long a peer that was sent SIGTERM may take before it gets SIGKILL.
inline constexpr Duration kStopPatience = absl::Seconds(10);

// "Do not start the peer again when it ends": what `weave stop` sends before it asks the peer itself to end. SIGTERM
// and SIGINT end the peer, too.
inline constexpr int kLetEndSignal = SIGUSR1;

// Of a peer that never got ready. `exit_status`: 128 and the signal that killed it, or its own. kTakeBackSignal kills
// only who has not begun yet to make anything.
inline PeerEnd EndOfPeer(int exit_status) {
  return exit_status > 128 && exit_status != 128 + kTakeBackSignal ? PeerEnd::kKilled : PeerEnd::kTookBack;
}

struct SupervisorOptions {
  LaunchTraces traces;            // of the launch, with the program to run
  std::vector<std::string> args;  // without the program's name
  std::string launch_socket;      // for the first start: where the peer tells that it is ready
  std::string lock_path;          // held for the supervisor's life; empty: only see the first start through
  std::string plugin = {};        // path of the program that runs beside the peer once that is ready; empty: none
  std::vector<std::string> plugin_args = {};
  std::string plugin_lock_path = {};  // held by the process that stays with the plugin of a peer that is left alone
};

// Forks the supervisor off: a session of its own, no terminal, working directory /, output to `log_fd`, no descriptor
// of ours but its end of the channel that is returned. This process must have one thread only.
//
// A supervised peer (lock_path is set) that exits with 0 was asked to end; after any other end it is started again as
// RestartBackoff says, with kRestartVariable (io/service_notify.h): it dials the peers it dialled last, as `weave
// connect` and `weave forget` left them (contract A2-10). Without a lock path the supervisor leaves the peer alone once
// it is ready, and goes.
//
// When launch goes before it said that the peer may stay, the peer is ended; and when launch was killed, which shows by
// its lock, what it made is taken back here.
//
// The plugin is started again likewise, and ends with a supervised peer. Where the peer is left alone another process
// of the supervisor's kind stays with the plugin, until somebody asks that to end.
absl::StatusOr<LaunchChannel> StartSupervisor(const SupervisorOptions& options, int log_fd);

}  // namespace weave
