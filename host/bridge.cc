#include "host/bridge.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/arp.h"
#include "host/endpoint.h"
#include "host/ethtool.h"
#include "host/sysctl.h"

namespace weave {
namespace {

constexpr absl::string_view kBridgeLinkKind = "bridge";
constexpr absl::string_view kDatapathLinkKind = "openvswitch";

absl::Status NameTaken(const LinkInfo& link) {
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot use \"", link.name, "\" as the bridge: a device of that name exists and is not a bridge but ",
      link.kind.empty() ? "hardware or loopback" : absl::StrCat("of kind \"", link.kind, "\"")));
}

// nullopt: not there.
absl::StatusOr<std::optional<LinkInfo>> FindBridge(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (link && link->kind != kBridgeLinkKind) return NameTaken(*link);
  return link;
}

absl::StatusOr<LinkInfo> RequireBridge(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (!link) return absl::NotFoundError(absl::StrCat("there is no bridge \"", name, "\""));
  return *std::move(link);
}

// One of ours: a container's host end, or the bridge's own port to the overlay.
bool IsOurVeth(const LinkInfo& link) {
  return link.kind == "veth" && (IsHostIfname(link.name) || absl::StartsWith(link.name, "vethwe"));
}

absl::Status Configure(Netlink& netlink, const BridgeSpec& spec, const LinkInfo& bridge) {
  // A bridge whose MAC nobody set takes that of one of its ports, and changes it as they come and go.
  if (bridge.mac) RETURN_IF_ERROR(netlink.SetMac(bridge.index, *bridge.mac));
  RETURN_IF_ERROR(netlink.SetMtu(bridge.index, spec.mtu_bytes != 0 ? spec.mtu_bytes : kPlainBridgeMtu));
  RETURN_IF_ERROR(IgnoreRouterAdvertisements(spec.proc_path, spec.name));
  RETURN_IF_ERROR(TuneArpCache(spec.proc_path, spec.name));
  if (!spec.tx_checksum_offload) RETURN_IF_ERROR(DisableTxChecksumOffload(spec.name));
  return netlink.SetUp(bridge.index, true);
}

absl::Status AdoptOrphans(Netlink& netlink, int bridge_index) {
  ASSIGN_OR_RETURN(std::vector<LinkInfo> links, netlink.Links());
  for (const LinkInfo& link : links) {
    if (link.master_index != 0 || link.kind != "veth" || !IsHostIfname(link.name)) continue;
    absl::Status status = netlink.SetMaster(link.index, bridge_index);
    if (status.ok()) status = netlink.SetHairpin(link.index, true);
    if (!status.ok() && !absl::IsNotFound(status)) return Annotate(status, link.name);  // NotFound: its container ended
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view ToString(BridgeKind kind) {
  switch (kind) {
    case BridgeKind::kNone:
      return "none";
    case BridgeKind::kBridge:
      return "bridge";
    case BridgeKind::kBridgedFastdp:
      return "bridged_fastdp";
    case BridgeKind::kFastdp:
      return "fastdp";
  }
  return "unknown";
}

absl::StatusOr<BridgeKind> DetectBridgeKind(Netlink& netlink, absl::string_view bridge, absl::string_view datapath) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> bridge_link, netlink.FindLink(bridge));
  ASSIGN_OR_RETURN(std::optional<LinkInfo> datapath_link, netlink.FindLink(datapath));
  const bool one_device = bridge == datapath;
  if (!bridge_link && !datapath_link) return BridgeKind::kNone;
  if (bridge_link && bridge_link->kind == kDatapathLinkKind && (one_device || !datapath_link))
    return BridgeKind::kFastdp;
  if (bridge_link && bridge_link->kind == kBridgeLinkKind) {
    if (one_device || !datapath_link) return BridgeKind::kBridge;
    if (datapath_link->kind == kDatapathLinkKind) return BridgeKind::kBridgedFastdp;
  }
  auto describe = [](absl::string_view name, const std::optional<LinkInfo>& link) {
    if (!link) return absl::StrCat("no \"", name, "\"");
    return absl::StrCat("\"", name, "\" of kind \"", link->kind, "\"");
  };
  return absl::FailedPreconditionError(absl::StrCat("inconsistent bridge state: ", describe(bridge, bridge_link), ", ",
                                                    describe(datapath, datapath_link),
                                                    "; do 'weave reset' and try again, or use other names"));
}

