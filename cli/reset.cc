// weave reset: takes the peer out of the network and everything of it off this host. And one part alone, for scripts:
// weave delete-datapath.
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/commands.h"
#include "cli/launch_state.h"
#include "cli/launch_traces.h"
#include "cli/process.h"
#include "cli/stop.h"
#include "cli/weaver_program.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "io/subprocess.h"

namespace weave {
namespace {

constexpr char kNotRunning[] =  // contract A2-27
    "ERROR: weave is not running; unable to remove from cluster. Re-launch weave before reset or use --force to "
    "override.";
constexpr Duration kLockPatience = absl::Seconds(60);
constexpr Duration kLockPause = absl::Milliseconds(50);

// One reset or launch at a time; waits for the other.
absl::StatusOr<LockFile> LockReset(const Instance& instance) {
  const MonotonicTime start = MonotonicNow();
  while (true) {
    RETURN_IF_ERROR(EnsureDirectory(instance.run_directory));
    absl::StatusOr<LockFile> lock = LockFile::Acquire(instance.launch_lock());
    // NotFound: another reset has just removed the directory.
    if (!absl::IsAlreadyExists(lock.status()) && !absl::IsNotFound(lock.status())) return lock;
    if (MonotonicNow() - start > kLockPatience) return lock;
    absl::SleepFor(kLockPause);
  }
}

// Files and the directories they leave empty, but for the lock that is held.
absl::Status RemoveFiles(const Instance& instance, const LaunchState& state) {
  RETURN_IF_ERROR(RemoveStore(state));
  for (const std::string& path :
       {state.log_path, state.plugin_state_path(), instance.weaver_lock(), instance.plugin_lock(),
        instance.plugin_supervisor_lock(), instance.supervisor_lock(), instance.launch_state()})
    RETURN_IF_ERROR(RemoveIfExists(path));
  RETURN_IF_ERROR(RemoveApiSocket(instance));
  for (const std::string& directory : {DirectoryOf(state.store_path()), DirectoryOf(state.log_path)})
    ::rmdir(directory.c_str());  // stays if somebody else has something in it
  return absl::OkStatus();
}

// Asks a running peer to clean up behind itself, or decides that nobody has to be asked.
int LeaveNetwork(CommandContext& context, const LaunchState& state, bool recorded, bool force) {
  absl::StatusOr<PeerClient> client = PeerClient::Connect(context.instance.api_socket);
  if (client.ok()) {
    const absl::Status status = client->Reset();
    if (status.ok() || force) return kExitSuccess;
    return Fail(context, absl::StrCat(status.message(), " (--force resets this host without the peer's help)"));
  }
  const bool something = recorded || LookAt(context.instance).any() || ::access(state.store_path().c_str(), F_OK) == 0;
  if (!something || force) return kExitSuccess;
  context.err << kNotRunning << "\n";
  return kExitFailure;
}

int Reset(CommandContext& context, bool force) {
  const absl::StatusOr<std::optional<LaunchState>> recorded = ReadLaunchState(context.instance);
  if (!recorded.ok()) return Fail(context, recorded.status());
  const LaunchState state = recorded->value_or(DefaultLaunchState(context.instance));
  if (const int exit_status = LeaveNetwork(context, state, recorded->has_value(), force); exit_status != kExitSuccess)
    return exit_status;

  absl::Status status = EndPeer(context.instance, context.err);
  if (!status.ok()) return Fail(context, status);
  const absl::StatusOr<std::string> weaver = FindWeaver(context.environment);
  if (!weaver.ok()) return Fail(context, weaver.status());
  status = CleanUpHost(state, *weaver);
  if (!status.ok()) return Fail(context, status);
  status = RemoveFiles(context.instance, state);
  return status.ok() ? kExitSuccess : Fail(context, status);
}

}  // namespace

int RunDeleteDatapath(CommandContext& context) {
  if (context.args.size() != 1) return FailUsage(context);
  if (!RequireRoot(context)) return kExitFailure;
  const absl::StatusOr<std::string> weaver = FindWeaver(context.environment);
  if (!weaver.ok()) return Fail(context, weaver.status());
  const absl::Status status =
      RunSuccessfully({.argv = {*weaver, "--delete-datapath", "--datapath=" + context.args[0]}}).status();
  return status.ok() ? kExitSuccess : Fail(context, status);
}

int RunReset(CommandContext& context) {
  const bool force = TakeFlag(context, "--force");
  if (!context.args.empty()) return FailUsage(context);
  if (!RequireRoot(context)) return kExitFailure;
  absl::StatusOr<LockFile> lock = LockReset(context.instance);
  if (!lock.ok()) return Fail(context, lock.status());
  const int exit_status = Reset(context, force);
  (void)lock->ReleaseAndRemove();
  ::rmdir(context.instance.run_directory.c_str());  // empty after a reset
  return exit_status;
}

}  // namespace weave
