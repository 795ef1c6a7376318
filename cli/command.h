// What a command of `weave` gets and gives back.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/instance.h"
#include "client/peer_client.h"

namespace weave {

// Exit statuses of contract A.1 and A.2.
inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitNotRunning = 2;      // launched once, but not running now
inline constexpr int kExitAlreadyRunning = 3;  // weave launch
inline constexpr int kExitNotFound = 4;        // a part that is off: nothing to print

struct CommandContext {
  std::string name;
  std::vector<std::string> args;  // after the command's name, without --api-socket
  Instance instance;
  Environment environment;
  std::ostream& out;
  std::ostream& err;
};

// Prints `weave: <message>`.
int Fail(CommandContext& context, absl::string_view message);
int Fail(CommandContext& context, const absl::Status& status);

// Prints how the command is used.
int FailUsage(CommandContext& context);

// Prints what 2.8 says when there is no peer to talk to (contract A1-06), or that we may not, or that it hangs.
// `status` is that of PeerClient::Connect.
int FailUnreachable(CommandContext& context, const absl::Status& status);

// Connects and runs `body`, or says why not.
int WithPeer(CommandContext& context, absl::FunctionRef<int(PeerClient&)> body);

// Whether we are root; says so if not.
bool RequireRoot(CommandContext& context);

// Removes `flag` from the arguments; whether it was there.
bool TakeFlag(CommandContext& context, absl::string_view flag);

}  // namespace weave