absl::StatusOr<BridgeState> EnsureBridge(Netlink& netlink, const BridgeSpec& spec) {
  if (!IsLinkName(spec.name))
    return absl::InvalidArgumentError(
        absl::StrCat("bridge name \"", spec.name, "\": want 1 to 15 characters without blanks, slashes and colons"));
  BridgeState state;
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, FindBridge(netlink, spec.name));
  if (!link) {
    RETURN_IF_ERROR(netlink.CreateBridge(spec.name, spec.mac));
    state.created = true;
    ASSIGN_OR_RETURN(link, RequireBridge(netlink, spec.name));
  }
  auto remove = absl::MakeCleanup([&] {
    if (state.created) (void)netlink.DeleteLink(link->index);
  });
  RETURN_IF_ERROR(Annotate(Configure(netlink, spec, *link), absl::StrCat("bridge \"", spec.name, "\"")));
  ASSIGN_OR_RETURN(link, RequireBridge(netlink, spec.name));
  state.index = link->index;
  state.mac = link->mac.value_or(MacAddress());
  state.mtu_bytes = link->mtu_bytes;
  if (state.created) RETURN_IF_ERROR(AdoptOrphans(netlink, state.index));
  std::move(remove).Cancel();
  return state;
}

absl::Status RemoveBridge(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> bridge, FindBridge(netlink, name));
  ASSIGN_OR_RETURN(std::vector<LinkInfo> links, netlink.Links());
  for (const LinkInfo& link : links) {
    const bool in_our_bridge = bridge && link.master_index == bridge->index;
    if (IsOurVeth(link) && (in_our_bridge || link.master_index == 0)) RETURN_IF_ERROR(netlink.DeleteLink(link.index));
  }
  if (!bridge) return absl::OkStatus();
  return netlink.DeleteLink(bridge->index);
}

absl::StatusOr<std::optional<MacAddress>> FindBridgeMac(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (!link) return std::optional<MacAddress>();
  return link->mac;
}

absl::StatusOr<std::vector<Cidr>> ListBridgeAddresses(Netlink& netlink, absl::string_view bridge) {
  ASSIGN_OR_RETURN(LinkInfo link, RequireBridge(netlink, bridge));
  ASSIGN_OR_RETURN(std::vector<InterfaceAddress> addresses, netlink.Addresses(link.index));
  std::vector<Cidr> cidrs;
  for (const InterfaceAddress& address : addresses) cidrs.push_back(address.cidr);
  return cidrs;
}

absl::StatusOr<bool> AddBridgeAddress(Netlink& netlink, absl::string_view bridge, const Cidr& cidr) {
  if (!cidr.address().IsV4())
    return absl::InvalidArgumentError(absl::StrCat("address ", cidr.ToString(), ": want an IPv4 address"));
  ASSIGN_OR_RETURN(LinkInfo link, RequireBridge(netlink, bridge));
  ASSIGN_OR_RETURN(std::vector<InterfaceAddress> addresses, netlink.Addresses());
  for (const InterfaceAddress& address : addresses) {
    if (address.link_index == link.index && address.cidr == cidr) return false;
    if (address.cidr.address() != cidr.address()) continue;
    ASSIGN_OR_RETURN(std::optional<LinkInfo> holder, netlink.FindLink(address.link_index));
    return absl::AlreadyExistsError(absl::StrCat("cannot give ", cidr.ToString(), " to bridge \"", bridge,
                                                 "\": ", address.cidr.ToString(), " is already on \"",
                                                 holder ? holder->name : "an interface", "\" of this host"));
  }
  RETURN_IF_ERROR(netlink.AddAddress(link.index, cidr));
  if (link.up && link.mac) RETURN_IF_ERROR(AnnounceAddress(link.index, *link.mac, cidr.address()));
  return true;
}

absl::StatusOr<bool> RemoveBridgeAddress(Netlink& netlink, absl::string_view bridge, const Cidr& cidr) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(bridge));
  if (!link) return false;
  ASSIGN_OR_RETURN(std::vector<InterfaceAddress> addresses, netlink.Addresses(link->index));
  const bool present = std::any_of(addresses.begin(), addresses.end(),
                                   [&](const InterfaceAddress& address) { return address.cidr == cidr; });
  if (present) RETURN_IF_ERROR(netlink.RemoveAddress(link->index, cidr));
  return present;
}

}  // namespace weave
