#include "host/netlink.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "host/netlink_codec.h"
#include "host/netlink_socket.h"

namespace weave {
namespace {

// A dump that other changes keep interrupting is asked for again this often.
constexpr int kDumpAttempts = 20;

ifinfomsg LinkHeader(int index, unsigned char family = AF_UNSPEC) {
  ifinfomsg header = {};
  header.ifi_family = family;
  header.ifi_index = index;
  return header;
}

ifaddrmsg AddressHeader(int link_index, const Cidr& cidr) {
  ifaddrmsg header = {};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = static_cast<unsigned char>(cidr.prefix_length());
  header.ifa_index = static_cast<unsigned>(link_index);
  return header;
}

NetlinkRequest RouteRequest(int type, int flags, const RouteInfo& route) {
  rtmsg header = {};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = static_cast<unsigned char>(route.destination.prefix_length());
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_scope = route.link_scope ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header.rtm_protocol = RTPROT_BOOT;
  header.rtm_type = RTN_UNICAST;
  NetlinkRequest request(type, flags);
  request.Append(header).Put(RTA_DST, route.destination.address().ToBytes());
  if (route.gateway) request.Put(RTA_GATEWAY, route.gateway->ToBytes());
  request.PutU32(RTA_OIF, static_cast<std::uint32_t>(route.link_index));
  return request;
}

std::string Describe(const RouteInfo& route) {
  return absl::StrCat("route ", route.destination.ToString(),
                      route.gateway ? absl::StrCat(" via ", route.gateway->ToString()) : "");
}

std::string Index(int link_index) { return absl::StrCat("link ", link_index); }

}  // namespace

bool IsLinkName(absl::string_view name) {
  return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return c == '/' || c == ':' || c == '\0' || absl::ascii_isspace(static_cast<unsigned char>(c));
         });
}

class Netlink::Socket {
 public:
  explicit Socket(NetlinkSocket socket) : socket_(std::move(socket)) {}

  // Calls `clear` before each attempt.
  absl::Status Dump(const NetlinkRequest& request, absl::string_view what, absl::FunctionRef<void()> clear,
                    NetlinkSocket::Visitor visit) {
    absl::Status status;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
      clear();
      nlmsg_hdr(request.get())->nlmsg_seq = NL_AUTO_SEQ;
      status = socket_.Exchange(request, what, visit);
      if (!absl::IsAborted(status)) return status;
    }
    return absl::UnavailableError(status.message());
  }

  absl::StatusOr<std::optional<LinkInfo>> FindLink(const NetlinkRequest& request, absl::string_view what) {
    std::optional<LinkInfo> found;
    RETURN_IF_ERROR(socket_.Exchange(request, what,
                                     [&](const nlmsghdr& header) {
                                       if (header.nlmsg_type == RTM_NEWLINK) found = DecodeLink(header);
                                     },
                                     {ENODEV}));
    return found;
  }

  absl::Status Change(const NetlinkRequest& request, absl::string_view what, std::initializer_list<int> fine = {}) {
    return socket_.Exchange(request, what, fine);
  }

  NetlinkSocket& raw() { return socket_; }

 private:
  NetlinkSocket socket_;
};

Netlink::Netlink(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}
Netlink::Netlink(Netlink&&) noexcept = default;
Netlink& Netlink::operator=(Netlink&&) noexcept = default;
Netlink::~Netlink() = default;

absl::StatusOr<Netlink> Netlink::Open() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open());
  return Netlink(std::make_unique<Socket>(std::move(socket)));
}

absl::StatusOr<Netlink> Netlink::OpenIn(const NetNs& ns) {
  absl::StatusOr<Netlink> result = absl::InternalError("not opened");
  RETURN_IF_ERROR(RunIn(ns, [&] {
    result = Open();
    return result.status();
  }));
  return result;
}

absl::StatusOr<std::vector<LinkInfo>> Netlink::Links() {
  NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP);
  request.Append(LinkHeader(0));
  std::vector<LinkInfo> links;
  RETURN_IF_ERROR(socket_->Dump(
      request, "list links", [&] { links.clear(); },
      [&](const nlmsghdr& header) {
        if (std::optional<LinkInfo> link = DecodeLink(header); link && header.nlmsg_type == RTM_NEWLINK)
          links.push_back(*std::move(link));
      }));
  return links;
}

absl::StatusOr<std::optional<LinkInfo>> Netlink::FindLink(absl::string_view name) {
  if (!IsLinkName(name)) return std::nullopt;
  NetlinkRequest request(RTM_GETLINK, 0);
  request.Append(LinkHeader(0)).Put(IFLA_IFNAME, name);
  return socket_->FindLink(request, absl::StrCat("look up link ", name));
}

absl::StatusOr<std::optional<LinkInfo>> Netlink::FindLink(int index) {
  if (index <= 0) return std::nullopt;
  NetlinkRequest request(RTM_GETLINK, 0);
  request.Append(LinkHeader(index));
  return socket_->FindLink(request, absl::StrCat("look up ", Index(index)));
}

