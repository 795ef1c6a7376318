#include "cli/launch_traces.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/process.h"
#include "io/file.h"
#include "io/record_store.h"
#include "io/subprocess.h"

namespace weave {
namespace {

absl::Status RestoreLaunchState(const LaunchTraces& traces) {
  const std::string path = traces.instance.launch_state();
  return traces.previous_state ? WriteFileAtomically(path, *traces.previous_state) : RemoveIfExists(path);
}

}  // namespace

absl::Status CleanUpHost(const LaunchState& state, absl::string_view weaver) {
  std::vector<std::string> argv = {std::string(weaver), "--cleanup", "--weave-bridge=" + state.bridge,
                                   "--db-prefix=" + state.db_prefix};
  if (!state.datapath.empty()) argv.push_back("--datapath=" + state.datapath);
  if (!state.docker_bridge.empty()) argv.push_back("--docker-bridge=" + state.docker_bridge);
  if (!state.port.empty()) argv.push_back("--port=" + state.port);
  if (!state.http_addr.empty()) argv.push_back("--http-addr=" + state.http_addr);
  return RunSuccessfully({.argv = std::move(argv)}).status();
}

absl::Status RemoveStore(const LaunchState& state) {
  RETURN_IF_ERROR(RecordStore::Remove(state.store_path()));
  const std::filesystem::path store = state.store_path();
  const std::string damaged = store.filename().string() + ".damaged-";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(store.parent_path(), error))
    if (absl::StartsWith(entry.path().filename().string(), damaged))
      RETURN_IF_ERROR(RemoveIfExists(entry.path().string()));
  return absl::OkStatus();
}

absl::Status TakeBackLaunch(const LaunchTraces& traces, PeerEnd end) {
  if (LookAt(traces.instance).weaver) return RestoreLaunchState(traces);  // another's
  RETURN_IF_ERROR(RemoveApiSocket(traces.instance));
  RETURN_IF_ERROR(RemoveIfExists(traces.instance.weaver_lock()));
  if (end == PeerEnd::kKilled) {
    if (!traces.had_bridge) RETURN_IF_ERROR(CleanUpHost(traces.state, traces.weaver));
    if (!traces.had_store) RETURN_IF_ERROR(RemoveStore(traces.state));
  }
  return RestoreLaunchState(traces);
}

}  // namespace weave
