#include "cli/stop.h"

#include <signal.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/supervisor.h"

namespace weave {
namespace {

constexpr Duration kKillPatience = absl::Seconds(2);

// To the Docker plugin: end, and remove the Docker network first (plugin/docker/plugin_daemon.h), for which it waits
// for Docker.
constexpr int kRemoveNetworkSignal = SIGUSR1;
constexpr Duration kPluginPatience = absl::Seconds(20);

// Whether the peer said that it will end. Sets `weaver`, if nobody is known to hold its lock, to whoever listens. The
// connection is not kept: a server may wait for its clients to go.
bool AskToEnd(const Instance& instance, std::optional<Process>& weaver) {
  absl::StatusOr<PeerClient> client = PeerClient::Connect(instance.api_socket);
  if (!client.ok()) return false;
  if (!weaver) weaver = Process::Open(client->server_pid());
  return client->Stop().ok();
}

// Waits, then kills. False when even that did not help.
bool EndsOrIsKilled(const Process& process, absl::string_view what, std::ostream& warnings,
                    Duration patience = kStopPatience) {
  if (process.EndsWithin(patience)) return true;
  warnings << "weave: " << what << " (pid " << process.pid() << ") did not end within "
           << absl::FormatDuration(patience) << "; killing it\n";
  process.Signal(SIGKILL);
  return process.EndsWithin(kKillPatience);
}

absl::Status StillRuns(absl::string_view what, const Process& process) {
  return absl::DeadlineExceededError(absl::StrCat(what, " (pid ", process.pid(), ") could not be ended"));
}

}  // namespace

absl::Status EndPeer(const Instance& instance, std::ostream& warnings) {
  // First of all: whatever ends the peer, nobody starts it again.
  const std::optional<Process> supervisor = Process::HolderOf(instance.supervisor_lock());
  if (supervisor) supervisor->Signal(kLetEndSignal);

  if (const std::optional<Process> keeper = Process::HolderOf(instance.plugin_supervisor_lock()))
    keeper->Signal(kLetEndSignal);

  // While the peer still answers it: Docker asks for addresses back when its network goes.
  if (const std::optional<Process> plugin = Process::HolderOf(instance.plugin_lock())) {
    plugin->Signal(kRemoveNetworkSignal);
    if (!EndsOrIsKilled(*plugin, "the Docker plugin", warnings, kPluginPatience))
      return StillRuns("the Docker plugin", *plugin);
  }

  std::optional<Process> weaver = Process::HolderOf(instance.weaver_lock());
  if (!AskToEnd(instance, weaver) && weaver) weaver->Signal(SIGTERM);
  if (weaver && !EndsOrIsKilled(*weaver, "the peer", warnings)) return StillRuns("the peer", *weaver);
  if (supervisor && !supervisor->EndsWithin(kKillPatience)) {
    supervisor->Signal(SIGTERM);
    if (!EndsOrIsKilled(*supervisor, "the supervisor", warnings)) return StillRuns("the supervisor", *supervisor);
  }
  if (!LookAt(instance).any()) (void)RemoveApiSocket(instance);  // of a peer that could not do so itself
  return absl::OkStatus();
}

int RunStop(CommandContext& context) {
  if (!context.args.empty()) return FailUsage(context);
  if (!RequireRoot(context)) return kExitFailure;
  if (!LookAt(context.instance).any()) {
    const absl::Status status = PeerClient::Connect(context.instance.api_socket).status();
    if (!status.ok()) return FailUnreachable(context, status);
  }
  const absl::Status status = EndPeer(context.instance, context.err);
  return status.ok() ? kExitSuccess : Fail(context, status);
}

}  // namespace weave
