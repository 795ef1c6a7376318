#include "host/bridge.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/arp.h"
#include "host/datapath_port.h"
#include "host/endpoint.h"
#include "host/ethtool.h"
#include "host/router_port.h"
#include "host/sysctl.h"

namespace weave {
namespace {

constexpr absl::string_view kBridgeLinkKind = "bridge";

absl::Status NameTaken(const LinkInfo& link) {
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot use \"", link.name, "\" as the bridge: a device of that name exists and is not a bridge but ",
      link.kind.empty() ? "hardware or loopback" : absl::StrCat("of kind \"", link.kind, "\"")));
}

bool IsLinuxBridge(const LinkInfo& link) { return link.kind == kBridgeLinkKind; }

// nullopt: not there.
absl::StatusOr<std::optional<LinkInfo>> FindLinuxBridge(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (link && !IsLinuxBridge(*link)) return NameTaken(*link);
  return link;
}

absl::StatusOr<LinkInfo> RequireBridge(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (!link) return absl::NotFoundError(absl::StrCat("there is no bridge \"", name, "\""));
  return *std::move(link);
}

// One of ours: a container's host end, or the bridge's own port to the overlay.
bool IsOurVeth(const LinkInfo& link) {
  return IsHostEnd(link) || (link.kind == "veth" && absl::StartsWith(link.name, "vethwe"));
}

std::uint32_t OwnMtu(BridgeKind kind) { return kind == BridgeKind::kBridge ? kPlainBridgeMtu : kFastdpMtu; }

// The least of the containers' in the bridge or without one, which will be put into it; none: there are no containers.
absl::StatusOr<std::optional<std::uint32_t>> ContainersMtu(Netlink& netlink, const LinkInfo& bridge) {
  ASSIGN_OR_RETURN(const std::vector<LinkInfo> links, netlink.Links());
  std::optional<std::uint32_t> least;
  for (const LinkInfo& link : links) {
    if (!IsHostEnd(link)) continue;
    if (link.master_index != bridge.index && link.master_index != 0) continue;
    least = std::min(least.value_or(link.mtu_bytes), link.mtu_bytes);
  }
  return least;
}

absl::StatusOr<std::uint32_t> MtuFor(Netlink& netlink, const BridgeSpec& spec, const LinkInfo& bridge) {
  if (!spec.mtu_follows_containers) return spec.EffectiveMtu();
  ASSIGN_OR_RETURN(const std::optional<std::uint32_t> containers, ContainersMtu(netlink, bridge));
  return std::max(containers.value_or(spec.EffectiveMtu()), OwnMtu(spec.kind));
}

absl::Status Configure(Netlink& netlink, const BridgeSpec& spec, const LinkInfo& bridge) {
  // A Linux bridge whose MAC nobody set takes that of one of its ports, and changes it as they come and go.
  if (bridge.mac && IsLinuxBridge(bridge)) RETURN_IF_ERROR(netlink.SetMac(bridge.index, *bridge.mac));
  ASSIGN_OR_RETURN(const std::uint32_t mtu_bytes, MtuFor(netlink, spec, bridge));
  RETURN_IF_ERROR(netlink.SetMtu(bridge.index, mtu_bytes));
  RETURN_IF_ERROR(IgnoreRouterAdvertisements(spec.proc_path, spec.name));
  RETURN_IF_ERROR(TuneArpCache(spec.proc_path, spec.name));
  if (!spec.tx_checksum_offload) RETURN_IF_ERROR(DisableTxChecksumOffload(spec.name));
  return netlink.SetUp(bridge.index, true);
}

absl::Status AdoptOrphans(Netlink& netlink, const LinkInfo& bridge) {
  ASSIGN_OR_RETURN(std::vector<LinkInfo> links, netlink.Links());
  for (const LinkInfo& link : links) {
    if (link.master_index != 0 || !IsHostEnd(link)) continue;
    absl::Status status = JoinBridge(netlink, bridge, link);
    if (status.ok() && IsLinuxBridge(bridge)) status = netlink.SetHairpin(link.index, true);
    if (!status.ok() && !absl::IsNotFound(status)) return Annotate(status, link.name);  // NotFound: its container ended
  }
  return absl::OkStatus();
}

absl::StatusOr<BridgeState> StateOf(Netlink& netlink, const BridgeSpec& spec, const LinkInfo& link, bool created) {
  BridgeState state{link.index, link.mac.value_or(MacAddress()), link.mtu_bytes, created};
  if (!spec.mtu_follows_containers) return state;
  ASSIGN_OR_RETURN(const std::optional<std::uint32_t> containers, ContainersMtu(netlink, link));
  state.has_containers = containers.has_value();
  return state;
}

// Whether the datapath is new is not known here. An interface that another call is about to put into it may well get
// there first by us.
absl::StatusOr<BridgeState> EnsureDatapathBridge(Netlink& netlink, const BridgeSpec& spec) {
  ASSIGN_OR_RETURN(LinkInfo link, RequireBridge(netlink, spec.name));
  if (!IsDatapath(link)) return NameTaken(link);
  RETURN_IF_ERROR(Annotate(Configure(netlink, spec, link), absl::StrCat("bridge \"", spec.name, "\"")));
  ASSIGN_OR_RETURN(link, RequireBridge(netlink, spec.name));
  RETURN_IF_ERROR(AdoptOrphans(netlink, link));
  return StateOf(netlink, spec, link, false);
}

}  // namespace

