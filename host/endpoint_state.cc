// Taking addresses away and finding out what is there; attaching is in endpoint.cc.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "host/endpoint.h"

namespace weave {
namespace {

constexpr absl::string_view kPluginIfnamePrefix = "vethwl";  // made by the Docker plugin (spec/overlay.md section 6.1)
constexpr std::size_t kLinkIdSize = 7;

absl::StatusOr<std::vector<Cidr>> AddressesOf(Netlink& netlink, int link_index) {
  ASSIGN_OR_RETURN(std::vector<InterfaceAddress> addresses, netlink.Addresses(link_index));
  std::vector<Cidr> cidrs;
  for (const InterfaceAddress& address : addresses) cidrs.push_back(address.cidr);
  return cidrs;
}

absl::StatusOr<ContainerEnd> LookInto(const NetNs& ns, const std::string& path, const HostEnd& end) {
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(ns));
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, inside.FindLink(end.container_index));
  if (!link || link->kind != "veth" || link->peer_index != end.host_index)
    return absl::NotFoundError(absl::StrCat("the other end of ", end.host_ifname, " went elsewhere just now"));
  ASSIGN_OR_RETURN(std::vector<Cidr> addresses, AddressesOf(inside, link->index));
  return ContainerEnd{path, ns.inode(), link->name, link->mac.value_or(MacAddress()), std::move(addresses)};
}

}  // namespace

bool IsHostIfname(absl::string_view name) {
  return absl::StartsWith(name, kHostIfnamePrefix) || absl::StartsWith(name, kPluginIfnamePrefix);
}

bool IsHostEnd(const LinkInfo& link) { return link.kind == "veth" && IsHostIfname(link.name); }

HostEnd HostEndOf(const LinkInfo& link) { return {link.name, link.index, link.peer_index, link.alias, link.peer_nsid}; }

std::string HostIfname(absl::string_view link_id, int variant) {
  CHECK(variant >= 0 && variant < kHostIfnameVariants) << variant;
  if (variant == 0) return absl::StrCat(kHostIfnamePrefix, link_id.substr(0, kLinkIdSize));
  const std::string suffix = absl::StrCat("-", variant);
  return absl::StrCat(kHostIfnamePrefix, link_id.substr(0, kLinkIdSize - suffix.size()), suffix);
}

absl::StatusOr<DetachResult> DetachSandbox(const DetachSpec& spec) {
  ASSIGN_OR_RETURN(std::optional<NetNs> ns, OpenSandbox(spec.netns_path, spec.netns_inode, spec.proc_path));
  if (!ns) return DetachResult{};
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(*ns));
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, inside.FindLink(spec.interface));
  if (!link || link->kind != "veth") return DetachResult{};
  ASSIGN_OR_RETURN(std::vector<Cidr> present, AddressesOf(inside, link->index));
  for (const Cidr& cidr : spec.addresses) {
    if (std::find(present.begin(), present.end(), cidr) == present.end()) continue;
    RETURN_IF_ERROR(inside.RemoveAddress(link->index, cidr));
  }
  DetachResult result;
  result.interface_present = true;
  ASSIGN_OR_RETURN(result.remaining, AddressesOf(inside, link->index));
  if (result.remaining.empty() && spec.remove_when_empty) {
    RETURN_IF_ERROR(inside.DeleteLink(link->index));
    result.interface_present = false;
  }
  return result;
}

absl::StatusOr<SandboxInspection> InspectSandbox(absl::string_view netns_path, std::uint64_t netns_inode,
                                                 absl::string_view interface, absl::string_view proc_path) {
  SandboxInspection result;
  ASSIGN_OR_RETURN(std::optional<NetNs> ns, OpenSandbox(netns_path, netns_inode, proc_path));
  if (!ns) return result;
  result.state = SandboxState::kNoInterface;
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(*ns));
  ASSIGN_OR_RETURN(std::optional<LinkInfo> link, inside.FindLink(interface));
  if (!link || link->kind != "veth") return result;
  ASSIGN_OR_RETURN(result.addresses, AddressesOf(inside, link->index));
  result.state = SandboxState::kAttached;
  result.mac = link->mac.value_or(MacAddress());
  result.container_index = link->index;
  result.host_index = link->peer_index;
  return result;
}

