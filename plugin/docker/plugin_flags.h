// The command line of `weave-plugin` as typed and checked values.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/log.h"

namespace weave {

enum class PluginAction { kRun, kPrintHelp, kPrintVersion, kPrintSwarmManagers };

struct PluginOptions {
  PluginAction action = PluginAction::kRun;
  std::string api_socket = "/run/weave/peer.sock";
  std::string docker_api = "unix:///var/run/docker.sock";  // empty: Docker is not asked
  // Of drivers; empty: off. Each is called as its socket, without `.sock`.
  std::string plugin_socket = "/run/docker/plugins/weave.sock";           // global scope, networks only
  std::string plugin_mesh_socket = "/run/docker/plugins/weavemesh.sock";  // local scope, networks and addresses
  bool plugin_v2 = false;            // a managed plugin: no network `weave`, no watching of containers
  bool plugin_v2_multicast = false;  // the multicast route in all its networks
  std::string weave_bridge = "weave";
  std::string proc_path = "/proc";
  std::string state_file = "/var/lib/weave/weaveplugin.networks";  // empty: none
  LogLevel log_level = LogLevel::kInfo;

  friend bool operator==(const PluginOptions&, const PluginOptions&) = default;
};

// `--x v` and `--x=v`; switches also alone. The last of a repeated flag counts. DOCKER_HOST and WEAVE_API_SOCKET stand
// in for flags that are not given. InvalidArgument names the flag or variable and what is accepted.
absl::StatusOr<PluginOptions> ParsePluginOptions(absl::Span<const std::string> args,
                                                 const std::function<const char*(const char*)>& environment);

// What `--help` prints, with a final newline.
std::string PluginHelp();

}  // namespace weave
