#include "host/endpoint.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "host/arp.h"
#include "host/bridge.h"
#include "host/datapath_port.h"
#include "host/ethtool.h"
#include "host/sysctl.h"

namespace weave {
namespace {

// How long a fresh veth pair may take until the bridge forwards for it; it takes a millisecond or two.
constexpr absl::Duration kPortPatience = absl::Seconds(1);

absl::StatusOr<Cidr> MulticastRange() { return Cidr::Parse("224.0.0.0/4"); }

absl::Status Validate(const EndpointSpec& spec) {
  if (!IsLinkName(spec.interface))
    return absl::InvalidArgumentError(absl::StrCat("interface name \"", spec.interface,
                                                   "\": want 1 to 15 characters without blanks, slashes and colons"));
  if (spec.addresses.empty()) return absl::InvalidArgumentError("no address to give to the container");
  std::set<IpAddress> seen;
  for (const Cidr& cidr : spec.addresses) {
    if (!cidr.address().IsV4())
      return absl::InvalidArgumentError(absl::StrCat("address ", cidr.ToString(), ": want an IPv4 address"));
    if (!seen.insert(cidr.address()).second)
      return absl::InvalidArgumentError(absl::StrCat("address ", cidr.ToString(), " is given twice"));
  }
  for (const EndpointRoute& route : spec.routes)
    if (!route.destination.address().IsV4() || (route.gateway && !route.gateway->IsV4()))
      return absl::InvalidArgumentError(
          absl::StrCat("route to ", route.destination.ToString(), ": want IPv4 addresses"));
  if (spec.alias.size() > kMaxLinkAliasSize)
    return absl::InvalidArgumentError(
        absl::StrCat("alias of ", spec.alias.size(), " bytes: want at most ", kMaxLinkAliasSize));
  return absl::OkStatus();
}

// One call of AttachSandbox. Each step records how to undo it; destroyed before the end of Run(), it undoes them, last
// first.
class Attachment {
 public:
  Attachment(Netlink& host, Netlink& inside, const NetNs& ns, const EndpointSpec& spec, const LinkInfo& bridge)
      : host_(host), inside_(inside), ns_(ns), spec_(spec), bridge_(bridge) {}

  ~Attachment() {
    for (auto step = undo_.rbegin(); step != undo_.rend(); ++step) (*step)();
  }

  absl::StatusOr<Endpoint> Run() {
    ASSIGN_OR_RETURN(std::optional<LinkInfo> existing, inside_.FindLink(spec_.interface));
    RETURN_IF_ERROR(existing ? Adopt(*existing) : Create());
    RETURN_IF_ERROR(ConfigureHostEnd());
    RETURN_IF_ERROR(ConfigureContainerEnd());
    RETURN_IF_ERROR(AddAddresses());
    RETURN_IF_ERROR(inside_.SetUp(container_end_.index, true));
    RETURN_IF_ERROR(AddRoutes());
    // Last: somebody waiting for the network to be ready waits for this route (as 2.8's weavewait does).
    if (spec_.multicast_route) RETURN_IF_ERROR(AddMulticastRoute());
    RETURN_IF_ERROR(Announce());
    undo_.clear();
    return Endpoint{.mac = container_end_.mac.value_or(MacAddress()),
                    .host_mac = host_end_.mac.value_or(MacAddress()),
                    .mtu_bytes = container_end_.mtu_bytes,
                    .routes = std::move(routes_),
                    .host_ifname = host_end_.name,
                    .host_index = host_end_.index,
                    .container_index = container_end_.index,
                    .created = created_};
  }

 private:
  absl::Status Create() {
    for (int variant = 0; variant < kHostIfnameVariants; ++variant) {
      const std::string name = HostIfname(spec_.sandbox.link_id, variant);
      absl::Status status = host_.CreateVeth({.name = name,
                                              .peer_name = spec_.interface,
                                              .peer_ns_fd = ns_.fd(),
                                              .mtu_bytes = spec_.mtu_bytes != 0 ? spec_.mtu_bytes : bridge_.mtu_bytes,
                                              .master_index = IsDatapath(bridge_) ? 0 : bridge_.index});
      if (absl::IsAlreadyExists(status)) {
        ASSIGN_OR_RETURN(std::optional<LinkInfo> there, inside_.FindLink(spec_.interface));
        if (there) return NotOurs("was made by somebody else just now");
        continue;  // so it is the name on the host that is taken
      }
      RETURN_IF_ERROR(status);
      created_ = true;
      RETURN_IF_ERROR(FindEnds(name));
      return JoinBridge(host_, bridge_, host_end_);
    }
    return absl::ResourceExhaustedError(absl::StrCat("all interface names for ", spec_.sandbox.display,
                                                     " are taken, from ", HostIfname(spec_.sandbox.link_id), " to ",
                                                     HostIfname(spec_.sandbox.link_id, kHostIfnameVariants - 1)));
  }

