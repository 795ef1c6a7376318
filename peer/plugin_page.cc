#include "peer/plugin_page.h"

#include "absl/strings/strip.h"

namespace weave {

std::optional<PluginView> MakePluginView(const WeaverOptions& options) {
  if (!options.plugin && !options.plugin_v2) return std::nullopt;
  PluginView view{.socket = options.plugin_socket,
                  .mesh_socket = options.plugin_mesh_socket,
                  .enabled = options.plugin,
                  .managed = options.plugin_v2,
                  .managed_multicast = options.plugin_v2_multicast,
                  .names = !options.no_dns,
                  .default_subnet = "",
                  .proc_path = options.proc_path};
  if (options.ipalloc_range)
    view.default_subnet = options.ipalloc_default_subnet.value_or(*options.ipalloc_range).ToString();
  return view;
}

std::string PluginDriverName(const std::string& socket) {
  if (socket.empty()) return ".";
  return std::string(absl::StripSuffix(socket.substr(socket.rfind('/') + 1), ".sock"));
}

ReportValue PluginValue(const PluginView& plugin) {
  using Value = ReportValue;
  return Value::MakeStruct({{"Config", Value::MakeStruct({{"Socket", Value::String(plugin.socket)},
                                                          {"MeshSocket", Value::String(plugin.mesh_socket)},
                                                          {"Enable", Value::Bool(plugin.enabled)},
                                                          {"EnableV2", Value::Bool(plugin.managed)},
                                                          {"EnableV2Multicast", Value::Bool(plugin.managed_multicast)},
                                                          {"DNS", Value::Bool(plugin.names)},
                                                          {"DefaultSubnet", Value::String(plugin.default_subnet)},
                                                          {"ProcPath", Value::String(plugin.proc_path)}})},
                            {"DriverName", Value::String(PluginDriverName(plugin.socket))},
                            {"MeshDriverName", Value::String(PluginDriverName(plugin.mesh_socket))}});
}

}  // namespace weave
