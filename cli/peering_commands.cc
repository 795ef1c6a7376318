// Commands about other peers: connect, forget.
#include "absl/strings/str_cat.h"
#include "cli/commands.h"

namespace weave {

int RunConnect(CommandContext& context) {
  std::vector<std::string> peers = context.args;
  const bool replace = !peers.empty() && peers.front() == "--replace";
  if (replace) peers.erase(peers.begin());
  if (context.args.empty() || (!peers.empty() && peers.front().rfind("--", 0) == 0)) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::Status connected = peer.ConnectTo(peers, replace);
    return connected.ok() ? kExitSuccess : Fail(context, connected);
  });
}

int RunForget(CommandContext& context) {
  if (context.args.empty() || context.args.front().rfind("--", 0) == 0) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::Status forgotten = peer.Forget(context.args);
    return forgotten.ok() ? kExitSuccess : Fail(context, forgotten);
  });
}

}  // namespace weave
