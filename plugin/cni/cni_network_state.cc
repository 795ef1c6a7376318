// CHECK, GC and STATUS; see cni_network.cc for ADD and DEL.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/bridge.h"
#include "host/endpoint.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_ipam.h"
#include "plugin/cni/cni_network.h"
#include "plugin/cni/cni_result.h"

namespace weave {
namespace {

absl::Status NotAsMade(const CniContext& context, absl::string_view what) {
  return CniFailure(CniCode::kNotAsMade, absl::StrCat("interface \"", context.call.interface, "\" of container ",
                                                      context.call.container_id, ": ", what));
}

// The interface of a result that is ours; null: it names none.
const v1::CniInterface* FindOurs(const CniContext& context, const v1::CniResult& result) {
  for (const v1::CniInterface& interface : result.interfaces())
    if (interface.name() == context.call.interface && !interface.sandbox().empty()) return &interface;
  return nullptr;
}

// Addresses that the result puts on our interface.
absl::StatusOr<std::vector<Cidr>> AddressesOf(const CniContext& context, const v1::CniResult& result) {
  std::vector<Cidr> addresses;
  const v1::CniInterface* const ours = FindOurs(context, result);
  for (const v1::CniIp& ip : result.ips()) {
    const bool elsewhere = ip.has_interface() && (ip.interface() < 0 || ip.interface() >= result.interfaces_size() ||
                                                  &result.interfaces(ip.interface()) != ours);
    if (elsewhere) continue;
    const absl::StatusOr<Cidr> address = Cidr::Parse(ip.address());
    if (!address.ok())
      return CniFailure(CniCode::kInvalidConfig, absl::StrCat("prevResult: ", address.status().message()));
    addresses.push_back(*address);
  }
  return addresses;
}

absl::Status CheckLinks(const CniContext& context, Netlink& netlink, const EndpointEnds& ends,
                        const v1::CniResult& result) {
  const v1::CniInterface* const ours = FindOurs(context, result);
  // Whoever changed it after us has said so in the result.
  if (ours != nullptr && !ours->mac().empty() && ends.container.mac &&
      MacAddress::Parse(ours->mac()).value_or(MacAddress()) != *ends.container.mac)
    return NotAsMade(context, absl::StrCat("its MAC is ", ends.container.mac->ToString(), ", not ", ours->mac()));
  if (!ends.container.up || !ends.host.up) return NotAsMade(context, "it is down");
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> bridge, netlink.FindLink(context.config.bridge));
  if (!bridge || ends.host.master_index != bridge->index)
    return NotAsMade(context, absl::StrCat("it is not on bridge \"", context.config.bridge, "\""));
  return absl::OkStatus();
}

absl::Status CheckInside(const CniContext& context, Netlink& inside, int link_index, const v1::CniResult& result,
                         const std::vector<Cidr>& addresses) {
  ASSIGN_OR_RETURN(const std::vector<InterfaceAddress> present, inside.Addresses(link_index));
  for (const Cidr& address : addresses)
    if (std::find(present.begin(), present.end(), InterfaceAddress{link_index, address}) == present.end())
      return NotAsMade(context, absl::StrCat("it lacks the address ", address.ToString()));
  ASSIGN_OR_RETURN(const std::vector<RouteInfo> routes, inside.Routes());
  for (const v1::CniRoute& entry : result.routes()) {
    const absl::StatusOr<EndpointRoute> wanted = ParseCniRoute(entry, "prevResult.routes");
    if (!wanted.ok()) continue;  // not IPv4: not ours
    if (std::none_of(routes.begin(), routes.end(), [&](const RouteInfo& route) {
          return route.destination == wanted->destination && (!wanted->gateway || route.gateway == wanted->gateway);
        }))
      return NotAsMade(context, absl::StrCat("its container lacks the route to ", entry.dst(),
                                             entry.gw().empty() ? "" : absl::StrCat(" via ", entry.gw())));
  }
  return absl::OkStatus();
}

absl::Status CollectInterfaces(CniContext& context) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::vector<HostEnd> ends, ListEndpoints(netlink, context.config.bridge));
  const std::vector<NetworkAttachment>& valid = *context.config.valid_attachments;
  absl::Status first;
  for (const HostEnd& end : ends) {
    const std::optional<NetworkAttachment> owner = NetworkAttachment::Parse(end.alias);
    if (!owner || owner->network != context.config.name) continue;
    if (std::find(valid.begin(), valid.end(), *owner) != valid.end()) continue;
    first.Update(RemoveInterface(context, netlink, end.host_index, end.host_ifname));
  }
  return first;
}

}  // namespace

absl::Status CheckAttachment(CniContext& context) {
  if (!context.config.prev_result)
    return CniFailure(CniCode::kInvalidConfig, "prevResult is missing: CHECK compares with what ADD returned");
  ASSIGN_OR_RETURN(const v1::CniResult result, ParseCniResult(*context.config.prev_result));
  ASSIGN_OR_RETURN(const std::vector<Cidr> addresses, AddressesOf(context, result));
  const absl::StatusOr<NetNs> ns = NetNs::Open(context.call.netns);
  if (!ns.ok()) return CniFailure(CniCode::kUnknownContainer, absl::StrCat("CNI_NETNS: ", ns.status().message()));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::optional<EndpointEnds> ends, FindEndpoint(netlink, *ns, context.call.interface));
  if (!ends) return NotAsMade(context, "it is missing, or does not lead to this host");
  RETURN_IF_ERROR(CheckLinks(context, netlink, *ends, result));
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(*ns));
  RETURN_IF_ERROR(CheckInside(context, inside, ends->container.index, result, addresses));
  return CheckAddresses(context, addresses);
}

absl::Status CollectAttachments(CniContext& context) {
  // The interfaces first, and the addresses only when they have gone: nobody gets one that is still in use.
  RETURN_IF_ERROR(CollectInterfaces(context));
  return CollectAddresses(context);
}

absl::Status CheckNetworkReady(CniContext& context) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> bridge, netlink.FindLink(context.config.bridge));
  if (!bridge)
    return CniFailure(CniCode::kUnavailable, absl::StrCat("there is no bridge \"", context.config.bridge, "\""));
  return CheckAddressesReady(context);
}

}  // namespace weave
