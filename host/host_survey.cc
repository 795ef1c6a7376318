#include "host/host_survey.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

// The container's end of `host` among all that is in its namespace; none: it went elsewhere just now.
std::optional<ContainerEnd> FindEnd(const HostEnd& host, const NetNs& ns, const std::string& path,
                                    const std::vector<LinkInfo>& links,
                                    const std::vector<InterfaceAddress>& addresses) {
  for (const LinkInfo& link : links) {
    if (link.index != host.container_index || link.kind != "veth" || link.peer_index != host.host_index) continue;
    ContainerEnd end{path, ns.inode(), link.name, link.mac.value_or(MacAddress()), {}};
    for (const InterfaceAddress& address : addresses)
      if (address.link_index == link.index) end.addresses.push_back(address.cidr);
    return end;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::optional<HostSurvey>> SurveyHost(Netlink& netlink, absl::string_view bridge,
                                                     absl::string_view known_ports, bool thorough,
                                                     absl::string_view proc_path) {
  HostSurvey survey;
  ASSIGN_OR_RETURN(std::vector<LinkInfo> links, netlink.Links());
  std::sort(links.begin(), links.end(), [](const LinkInfo& a, const LinkInfo& b) { return a.name < b.name; });
  const auto bridge_link =
      std::find_if(links.begin(), links.end(), [&](const LinkInfo& link) { return link.name == bridge; });
  std::vector<HostSurvey::Port> all;
  std::set<int> in_bridge;  // indices
  for (const LinkInfo& link : links) {
    if (!IsHostEnd(link)) continue;
    all.push_back({HostEndOf(link), std::nullopt});
    if (bridge_link != links.end() && link.master_index == bridge_link->index) in_bridge.insert(link.index);
    if (!link.alias.empty()) survey.aliases.insert(link.alias);
    absl::StrAppend(&survey.ports_digest, link.name, " ", link.index, " ", link.peer_index, " ",
                    link.peer_nsid.value_or(-1), " ", link.master_index, " ", link.alias, "\n");
  }
  if (!thorough && survey.ports_digest == known_ports) return std::nullopt;

  ASSIGN_OR_RETURN(const std::vector<InterfaceAddress> own, netlink.Addresses());
  for (const InterfaceAddress& address : own) survey.present.insert(address.cidr.address());
  VisitJoinedNetNs(netlink, proc_path, [&](const NetNs& ns, const std::string& path, int nsid) {
    absl::StatusOr<Netlink> inside = Netlink::OpenIn(ns);
    if (!inside.ok()) return false;
    const absl::StatusOr<std::vector<LinkInfo>> inner = inside->Links();
    const absl::StatusOr<std::vector<InterfaceAddress>> addresses = inside->Addresses();
    if (!inner.ok() || !addresses.ok()) return false;
    for (const InterfaceAddress& address : *addresses) survey.present.insert(address.cidr.address());
    for (HostSurvey::Port& port : all)
      if (port.host.container_nsid == nsid) port.container = FindEnd(port.host, ns, path, *inner, *addresses);
    return false;
  });
  for (HostSurvey::Port& port : all) {
    if (port.host.container_nsid.has_value() && !port.container.has_value()) survey.complete = false;
    if (in_bridge.contains(port.host.host_index)) survey.ports.push_back(std::move(port));
  }
  return survey;
}

}  // namespace weave
