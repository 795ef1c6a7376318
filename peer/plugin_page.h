// What status page and report say of the Docker plugin, which runs beside the peer (spec/control.md sections 3.1 and
// 4): the flags that the two share.
#pragma once

#include <optional>
#include <string>

#include "peer/flags.h"
#include "peer/report_value.h"

namespace weave {

struct PluginView {
  std::string socket;       // of driver weave; empty: off
  std::string mesh_socket;  // of driver weavemesh; empty: off
  bool enabled = false;     // the plugin of this host (v1)
  bool managed = false;     // a managed plugin (v2)
  bool managed_multicast = false;
  bool names = false;          // containers get names
  std::string default_subnet;  // empty: no addresses are allocated
  std::string proc_path;
};

// Nothing when there is to be no plugin.
std::optional<PluginView> MakePluginView(const WeaverOptions& options);

// "weave" of "/run/docker/plugins/weave.sock"; "." of nothing, as 2.8 has it.
std::string PluginDriverName(const std::string& socket);

// The report's part Plugin.
ReportValue PluginValue(const PluginView& plugin);

}  // namespace weave
