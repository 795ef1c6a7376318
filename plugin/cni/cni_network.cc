// ADD and DEL; the other commands are in cni_network_state.cc.
#include "plugin/cni/cni_network.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/bridge.h"
#include "host/endpoint.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_ipam.h"
#include "plugin/cni/cni_result.h"

namespace weave {
namespace {

// 2.8 makes up a name for shorter ids, which tell too little (spec/control.md section 8.4).
constexpr std::size_t kMinLinkIdSize = 5;

absl::StatusOr<NetNs> OpenContainer(const CniCall& call) {
  absl::StatusOr<NetNs> ns = NetNs::Open(call.netns);
  if (absl::IsNotFound(ns.status()))
    return CniFailure(CniCode::kUnknownContainer, absl::StrCat("CNI_NETNS: ", ns.status().message()));
  if (!ns.ok()) return CniFailure(CniCode::kInvalidEnvironment, absl::StrCat("CNI_NETNS: ", ns.status().message()));
  ASSIGN_OR_RETURN(const NetNs own, NetNs::Current());
  if (ns->SameAs(own))
    return CniFailure(CniCode::kInvalidEnvironment,
                      absl::StrCat("CNI_NETNS: ", call.netns, " is the host's own network namespace"));
  return ns;
}

Sandbox SandboxOf(const CniContext& context, const NetNs& ns) {
  Sandbox sandbox = {.ident = context.holder(),
                     .netns_path = context.call.netns,
                     .netns_inode = ns.inode(),
                     .display = absl::StrCat("container ", context.call.container_id.substr(0, 12)),
                     .link_id = context.call.container_id};
  if (sandbox.link_id.size() < kMinLinkIdSize) sandbox.link_id = absl::StrCat(ns.inode());
  return sandbox;
}

// The bridge's own address is the containers' way out; a bridge without one gets one (spec/control.md section 8.4).
absl::StatusOr<IpAddress> GatewayOf(CniContext& context, Netlink& netlink, const Cidr& address) {
  ASSIGN_OR_RETURN(std::vector<Cidr> candidates, ListBridgeAddresses(netlink, context.config.bridge));
  if (candidates.empty()) {
    ASSIGN_OR_RETURN(PeerClient* const peer, PeerOf(context));
    v1::ExposeRequest request;
    const bool own_subnet = context.config.ipam_type.empty() && context.config.ipam.fields().contains("subnet");
    request.add_addresses(own_subnet ? absl::StrCat("net:", address.Network().ToString()) : "net:default");
    RETURN_IF_ERROR(Annotate(peer->Expose(request).status(), "cannot give the bridge an address"));
    ASSIGN_OR_RETURN(candidates, ListBridgeAddresses(netlink, context.config.bridge));
  }
  if (candidates.empty())
    return CniFailure(CniCode::kInvalidConfig, absl::StrCat("bridge \"", context.config.bridge,
                                                            "\" has no address and is not the peer's: want "
                                                            "ipam.gateway or ipam.routes"));
  const auto near = std::find_if(candidates.begin(), candidates.end(),
                                 [&](const Cidr& candidate) { return address.Contains(candidate.address()); });
  return (near == candidates.end() ? candidates.front() : *near).address();
}

// Routes as they are to be made: a way for each.
absl::StatusOr<std::vector<EndpointRoute>> PlanRoutes(const v1::CniResult& result) {
  std::optional<IpAddress> gateway;
  for (const v1::CniIp& ip : result.ips()) {
    if (gateway || ip.gateway().empty()) continue;
    const absl::StatusOr<IpAddress> given = IpAddress::Parse(ip.gateway());
    if (!given.ok()) return CniFailure(CniCode::kFailed, absl::StrCat("gateway: ", given.status().message()));
    gateway = *given;
  }
  std::vector<EndpointRoute> routes;
  if (result.routes().empty()) routes.push_back({Cidr(IpAddress(), 0), gateway});
  for (const v1::CniRoute& entry : result.routes()) {
    ASSIGN_OR_RETURN(EndpointRoute route, ParseCniRoute(entry, "routes"));
    if (!route.gateway) route.gateway = gateway;
    routes.push_back(route);
  }
  return routes;
}

// What the runtime is told of the interface, behind what plugins before us made.
absl::StatusOr<v1::CniResult> Describe(const CniContext& context, const v1::CniResult& given,
                                       const Endpoint& endpoint) {
  v1::CniResult result;
  if (context.config.prev_result) {
    ASSIGN_OR_RETURN(result, ParseCniResult(*context.config.prev_result));
  }
  v1::CniInterface& outer = *result.add_interfaces();
  outer.set_name(endpoint.host_ifname);
  outer.set_mac(endpoint.host_mac.ToString());
  outer.set_mtu(endpoint.mtu_bytes);
  v1::CniInterface& inner = *result.add_interfaces();
  inner.set_name(context.call.interface);
  inner.set_mac(endpoint.mac.ToString());
  inner.set_mtu(endpoint.mtu_bytes);
  inner.set_sandbox(context.call.netns);
  for (v1::CniIp ip : given.ips()) {
    ip.set_interface(result.interfaces_size() - 1);
    *result.add_ips() = std::move(ip);
  }
  for (const EndpointRoute& route : endpoint.routes) {
    v1::CniRoute& entry = *result.add_routes();
    entry.set_dst(route.destination.ToString());
    if (route.gateway) entry.set_gw(route.gateway->ToString());
  }
  const bool configured = context.config.dns.ByteSizeLong() > 0;
  *result.mutable_dns() = configured ? context.config.dns : given.dns();
  return result;
}

absl::StatusOr<v1::CniResult> AttachWith(CniContext& context, Netlink& netlink, const NetNs& ns, v1::CniResult given,
                                         bool confirm) {
  EndpointSpec spec;
  spec.sandbox = SandboxOf(context, ns);
  spec.bridge = context.config.bridge;
  spec.interface = context.call.interface;
  for (const v1::CniIp& ip : given.ips()) {
    ASSIGN_OR_RETURN(const Cidr address, Cidr::Parse(ip.address()));
    spec.addresses.push_back(address);
  }
  if (given.routes().empty() && given.ips(0).gateway().empty()) {
    ASSIGN_OR_RETURN(const IpAddress gateway, GatewayOf(context, netlink, spec.addresses.front()));
    given.mutable_ips(0)->set_gateway(gateway.ToString());
  }
  ASSIGN_OR_RETURN(spec.routes, PlanRoutes(given));
  spec.mtu_bytes = context.config.mtu_bytes;
  spec.multicast_route = false;
  spec.hairpin = context.config.hairpin;
  spec.tx_checksum_offload = true;  // the peer completes checksums
  spec.alias = context.holder();
  ASSIGN_OR_RETURN(const Endpoint endpoint, AttachSandbox(netlink, spec));
  // The peer takes back what it sees on no interface for long: whoever was held up must not use it.
  const absl::Status confirmed = confirm ? ConfirmAddresses(context, spec.addresses) : absl::OkStatus();
  if (!confirmed.ok()) {
    if (const absl::Status undone = netlink.DeleteLink(endpoint.host_index); !undone.ok())
      context.err << "weave-cni: " << undone.message() << "\n";
    return confirmed;
  }
  return Describe(context, given, endpoint);
}

// Of an interface that a former call left: true when it has an address that is not the attachment's any more, and that
// somebody else may get.
absl::StatusOr<bool> IsOutdated(const NetNs& ns, const EndpointEnds& ends, const v1::CniResult& given) {
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(ns));
  ASSIGN_OR_RETURN(const std::vector<InterfaceAddress> present, inside.Addresses(ends.container.index));
  return std::any_of(present.begin(), present.end(), [&](const InterfaceAddress& address) {
    return std::none_of(given.ips().begin(), given.ips().end(),
                        [&](const v1::CniIp& ip) { return ip.address() == address.cidr.ToString(); });
  });
}

// Whether the interface is the attachment's, as far as can be told: 2.8 left no note, nor does `weave attach`.
bool IsAttachments(const CniContext& context, absl::string_view alias) {
  if (alias.empty()) return context.call.interface != kContainerInterface;
  const std::optional<NetworkAttachment> owner = NetworkAttachment::Parse(alias);
  return owner && owner->container_id == context.call.container_id && owner->interface == context.call.interface &&
         (context.config.name.empty() || owner->network == context.config.name);
}

// True: the interface was there, by its name in the container, and is gone.
absl::StatusOr<bool> RemoveInside(CniContext& context, Netlink& netlink) {
  if (context.call.netns.empty()) return false;
  const absl::StatusOr<NetNs> ns = NetNs::Open(context.call.netns);
  if (absl::IsNotFound(ns.status()) || absl::IsInvalidArgument(ns.status())) return false;  // it ended
  if (!ns.ok()) return ns.status();
  ASSIGN_OR_RETURN(const std::optional<EndpointEnds> ends, FindEndpoint(netlink, *ns, context.call.interface));
  if (!ends || !IsAttachments(context, ends->host.alias)) return false;
  RETURN_IF_ERROR(RemoveInterface(context, netlink, ends->host.index, ends->host.name));
  return true;
}

// The namespace may live on under another path, and with it an address that is about to be freed.
absl::Status RemoveByAlias(CniContext& context, Netlink& netlink) {
  ASSIGN_OR_RETURN(const std::vector<HostEnd> ends, ListEndpoints(netlink, context.config.bridge));
  for (const HostEnd& end : ends)
    if (!end.alias.empty() && IsAttachments(context, end.alias))
      RETURN_IF_ERROR(RemoveInterface(context, netlink, end.host_index, end.host_ifname));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::CniResult> AddAttachment(CniContext& context) {
  RETURN_IF_ERROR(CheckForAdd(context.config));
  ASSIGN_OR_RETURN(const NetNs ns, OpenContainer(context.call));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(std::optional<EndpointEnds> existing, FindEndpoint(netlink, ns, context.call.interface));
  if (existing && existing->host.alias.empty() && context.call.interface == kContainerInterface)
    return CniFailure(CniCode::kFailed, absl::StrCat("container ", context.call.container_id, " has an interface \"",
                                                     kContainerInterface, "\" of 'weave attach' already"));
  ASSIGN_OR_RETURN(v1::CniResult given, AcquireAddresses(context, existing && existing->host.alias.empty()));
  if (existing && existing->host.alias == context.holder()) {
    ASSIGN_OR_RETURN(const bool outdated, IsOutdated(ns, *existing, given));
    if (outdated) {
      RETURN_IF_ERROR(netlink.DeleteLink(existing->host.index));
      existing.reset();
    }
  }
  absl::StatusOr<v1::CniResult> result = AttachWith(context, netlink, ns, std::move(given), /*confirm=*/!existing);
  if (result.ok() || existing) return result;
  if (const absl::Status undone = ReleaseAddresses(context); !undone.ok())
    context.err << "weave-cni: " << undone.message() << "\n";
  return result;
}

absl::Status RemoveAttachment(CniContext& context) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  // gRPC prepares the connection while we look for the interface, which goes first, peer or no peer.
  (void)PeerOf(context);
  ASSIGN_OR_RETURN(const bool removed, RemoveInside(context, netlink));
  if (!removed) RETURN_IF_ERROR(RemoveByAlias(context, netlink));
  return ReleaseAddresses(context);
}

}  // namespace weave
