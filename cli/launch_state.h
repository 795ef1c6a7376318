// What `weave launch` did, kept for `weave stop` and `weave reset`: a small file in the run directory, gone with a
// reboot.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/instance.h"

namespace weave {

// Values of the peer's flags that say where it leaves traces.
struct LaunchState {
  std::string db_prefix;
  std::string log_path;
  std::string bridge = "weave";
  std::string datapath;       // empty: the default, or that of --no-bridged-fastdp, which is the bridge
  std::string docker_bridge;  // empty: none
  std::string port;           // empty: the default
  std::string http_addr;      // empty: no listener

  std::string store_path() const { return db_prefix + "data.db"; }  // contract A3-26
  std::string plugin_state_path() const { return db_prefix + "plugin.networks"; }

  friend bool operator==(const LaunchState&, const LaunchState&) = default;
};

// What a launch without any flag would have left.
LaunchState DefaultLaunchState(const Instance& instance);

// `name=value` lines.
std::string FormatLaunchState(const LaunchState& state);

// Unknown names are skipped and missing ones keep the defaults, so that another version's file serves as far as it
// goes.
LaunchState ParseLaunchState(absl::string_view text, const Instance& instance);

// Nothing when the instance was not launched since boot, or was reset.
absl::StatusOr<std::optional<LaunchState>> ReadLaunchState(const Instance& instance);

}  // namespace weave