  absl::Status FindEnds(const std::string& host_ifname) {
    ASSIGN_OR_RETURN(std::optional<LinkInfo> outer, host_.FindLink(host_ifname));
    if (!outer) return Vanished();
    host_end_ = *std::move(outer);
    undo_.push_back([this] { (void)host_.DeleteLink(host_end_.index); });
    ASSIGN_OR_RETURN(std::optional<LinkInfo> inner, inside_.FindLink(spec_.interface));
    if (!inner) return Vanished();
    container_end_ = *std::move(inner);
    return spec_.alias.empty() ? absl::OkStatus() : host_.SetAlias(host_end_.index, spec_.alias);
  }

  absl::Status Adopt(const LinkInfo& existing) {
    ASSIGN_OR_RETURN(std::optional<LinkInfo> outer, FindHostEnd(host_, ns_, existing));
    if (!outer) return NotOurs("does not lead to this host");
    if (!outer->alias.empty() && outer->alias != spec_.alias) return NotOurs(absl::StrCat("is that of ", outer->alias));
    const bool orphan = outer->master_index == 0 && IsHostIfname(outer->name);
    if (outer->master_index != bridge_.index && !orphan)
      return NotOurs(absl::StrCat("is not on bridge \"", bridge_.name, "\""));
    if (outer->alias.empty() && !spec_.alias.empty()) {  // made by a call that was killed before it had said whose
      RETURN_IF_ERROR(host_.SetAlias(outer->index, spec_.alias));
      undo_.push_back([this, index = outer->index] { (void)host_.SetAlias(index, ""); });
    }
    if (orphan) {
      RETURN_IF_ERROR(JoinBridge(host_, bridge_, *outer));
      undo_.push_back([this, link = *outer] { (void)LeaveBridge(host_, bridge_, link); });
    }
    host_end_ = *std::move(outer);
    container_end_ = existing;
    return absl::OkStatus();
  }

  absl::Status ConfigureHostEnd() {
    if (host_end_.hairpin != spec_.hairpin && !IsDatapath(bridge_)) {
      RETURN_IF_ERROR(host_.SetHairpin(host_end_.index, spec_.hairpin));
      if (!created_) undo_.push_back([this] { (void)host_.SetHairpin(host_end_.index, host_end_.hairpin); });
    }
    RETURN_IF_ERROR(IgnoreRouterAdvertisements(spec_.proc_path, host_end_.name));
    return host_.SetUp(host_end_.index, true);
  }

  absl::Status ConfigureContainerEnd() {
    return RunIn(ns_, [&]() -> absl::Status {
      RETURN_IF_ERROR(IgnoreRouterAdvertisements(spec_.proc_path, spec_.interface));
      RETURN_IF_ERROR(TuneArpCache(spec_.proc_path, spec_.interface));
      if (!spec_.tx_checksum_offload) RETURN_IF_ERROR(DisableTxChecksumOffload(spec_.interface));
      return absl::OkStatus();
    });
  }

