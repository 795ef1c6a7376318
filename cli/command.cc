#include "cli/command.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/process.h"

namespace weave {
namespace {

constexpr char kNotRoot[] = "weave must be run as 'root'";

int Say(CommandContext& context, absl::string_view line, int exit_status) {
  context.err << line << "\n";
  return exit_status;
}

}  // namespace

int Fail(CommandContext& context, absl::string_view message) {
  return Say(context, absl::StrCat("weave: ", message), kExitFailure);
}

int Fail(CommandContext& context, const absl::Status& status) { return Fail(context, status.message()); }

int FailUsage(CommandContext& context) { return Say(context, UsageOf(context.name), kExitFailure); }

int FailUnreachable(CommandContext& context, const absl::Status& status) {
  // Without root nobody can see whether there is a peer, so that is not what is said.
  if (absl::IsPermissionDenied(status) || ::geteuid() != 0) return Say(context, kNotRoot, kExitFailure);
  const Presence presence = LookAt(context.instance);
  if (presence.weaver || absl::IsDeadlineExceeded(status))
    return Fail(context,
                absl::StrCat("the peer (pid ", presence.weaver.value_or(0), ") does not answer: ", status.message()));
  if (!absl::IsNotFound(status) && !absl::IsUnavailable(status)) return Fail(context, status);
  if (presence.supervisor) return Say(context, "weave container is restarting.", kExitNotRunning);
  if (::access(context.instance.launch_state().c_str(), F_OK) == 0)
    return Say(context, "weave container is not running.", kExitNotRunning);
  return Say(context, "weave container is not present. Have you launched it?", kExitFailure);
}

int WithPeer(CommandContext& context, absl::FunctionRef<int(PeerClient&)> body) {
  absl::StatusOr<PeerClient> client = PeerClient::Connect(context.instance.api_socket);
  return client.ok() ? body(*client) : FailUnreachable(context, client.status());
}

bool RequireRoot(CommandContext& context) {
  if (::geteuid() == 0) return true;
  Say(context, kNotRoot, kExitFailure);
  return false;
}

bool TakeFlag(CommandContext& context, absl::string_view flag) {
  return std::erase(context.args, std::string(flag)) > 0;
}

}  // namespace weave