absl::StatusOr<std::optional<int>> Netlink::NsIdOf(const NetNs& ns) {
  NetlinkRequest request(RTM_GETNSID, 0);
  rtgenmsg header = {};
  request.Append(header).PutU32(NETNSA_FD, static_cast<std::uint32_t>(ns.fd()));
  std::optional<int> id;
  RETURN_IF_ERROR(socket_->raw().Exchange(request, "look up a namespace's number", [&](const nlmsghdr& answer) {
    const nlattr* value = nlmsg_find_attr(const_cast<nlmsghdr*>(&answer), sizeof(rtgenmsg), NETNSA_NSID);
    if (answer.nlmsg_type != RTM_NEWNSID || value == nullptr || nla_len(value) < static_cast<int>(sizeof(int))) return;
    int number;
    std::memcpy(&number, nla_data(value), sizeof number);
    if (number != NETNSA_NSID_NOT_ASSIGNED) id = number;
  }));
  return id;
}

absl::StatusOr<std::vector<InterfaceAddress>> Netlink::Addresses(int link_index) {
  NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
  ifaddrmsg header = {};
  header.ifa_family = AF_INET;
  request.Append(header);
  std::vector<InterfaceAddress> addresses;
  RETURN_IF_ERROR(socket_->Dump(
      request, "list addresses", [&] { addresses.clear(); },
      [&](const nlmsghdr& answer) {
        std::optional<InterfaceAddress> address = DecodeAddress(answer);
        if (address && (link_index == 0 || address->link_index == link_index)) addresses.push_back(*address);
      }));
  return addresses;
}

absl::StatusOr<std::vector<RouteInfo>> Netlink::Routes() {
  NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP);
  rtmsg header = {};
  header.rtm_family = AF_INET;
  request.Append(header);
  std::vector<RouteInfo> routes;
  RETURN_IF_ERROR(socket_->Dump(
      request, "list routes", [&] { routes.clear(); },
      [&](const nlmsghdr& answer) {
        if (std::optional<RouteInfo> route = DecodeRoute(answer)) routes.push_back(*route);
      }));
  return routes;
}

absl::Status Netlink::CreateBridge(absl::string_view name, const std::optional<MacAddress>& mac) {
  NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.Append(LinkHeader(0)).Put(IFLA_IFNAME, name);
  if (mac) request.Put(IFLA_ADDRESS, mac->bytes());
  request.Begin(IFLA_LINKINFO).Put(IFLA_INFO_KIND, absl::string_view("bridge")).End();
  return socket_->Change(request, absl::StrCat("create bridge ", name));
}

absl::Status Netlink::CreateVeth(const VethSpec& spec) {
  NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.Append(LinkHeader(0)).Put(IFLA_IFNAME, spec.name);
  if (spec.mtu_bytes != 0) request.PutU32(IFLA_MTU, spec.mtu_bytes);
  if (spec.master_index != 0) request.PutU32(IFLA_MASTER, static_cast<std::uint32_t>(spec.master_index));
  request.Begin(IFLA_LINKINFO).Put(IFLA_INFO_KIND, absl::string_view("veth")).Begin(IFLA_INFO_DATA);
  request.Begin(VETH_INFO_PEER).Append(LinkHeader(0)).Put(IFLA_IFNAME, spec.peer_name);
  if (spec.mtu_bytes != 0) request.PutU32(IFLA_MTU, spec.mtu_bytes);
  if (spec.peer_ns_fd >= 0) request.PutU32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.peer_ns_fd));
  request.End().End().End();
  return socket_->Change(request, absl::StrCat("create veth ", spec.name, " to ", spec.peer_name));
}

absl::Status Netlink::SetUp(int link_index, bool up) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  ifinfomsg header = LinkHeader(link_index);
  header.ifi_flags = up ? IFF_UP : 0;
  header.ifi_change = IFF_UP;
  request.Append(header);
  return socket_->Change(request, absl::StrCat("set ", Index(link_index), up ? " up" : " down"));
}

absl::Status Netlink::SetMtu(int link_index, std::uint32_t mtu_bytes) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  request.Append(LinkHeader(link_index)).PutU32(IFLA_MTU, mtu_bytes);
  return socket_->Change(request, absl::StrCat("set MTU ", mtu_bytes, " on ", Index(link_index)));
}

absl::Status Netlink::SetMac(int link_index, const MacAddress& mac) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  request.Append(LinkHeader(link_index)).Put(IFLA_ADDRESS, mac.bytes());
  return socket_->Change(request, absl::StrCat("set MAC ", mac.ToString(), " on ", Index(link_index)));
}

absl::Status Netlink::SetMaster(int link_index, int master_index) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  request.Append(LinkHeader(link_index)).PutU32(IFLA_MASTER, static_cast<std::uint32_t>(master_index));
  return socket_->Change(request, absl::StrCat("make ", Index(link_index), " a port of bridge ", Index(master_index)));
}

