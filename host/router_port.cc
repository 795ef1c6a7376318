#include "host/router_port.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/datapath_port.h"
#include "host/sysctl.h"

namespace weave {
namespace {

struct Pair {
  std::optional<LinkInfo> bridge_end;
  std::optional<LinkInfo> router_end;

  bool whole() const {
    return bridge_end.has_value() && router_end.has_value() && bridge_end->peer_index == router_end->index &&
           router_end->peer_index == bridge_end->index;
  }
};

absl::StatusOr<Pair> FindPair(Netlink& netlink, absl::string_view router_end) {
  Pair pair;
  ASSIGN_OR_RETURN(pair.bridge_end, netlink.FindLink(kRouterBridgePort));
  ASSIGN_OR_RETURN(pair.router_end, netlink.FindLink(router_end));
  for (const std::optional<LinkInfo>& end : {pair.bridge_end, pair.router_end})
    if (end.has_value() && end->kind != "veth")
      return absl::FailedPreconditionError(
          absl::StrCat("cannot use \"", end->name, "\": a device of that name exists and is not a veth"));
  return pair;
}

// What a kernel without IPv6 does not have is fine.
absl::Status Silence(const std::string& proc_path, absl::string_view interface, absl::string_view family_setting,
                     absl::string_view value) {
  absl::Status status = WriteSysctl(proc_path, absl::StrCat("net/", family_setting), value);
  if (absl::IsNotFound(status)) return absl::OkStatus();
  return Annotate(status, interface);
}

absl::Status Configure(Netlink& netlink, const LinkInfo& end, std::uint32_t mtu_bytes, const std::string& proc_path) {
  if (end.mtu_bytes != mtu_bytes) RETURN_IF_ERROR(netlink.SetMtu(end.index, mtu_bytes));
  RETURN_IF_ERROR(IgnoreRouterAdvertisements(proc_path, end.name));
  // Neither end is one of this host's addresses: no neighbour discovery, and (8) no answer to ARP for any of them.
  RETURN_IF_ERROR(Silence(proc_path, end.name, absl::StrCat("ipv6/conf/", end.name, "/disable_ipv6"), "1"));
  RETURN_IF_ERROR(Silence(proc_path, end.name, absl::StrCat("ipv4/conf/", end.name, "/arp_ignore"), "8"));
  if (!end.up) RETURN_IF_ERROR(netlink.SetUp(end.index, true));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RouterPort> EnsureRouterPort(Netlink& netlink, const BridgeState& bridge, absl::string_view router_end,
                                            const std::string& proc_path) {
  RouterPort port;
  ASSIGN_OR_RETURN(Pair pair, FindPair(netlink, router_end));
  if (!pair.whole()) {
    for (const std::optional<LinkInfo>& end : {pair.bridge_end, pair.router_end})
      if (end.has_value()) RETURN_IF_ERROR(netlink.DeleteLink(end->index));
    RETURN_IF_ERROR(netlink.CreateVeth({.name = std::string(kRouterBridgePort),
                                        .peer_name = std::string(router_end),
                                        .mtu_bytes = bridge.mtu_bytes,
                                        .master_index = bridge.index}));
    port.created = true;
    ASSIGN_OR_RETURN(pair, FindPair(netlink, router_end));
    if (!pair.whole())
      return absl::UnavailableError(absl::StrCat(kRouterBridgePort, " vanished while it was being made"));
  }
  RETURN_IF_ERROR(Configure(netlink, *pair.bridge_end, bridge.mtu_bytes, proc_path));
  RETURN_IF_ERROR(Configure(netlink, *pair.router_end, bridge.mtu_bytes, proc_path));
  if (pair.bridge_end->master_index != bridge.index)
    RETURN_IF_ERROR(netlink.SetMaster(pair.bridge_end->index, bridge.index));
  port.router_index = pair.router_end->index;
  return port;
}

absl::Status ConnectDatapath(Netlink& netlink, const BridgeState& bridge, absl::string_view datapath,
                             const std::string& proc_path) {
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> device, netlink.FindLink(datapath));
  if (!device) return absl::NotFoundError(absl::StrCat("there is no datapath \"", datapath, "\""));
  if (!IsDatapath(*device))
    return absl::FailedPreconditionError(
        absl::StrCat("cannot use \"", datapath, "\" as the datapath: it is a device of kind \"", device->kind, "\""));
  RETURN_IF_ERROR(Configure(netlink, *device, bridge.mtu_bytes, proc_path));
  BridgeState all_sizes = bridge;  // the datapath answers what is too large, which a narrow port would drop
  all_sizes.mtu_bytes = kPlainBridgeMtu;
  ASSIGN_OR_RETURN(const RouterPort port, EnsureRouterPort(netlink, all_sizes, kRouterDatapathPort, proc_path));
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> router_end, netlink.FindLink(port.router_index));
  if (!router_end)
    return absl::UnavailableError(absl::StrCat(kRouterDatapathPort, " vanished while it was being made"));
  return JoinBridge(netlink, *device, *router_end);
}

}  // namespace weave