absl::StatusOr<std::optional<LinkInfo>> FindHostEnd(Netlink& netlink, const NetNs& ns, const LinkInfo& interface) {
  if (interface.kind != "veth" || !interface.peer_nsid) return std::nullopt;
  ASSIGN_OR_RETURN(std::optional<LinkInfo> outer, netlink.FindLink(interface.peer_index));
  if (!outer || outer->kind != "veth" || outer->peer_index != interface.index) return std::nullopt;
  // Interface indices repeat in every namespace: the host's end must lead back to this one.
  ASSIGN_OR_RETURN(std::optional<int> nsid, netlink.NsIdOf(ns));
  if (!nsid || outer->peer_nsid != nsid) return std::nullopt;
  return outer;
}

absl::StatusOr<std::optional<EndpointEnds>> FindEndpoint(Netlink& netlink, const NetNs& ns,
                                                         absl::string_view interface) {
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(ns));
  ASSIGN_OR_RETURN(std::optional<LinkInfo> inner, inside.FindLink(interface));
  if (!inner) return std::nullopt;
  ASSIGN_OR_RETURN(std::optional<LinkInfo> outer, FindHostEnd(netlink, ns, *inner));
  if (!outer || !IsHostIfname(outer->name)) return std::nullopt;
  return EndpointEnds{*std::move(inner), *std::move(outer)};
}

absl::StatusOr<std::vector<HostEnd>> ListEndpoints(Netlink& netlink, absl::string_view bridge) {
  std::vector<HostEnd> ends;
  ASSIGN_OR_RETURN(std::optional<LinkInfo> bridge_link, netlink.FindLink(bridge));
  if (!bridge_link) return ends;
  ASSIGN_OR_RETURN(std::vector<LinkInfo> links, netlink.Links());
  for (const LinkInfo& link : links) {
    if (IsHostEnd(link) && link.master_index == bridge_link->index) ends.push_back(HostEndOf(link));
  }
  std::sort(ends.begin(), ends.end(), [](const HostEnd& a, const HostEnd& b) { return a.host_ifname < b.host_ifname; });
  return ends;
}

void VisitJoinedNetNs(Netlink& netlink, absl::string_view proc_path,
                      absl::FunctionRef<bool(const NetNs& ns, const std::string& path, int nsid)> visit) {
  std::set<std::uint64_t> visited;
  VisitNetNs(proc_path, [&](const std::string& path, std::uint64_t inode) {
    if (visited.contains(inode)) return false;
    absl::StatusOr<NetNs> ns = NetNs::Open(path);
    if (!ns.ok() || ns->inode() != inode) return false;  // it ended; another path may lead there
    visited.insert(inode);
    const absl::StatusOr<std::optional<int>> nsid = netlink.NsIdOf(*ns);
    return nsid.ok() && nsid->has_value() && visit(*ns, path, **nsid);
  });
}

std::vector<absl::StatusOr<ContainerEnd>> FindContainerEnds(Netlink& netlink, const std::vector<HostEnd>& ends,
                                                            absl::string_view proc_path) {
  std::vector<absl::StatusOr<ContainerEnd>> found;
  for (const HostEnd& end : ends)
    found.push_back(
        absl::NotFoundError(absl::StrCat("no process and no mount leads to the container of ", end.host_ifname)));
  if (ends.empty()) return found;
  std::size_t seen_count = 0;
  VisitJoinedNetNs(netlink, proc_path, [&](const NetNs& ns, const std::string& path, int nsid) {
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].container_nsid != nsid) continue;
      found[i] = LookInto(ns, path, ends[i]);
      ++seen_count;
    }
    return seen_count == ends.size();
  });
  return found;
}

}  // namespace weave
