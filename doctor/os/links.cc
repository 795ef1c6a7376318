// Bridge, interfaces of ours, the addresses they lead to, and routes that are in the way.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "doctor/os/gather.h"
#include "host/bridge.h"
#include "host/endpoint.h"
#include "host/netlink.h"
#include "host/router_port.h"
#include "host/routes.h"

namespace weave {
namespace {

// Of containers' interfaces until they are moved and renamed, and of what makes a bridge take a new MTU
// (spec/overlay.md section 6).
constexpr absl::string_view kContainerEndPrefixes[] = {"vethwepg", "vethwg"};
constexpr absl::string_view kMtuHelper = "vethwedu";

std::optional<LinkEnd> EndOf(const LinkInfo& link) {
  if (IsHostIfname(link.name)) return LinkEnd::kHost;
  for (const absl::string_view prefix : kContainerEndPrefixes)
    if (absl::StartsWith(link.name, prefix)) return LinkEnd::kContainer;
  if (link.name == kMtuHelper) return LinkEnd::kTemporary;
  if (link.name == kRouterBridgePort || link.name == kRouterPcapPort || link.name == kRouterDatapathPort)
    return LinkEnd::kRouter;
  return std::nullopt;
}

BridgeFacts LookAtBridge(Netlink& netlink, const GatherOptions& options, const std::vector<LinkInfo>& links) {
  BridgeFacts bridge;
  bridge.name = options.bridge;
  const absl::StatusOr<BridgeKind> kind =
      DetectBridgeKind(netlink, options.bridge, options.datapath.empty() ? kDefaultDatapath : options.datapath);
  if (kind.ok())
    bridge.kind = std::string(ToString(*kind));
  else
    bridge.error = std::string(kind.status().message());
  for (const LinkInfo& link : links) {
    if (link.name != options.bridge) continue;
    bridge.mtu_bytes = link.mtu_bytes;
    bridge.up = link.up;
  }
  return bridge;
}

// Where the other ends of containers' interfaces are, and what addresses they have.
void FollowHostEnds(Netlink& netlink, const std::vector<HostEnd>& ends, const std::string& proc_path,
                    std::map<std::string, LinkPartner>& partners, DoctorFacts& facts) {
  const std::vector<absl::StatusOr<ContainerEnd>> found = FindContainerEnds(netlink, ends, proc_path);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const std::string& name = ends[i].host_ifname;
    if (found[i].ok()) {
      partners[name] = LinkPartner::kContainer;
      for (const Cidr& address : found[i]->addresses) facts.addresses.push_back({address, name, found[i]->netns_path});
    } else if (absl::IsNotFound(found[i].status())) {
      partners[name] = LinkPartner::kLost;
    } else {
      facts.unseen.push_back(absl::StrCat("the container behind ", name, ": ", found[i].status().message()));
    }
  }
}

absl::Status LookAtLinks(const GatherOptions& options, DoctorFacts& facts) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::vector<LinkInfo> links, netlink.Links());
  facts.bridge = LookAtBridge(netlink, options, links);

  std::map<int, std::string> names;
  for (const LinkInfo& link : links) names[link.index] = link.name;
  std::vector<HostEnd> elsewhere;
  for (const LinkInfo& link : links)
    if (EndOf(link) == LinkEnd::kHost && link.peer_nsid.has_value())
      elsewhere.push_back({link.name, link.index, link.peer_index, link.alias, link.peer_nsid});
  std::map<std::string, LinkPartner> partners;
  FollowHostEnds(netlink, elsewhere, options.proc_path, partners, facts);

  for (const LinkInfo& link : links) {
    const std::optional<LinkEnd> end = EndOf(link);
    if (!end.has_value()) continue;
    LinkFacts fact{link.name, *end, link.up, names[link.master_index], partners[link.name], ""};
    const bool here = !link.peer_nsid.has_value() && link.peer_index != 0;
    if (here) fact.partner = LinkPartner::kHere;
    if (here) fact.partner_name = names[link.peer_index];
    facts.links.push_back(std::move(fact));
  }
  for (const LinkInfo& link : links) {
    if (link.name != options.bridge) continue;
    ASSIGN_OR_RETURN(const std::vector<InterfaceAddress> addresses, netlink.Addresses(link.index));
    for (const InterfaceAddress& address : addresses) facts.addresses.push_back({address.cidr, link.name, ""});
  }
  if (!options.range.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<RouteOverlap> overlap,
                   FindRouteOverlap(netlink, *options.range, options.bridge));
  if (overlap.has_value()) facts.overlap = absl::StrCat(options.range->ToString(), " and ", overlap->ToString());
  return absl::OkStatus();
}

}  // namespace

void GatherLinks(const GatherOptions& options, DoctorFacts& facts) {
  const absl::Status looked = LookAtLinks(options, facts);
  if (!looked.ok()) facts.unseen.push_back(absl::StrCat("this host's interfaces: ", looked.message()));
}

}  // namespace weave