std::uint32_t BridgeSpec::EffectiveMtu() const { return mtu_bytes != 0 ? mtu_bytes : OwnMtu(kind); }

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
  std::optional<LinkInfo> datapath_link;
  if (bridge != datapath) {
    ASSIGN_OR_RETURN(datapath_link, netlink.FindLink(datapath));
  }
  if (!bridge_link && !datapath_link) return BridgeKind::kNone;
  const bool bridge_possible = !bridge_link || IsLinuxBridge(*bridge_link);
  if (datapath_link && IsDatapath(*datapath_link) && bridge_possible) return BridgeKind::kBridgedFastdp;
  if (!datapath_link && IsDatapath(*bridge_link)) return BridgeKind::kFastdp;
  if (!datapath_link && bridge_possible) {
    ASSIGN_OR_RETURN(const std::optional<LinkInfo> router_port, netlink.FindLink(kRouterDatapathPort));
    return router_port ? BridgeKind::kBridgedFastdp : BridgeKind::kBridge;
  }
  auto describe = [](absl::string_view name, const std::optional<LinkInfo>& link) {
    if (!link) return absl::StrCat("no \"", name, "\"");
    return absl::StrCat("\"", name, "\" of kind \"", link->kind, "\"");
  };
  return absl::FailedPreconditionError(absl::StrCat("inconsistent bridge state: ", describe(bridge, bridge_link), ", ",
                                                    describe(datapath, datapath_link),
                                                    "; do 'weave reset' and try again, or use other names"));
}

absl::Status PinBridgeMac(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> link, netlink.FindLink(name));
  if (!link.has_value() || !link->mac.has_value()) return absl::OkStatus();
  return Annotate(netlink.SetMac(link->index, *link->mac), absl::StrCat("pin the MAC of ", name));
}

absl::StatusOr<BridgeState> EnsureBridge(Netlink& netlink, const BridgeSpec& spec) {
  if (!IsLinkName(spec.name))
    return absl::InvalidArgumentError(
        absl::StrCat("bridge name \"", spec.name, "\": want 1 to 15 characters without blanks, slashes and colons"));
  if (spec.kind == BridgeKind::kFastdp) return EnsureDatapathBridge(netlink, spec);
  bool created = false;
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, FindLinuxBridge(netlink, spec.name));
  if (!link) {
    RETURN_IF_ERROR(netlink.CreateBridge(spec.name, spec.mac));
    created = true;
    ASSIGN_OR_RETURN(link, RequireBridge(netlink, spec.name));
  }
  auto remove = absl::MakeCleanup([&] {
    if (created) (void)netlink.DeleteLink(link->index);
  });
  RETURN_IF_ERROR(Annotate(Configure(netlink, spec, *link), absl::StrCat("bridge \"", spec.name, "\"")));
  ASSIGN_OR_RETURN(link, RequireBridge(netlink, spec.name));
  if (created) RETURN_IF_ERROR(AdoptOrphans(netlink, *link));
  ASSIGN_OR_RETURN(const BridgeState state, StateOf(netlink, spec, *link, created));
  std::move(remove).Cancel();
  return state;
}

absl::Status RemoveBridge(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> bridge, netlink.FindLink(name));
  if (bridge && !IsBridge(*bridge)) return NameTaken(*bridge);
  ASSIGN_OR_RETURN(std::vector<LinkInfo> links, netlink.Links());
  for (const LinkInfo& link : links) {
    const bool in_our_bridge = bridge && link.master_index == bridge->index;
    if (IsOurVeth(link) && (in_our_bridge || link.master_index == 0)) RETURN_IF_ERROR(netlink.DeleteLink(link.index));
  }
  if (!bridge || IsDatapath(*bridge)) return absl::OkStatus();
  return netlink.DeleteLink(bridge->index);
}

bool IsBridge(const LinkInfo& link) { return IsLinuxBridge(link) || IsDatapath(link); }

absl::Status JoinBridge(Netlink& netlink, const LinkInfo& bridge, const LinkInfo& port) {
  if (port.master_index == bridge.index) return absl::OkStatus();
  return IsDatapath(bridge) ? JoinDatapath(bridge, port) : netlink.SetMaster(port.index, bridge.index);
}

absl::Status LeaveBridge(Netlink& netlink, const LinkInfo& bridge, const LinkInfo& port) {
  return IsDatapath(bridge) ? LeaveDatapath(bridge, port) : netlink.SetMaster(port.index, 0);
}

absl::StatusOr<std::optional<MacAddress>> FindBridgeMac(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (!link) return std::optional<MacAddress>();
  return link->mac;
}

absl::StatusOr<std::optional<MacAddress>> FindPeerMac(Netlink& netlink, absl::string_view name) {
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(name));
  if (!link || IsDatapath(*link)) return std::optional<MacAddress>();
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