absl::Status Netlink::SetHairpin(int link_index, bool on) {
  NetlinkRequest request(RTM_SETLINK, 0);
  request.Append(LinkHeader(link_index, AF_BRIDGE));
  request.Begin(IFLA_PROTINFO | NLA_F_NESTED).PutU8(IFLA_BRPORT_MODE, on ? 1 : 0).End();
  return socket_->Change(request, absl::StrCat("set hairpin mode on ", Index(link_index)));
}

absl::Status Netlink::SetAlias(int link_index, absl::string_view alias) {
  CHECK(alias.size() <= kMaxLinkAliasSize) << alias;
  NetlinkRequest request(RTM_NEWLINK, 0);
  request.Append(LinkHeader(link_index)).Put(IFLA_IFALIAS, alias);
  return socket_->Change(request, absl::StrCat("set alias ", alias, " on ", Index(link_index)));
}

absl::Status Netlink::SetFrameFilter(int link_index, const std::vector<sock_filter>& program) {
  tcmsg header = {};
  header.tcm_ifindex = link_index;
  header.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  header.tcm_parent = TC_H_CLSACT;
  NetlinkRequest discipline(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  discipline.Append(header).Put(TCA_KIND, absl::string_view("clsact"));
  const std::string what = absl::StrCat("filter the frames of ", Index(link_index));
  RETURN_IF_ERROR(socket_->Change(discipline, what, {EEXIST}));

  const ByteView code(reinterpret_cast<const std::uint8_t*>(program.data()), program.size() * sizeof(sock_filter));
  const auto count = static_cast<std::uint16_t>(program.size());
  header.tcm_handle = 1;
  header.tcm_info = TC_H_MAKE(1U << 16, htons(ETH_P_ALL));  // priority and protocol
  for (const std::uint32_t direction : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
    header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction);
    NetlinkRequest filter(RTM_NEWTFILTER, NLM_F_CREATE);
    filter.Append(header).Put(TCA_KIND, absl::string_view("bpf")).Begin(TCA_OPTIONS);
    filter.Put(TCA_BPF_OPS_LEN, ByteView(reinterpret_cast<const std::uint8_t*>(&count), sizeof count));
    filter.Put(TCA_BPF_OPS, code).PutU32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT).End();
    RETURN_IF_ERROR(socket_->Change(filter, what));
  }
  return absl::OkStatus();
}

absl::Status Netlink::DeleteLink(int link_index) {
  CHECK(link_index > 0) << link_index;  // 0 would mean "any" to the kernel
  NetlinkRequest request(RTM_DELLINK, 0);
  request.Append(LinkHeader(link_index));
  return socket_->Change(request, absl::StrCat("delete ", Index(link_index)), {ENODEV});
}

absl::Status Netlink::AddAddress(int link_index, const Cidr& cidr) {
  const Bytes address = cidr.address().ToBytes();
  NetlinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  request.Append(AddressHeader(link_index, cidr)).Put(IFA_LOCAL, address).Put(IFA_ADDRESS, address);
  return socket_->Change(request, absl::StrCat("add address ", cidr.ToString(), " to ", Index(link_index)));
}

absl::Status Netlink::RemoveAddress(int link_index, const Cidr& cidr) {
  ASSIGN_OR_RETURN(std::vector<InterfaceAddress> before, Addresses(link_index));
  const Bytes address = cidr.address().ToBytes();
  NetlinkRequest request(RTM_DELADDR, 0);
  request.Append(AddressHeader(link_index, cidr)).Put(IFA_LOCAL, address).Put(IFA_ADDRESS, address);
  RETURN_IF_ERROR(socket_->Change(
      request, absl::StrCat("remove address ", cidr.ToString(), " from ", Index(link_index)), {EADDRNOTAVAIL, ENODEV}));
  // Unless net.ipv4.conf.*.promote_secondaries is set, the others of the subnet went with the first one.
  ASSIGN_OR_RETURN(std::vector<InterfaceAddress> after, Addresses(link_index));
  for (const InterfaceAddress& kept : before) {
    if (kept.cidr == cidr || std::find(after.begin(), after.end(), kept) != after.end()) continue;
    if (absl::Status status = AddAddress(link_index, kept.cidr); !status.ok() && !absl::IsAlreadyExists(status))
      return absl::IsNotFound(status) ? absl::OkStatus() : status;
  }
  return absl::OkStatus();
}

absl::Status Netlink::AddRoute(const RouteInfo& route) {
  return socket_->Change(RouteRequest(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route),
                         absl::StrCat("add ", Describe(route), " to ", Index(route.link_index)));
}

absl::Status Netlink::RemoveRoute(const RouteInfo& route) {
  return socket_->Change(RouteRequest(RTM_DELROUTE, 0, route), absl::StrCat("remove ", Describe(route)),
                         {ESRCH, ENODEV});
}

}  // namespace weave