  absl::Status AddAddresses() {
    ASSIGN_OR_RETURN(std::vector<InterfaceAddress> present, inside_.Addresses());
    for (const Cidr& cidr : spec_.addresses) {
      auto holder = std::find_if(present.begin(), present.end(), [&](const InterfaceAddress& address) {
        return address.cidr.address() == cidr.address();
      });
      if (holder == present.end()) {
        RETURN_IF_ERROR(Annotate(inside_.AddAddress(container_end_.index, cidr), spec_.sandbox.display));
        if (!created_) undo_.push_back([this, cidr] { (void)inside_.RemoveAddress(container_end_.index, cidr); });
      } else if (holder->link_index != container_end_.index || holder->cidr != cidr) {
        return AddressTaken(cidr, *holder);
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddRoutes() {
    for (const EndpointRoute& wanted : spec_.routes) {
      if (wanted.gateway && !OnLink(*wanted.gateway))
        RETURN_IF_ERROR(AddRoute({Cidr(*wanted.gateway, BitCount(IpFamily::kV4)), container_end_.index, true, {}}));
      RETURN_IF_ERROR(AddRoute({wanted.destination.Network(), container_end_.index, !wanted.gateway, wanted.gateway}));
    }
    if (spec_.routes.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::vector<RouteInfo> present, inside_.Routes());
    for (const EndpointRoute& wanted : spec_.routes)
      if (std::any_of(present.begin(), present.end(), [&](const RouteInfo& route) {
            return route.link_index == container_end_.index && route.destination == wanted.destination.Network() &&
                   route.gateway == wanted.gateway;
          }))
        routes_.push_back(wanted);
    return absl::OkStatus();
  }

  bool OnLink(const IpAddress& gateway) const {
    return std::any_of(spec_.addresses.begin(), spec_.addresses.end(),
                       [&](const Cidr& address) { return address.Contains(gateway); });
  }

  absl::Status AddMulticastRoute() {
    ASSIGN_OR_RETURN(const Cidr range, MulticastRange());
    return AddRoute({range, container_end_.index, true, {}});
  }

  absl::Status AddRoute(const RouteInfo& route) {
    absl::Status status = inside_.AddRoute(route);
    if (absl::IsAlreadyExists(status)) return absl::OkStatus();  // ours, or what the container prefers
    RETURN_IF_ERROR(Annotate(status, spec_.sandbox.display));
    if (!created_) undo_.push_back([this, route] { (void)inside_.RemoveRoute(route); });
    return absl::OkStatus();
  }

  absl::Status Announce() {
    if (!container_end_.mac) return absl::OkStatus();
    // Before the bridge has noticed that its port is up, it drops what comes in there.
    for (const absl::Time deadline = absl::Now() + kPortPatience; absl::Now() < deadline;) {
      ASSIGN_OR_RETURN(std::optional<LinkInfo> port, host_.FindLink(host_end_.index));
      if (!port) return Vanished();
      if (port->operational) break;
      absl::SleepFor(absl::Milliseconds(1));
    }
    absl::Status by_kernel = RunIn(ns_, [&] { return AnnounceMacChanges(spec_.proc_path, spec_.interface); });
    // The same MAC again is a change to the kernel, which then announces all addresses of the interface. Closing a
    // packet socket of our own would wait for an RCU grace period: longer than all the rest takes.
    if (by_kernel.ok()) by_kernel = inside_.SetMac(container_end_.index, *container_end_.mac);
    return by_kernel.ok() ? absl::OkStatus() : AnnounceByHand();
  }

  absl::Status AnnounceByHand() {
    return RunIn(ns_, [&]() -> absl::Status {
      for (const Cidr& cidr : spec_.addresses)
        RETURN_IF_ERROR(AnnounceAddress(container_end_.index, *container_end_.mac, cidr.address()));
      return absl::OkStatus();
    });
  }

  absl::Status NotOurs(absl::string_view why) const {
    return absl::AlreadyExistsError(
        absl::StrCat(spec_.sandbox.display, " has an interface \"", spec_.interface, "\" already, and it ", why));
  }

  absl::Status Vanished() const {
    return absl::NotFoundError(absl::StrCat(spec_.sandbox.display, " ended while it was being attached"));
  }

  absl::Status AddressTaken(const Cidr& cidr, const InterfaceAddress& holder) {
    ASSIGN_OR_RETURN(std::optional<LinkInfo> link, inside_.FindLink(holder.link_index));
    return absl::AlreadyExistsError(absl::StrCat("cannot give ", cidr.ToString(), " to ", spec_.sandbox.display, ": ",
                                                 holder.cidr.ToString(), " is already on its interface \"",
                                                 link ? link->name : "?", "\""));
  }

  Netlink& host_;
  Netlink& inside_;
  const NetNs& ns_;
  const EndpointSpec& spec_;
  const LinkInfo bridge_;
  LinkInfo host_end_;  // as found, before any change
  LinkInfo container_end_;
  bool created_ = false;
  std::vector<EndpointRoute> routes_;
  std::vector<absl::AnyInvocable<void()>> undo_;
};

}  // namespace

absl::StatusOr<Endpoint> AttachSandbox(Netlink& netlink, const EndpointSpec& spec) {
  RETURN_IF_ERROR(Validate(spec));
  ASSIGN_OR_RETURN(std::optional<NetNs> ns,
                   OpenSandbox(spec.sandbox.netns_path, spec.sandbox.netns_inode, spec.proc_path));
  if (!ns) return absl::NotFoundError(absl::StrCat(spec.sandbox.display, " is gone"));
  ASSIGN_OR_RETURN(std::optional<LinkInfo> bridge, netlink.FindLink(spec.bridge));
  if (!bridge || !IsBridge(*bridge))
    return absl::NotFoundError(absl::StrCat("there is no bridge \"", spec.bridge, "\" to attach to"));
  ASSIGN_OR_RETURN(Netlink inside, Netlink::OpenIn(*ns));
  return Attachment(netlink, inside, *ns, spec, *bridge).Run();
}

}  // namespace weave
