#include "host/plugin_endpoint.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/bridge.h"
#include "host/datapath_port.h"
#include "host/endpoint.h"
#include "host/frame_gate.h"
#include "host/sysctl.h"

namespace weave {
namespace {

absl::StatusOr<LinkInfo> FindPluginBridge(Netlink& netlink, const std::string& name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> bridge, netlink.FindLink(name));
  if (!bridge) return absl::NotFoundError(absl::StrCat("there is no bridge \"", name, "\": does the peer run?"));
  if (!IsBridge(*bridge))
    return absl::FailedPreconditionError(
        absl::StrCat("\"", name, "\" is a device of kind \"", bridge->kind, "\", want a Linux bridge or a datapath"));
  return *std::move(bridge);
}

absl::StatusOr<LinkInfo> FindPluginEnd(Netlink& netlink, const std::string& name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (!link) return absl::NotFoundError(absl::StrCat("there is no interface \"", name, "\""));
  return *std::move(link);
}

// Brings up what a fresh pair lacks. The container's end is Docker's to bring up.
absl::StatusOr<MacAddress> CompletePluginPair(Netlink& netlink, const PluginEndpointSpec& spec,
                                              const LinkInfo& bridge) {
  ASSIGN_OR_RETURN(const LinkInfo host_end, FindPluginEnd(netlink, PluginHostIfname(spec.endpoint_id)));
  ASSIGN_OR_RETURN(const LinkInfo container_end, FindPluginEnd(netlink, PluginContainerIfname(spec.endpoint_id)));
  if (!spec.isolated_to.empty()) RETURN_IF_ERROR(SetFrameGate(netlink, host_end.index, spec.isolated_to));
  RETURN_IF_ERROR(JoinBridge(netlink, bridge, host_end));
  if (spec.mac && container_end.mac != spec.mac) RETURN_IF_ERROR(netlink.SetMac(container_end.index, *spec.mac));
  for (const LinkInfo& end : {host_end, container_end})
    RETURN_IF_ERROR(IgnoreRouterAdvertisements(spec.proc_path, end.name));
  RETURN_IF_ERROR(netlink.SetUp(host_end.index, true));
  return spec.mac ? *spec.mac : container_end.mac.value_or(MacAddress());
}

}  // namespace

bool IsEndpointId(absl::string_view text) {
  constexpr std::size_t kMaxSize = 255;
  return text.size() >= kEndpointIdShown && text.size() <= kMaxSize &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
         });
}

std::string PluginHostIfname(absl::string_view endpoint_id) {
  return absl::StrCat("vethwl", endpoint_id.substr(0, kEndpointIdShown));
}

std::string PluginContainerIfname(absl::string_view endpoint_id) {
  return absl::StrCat("vethwg", endpoint_id.substr(0, kEndpointIdShown));
}

absl::StatusOr<PluginEndpoint> CreatePluginEndpoint(Netlink& netlink, const PluginEndpointSpec& spec) {
  if (!IsEndpointId(spec.endpoint_id))
    return absl::InvalidArgumentError(absl::StrCat("endpoint id \"", spec.endpoint_id, "\": want at least ",
                                                   kEndpointIdShown, " letters, digits, _ . or -"));
  ASSIGN_OR_RETURN(const LinkInfo bridge, FindPluginBridge(netlink, spec.bridge));
  RETURN_IF_ERROR(netlink.CreateVeth({.name = PluginHostIfname(spec.endpoint_id),
                                      .peer_name = PluginContainerIfname(spec.endpoint_id),
                                      .mtu_bytes = bridge.mtu_bytes,
                                      .master_index = IsDatapath(bridge) ? 0 : bridge.index}));
  absl::StatusOr<MacAddress> mac = CompletePluginPair(netlink, spec, bridge);
  if (!mac.ok()) {
    const absl::StatusOr<std::optional<LinkInfo>> made = FindPluginHostEnd(netlink, spec.endpoint_id);
    if (made.ok() && made->has_value()) (void)netlink.DeleteLink((*made)->index);
    return std::move(mac).status();
  }
  return PluginEndpoint{*mac, true};
}

absl::StatusOr<PluginEndpoint> AdoptPluginEndpoint(Netlink& netlink, const PluginEndpointSpec& spec) {
  ASSIGN_OR_RETURN(const LinkInfo bridge, FindPluginBridge(netlink, spec.bridge));
  ASSIGN_OR_RETURN(const LinkInfo host_end, FindPluginEnd(netlink, PluginHostIfname(spec.endpoint_id)));
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> container_end,
                   netlink.FindLink(PluginContainerIfname(spec.endpoint_id)));
  if (!container_end || container_end->peer_index != host_end.index || host_end.peer_index != container_end->index)
    return absl::AlreadyExistsError(absl::StrCat("\"", host_end.name, "\" is in use by a container"));
  if (spec.mac && container_end->mac != spec.mac)
    return absl::AlreadyExistsError(absl::StrCat("\"", container_end->name, "\" has another MAC address"));
  ASSIGN_OR_RETURN(const MacAddress mac, CompletePluginPair(netlink, spec, bridge));
  return PluginEndpoint{mac, false};
}

absl::StatusOr<std::optional<LinkInfo>> FindPluginHostEnd(Netlink& netlink, absl::string_view endpoint_id) {
  if (!IsEndpointId(endpoint_id)) return std::nullopt;  // we made none for it
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(PluginHostIfname(endpoint_id)));
  if (!link || link->kind != "veth") return std::nullopt;
  return link;
}

absl::Status TunePluginInterfaces(const NetNs& container, const std::string& proc_path) {
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(container));
  ASSIGN_OR_RETURN(const std::vector<LinkInfo> links, inside.Links());
  return RunIn(container, [&]() -> absl::Status {
    for (const LinkInfo& link : links)
      if (link.kind == "veth" && absl::StartsWith(link.name, kContainerInterface))
        RETURN_IF_ERROR(TuneArpCache(proc_path, link.name));
    return absl::OkStatus();
  });
}

}  // namespace weave
