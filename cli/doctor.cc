// weave doctor: what is wrong with this host and its ways to other peers, a line each, and what to type.
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/doctor_facts.h"
#include "doctor/judge.h"

namespace weave {
namespace {

constexpr int kExitBadUsage = 2;

// Where Docker looks for the plugin unless its flags say otherwise.
constexpr const char* kPluginSockets[] = {"/run/docker/plugins/weave.sock", "/run/docker/plugins/weavemesh.sock"};

}  // namespace

int RunDoctor(CommandContext& context) {
  const bool json = TakeFlag(context, "--json");
  if (!context.args.empty()) {
    FailUsage(context);
    return kExitBadUsage;
  }
  if (!RequireRoot(context)) return kExitFailure;
  const absl::StatusOr<std::optional<LaunchState>> recorded = ReadLaunchState(context.instance);
  if (!recorded.ok()) return Fail(context, recorded.status());
  const LaunchState state = recorded->value_or(DefaultLaunchState(context.instance));

  DoctorFacts facts;
  GatherOptions options;
  options.bridge = state.bridge;
  options.datapath = state.datapath;
  options.store_path = state.store_path();
  options.api_socket = context.instance.api_socket;
  options.plugin_sockets = {std::begin(kPluginSockets), std::end(kPluginSockets)};
  AskPeer(context, state, facts, options);
  GatherHost(options, facts);

  const std::vector<Finding> findings = Judge(facts);
  if (json) {
    context.out << FindingsAsJson(findings);
  } else {
    for (const Finding& finding : findings) context.out << FormatFinding(finding) << "\n";
  }
  return AnyFailed(findings) ? kExitFailure : kExitSuccess;
}

}  // namespace weave
