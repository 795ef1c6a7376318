#include "host/netlink_codec.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace weave {
namespace {

template <int kMax>
using Attributes = std::array<nlattr*, kMax + 1>;

// libnl wants pointers to non-const; it does not write.
template <int kMax>
bool Parse(const nlmsghdr& header, std::size_t fixed_size, Attributes<kMax>& out) {
  return nlmsg_parse(const_cast<nlmsghdr*>(&header), static_cast<int>(fixed_size), out.data(), kMax, nullptr) == 0;
}

template <int kMax>
bool ParseNested(nlattr* nest, Attributes<kMax>& out) {
  return nest != nullptr && nla_parse_nested(out.data(), kMax, nest, nullptr) == 0;
}

ByteView Value(const nlattr* attribute) {
  return {static_cast<const std::uint8_t*>(nla_data(attribute)), static_cast<std::size_t>(nla_len(attribute))};
}

std::string Text(const nlattr* attribute) {
  if (attribute == nullptr) return "";
  const absl::string_view text = AsText(Value(attribute));
  return std::string(text.substr(0, text.find('\0')));
}

// Absent or too short: nullopt.
template <typename Integer>
std::optional<Integer> Number(const nlattr* attribute) {
  if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof(Integer))) return std::nullopt;
  Integer value;
  std::memcpy(&value, nla_data(attribute), sizeof value);
  return value;
}

std::optional<IpAddress> Address(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  absl::StatusOr<IpAddress> address = IpAddress::FromBytes(Value(attribute));
  if (!address.ok()) return std::nullopt;
  return *address;
}

void DecodeLinkInfo(nlattr* nest, LinkInfo& link) {
  Attributes<IFLA_INFO_MAX> info = {};
  if (!ParseNested<IFLA_INFO_MAX>(nest, info)) return;
  link.kind = Text(info[IFLA_INFO_KIND]);
  if (Text(info[IFLA_INFO_SLAVE_KIND]) != "bridge") return;
  Attributes<IFLA_BRPORT_MAX> port = {};
  if (ParseNested<IFLA_BRPORT_MAX>(info[IFLA_INFO_SLAVE_DATA], port))
    link.hairpin = Number<std::uint8_t>(port[IFLA_BRPORT_MODE]).value_or(0) != 0;
}

}  // namespace

bool IsBridgePortEvent(const nlmsghdr& header) {
  return nlmsg_datalen(&header) >= static_cast<int>(sizeof(ifinfomsg)) &&
         static_cast<const ifinfomsg*>(nlmsg_data(&header))->ifi_family == AF_BRIDGE;
}

std::optional<LinkInfo> DecodeLink(const nlmsghdr& header) {
  Attributes<IFLA_MAX> attributes = {};
  if (!Parse<IFLA_MAX>(header, sizeof(ifinfomsg), attributes)) return std::nullopt;
  const auto* fixed = static_cast<const ifinfomsg*>(nlmsg_data(&header));
  LinkInfo link;
  link.index = fixed->ifi_index;
  link.up = (fixed->ifi_flags & IFF_UP) != 0;
  link.name = Text(attributes[IFLA_IFNAME]);
  link.alias = Text(attributes[IFLA_IFALIAS]);
  if (const nlattr* mac = attributes[IFLA_ADDRESS]; mac != nullptr && nla_len(mac) == 6) {
    std::array<std::uint8_t, 6> bytes;
    std::memcpy(bytes.data(), nla_data(mac), bytes.size());
    link.mac = MacAddress(bytes);
  }
  link.mtu_bytes = Number<std::uint32_t>(attributes[IFLA_MTU]).value_or(0);
  const std::uint8_t state = Number<std::uint8_t>(attributes[IFLA_OPERSTATE]).value_or(IF_OPER_UNKNOWN);
  link.operational = link.up && (state == IF_OPER_UP || state == IF_OPER_UNKNOWN);
  link.master_index = Number<int>(attributes[IFLA_MASTER]).value_or(0);
  link.peer_index = Number<int>(attributes[IFLA_LINK]).value_or(0);
  link.peer_nsid = Number<int>(attributes[IFLA_LINK_NETNSID]);
  DecodeLinkInfo(attributes[IFLA_LINKINFO], link);
  if (fixed->ifi_family == AF_BRIDGE) {
    Attributes<IFLA_BRPORT_MAX> port = {};
    if (ParseNested<IFLA_BRPORT_MAX>(attributes[IFLA_PROTINFO], port))
      link.hairpin = Number<std::uint8_t>(port[IFLA_BRPORT_MODE]).value_or(0) != 0;
  }
  return link;
}

std::optional<InterfaceAddress> DecodeAddress(const nlmsghdr& header) {
  Attributes<IFA_MAX> attributes = {};
  if (!Parse<IFA_MAX>(header, sizeof(ifaddrmsg), attributes)) return std::nullopt;
  const auto* fixed = static_cast<const ifaddrmsg*>(nlmsg_data(&header));
  // On a point-to-point link IFA_ADDRESS is the other side.
  std::optional<IpAddress> address = Address(attributes[IFA_LOCAL]);
  if (!address) address = Address(attributes[IFA_ADDRESS]);
  if (fixed->ifa_family != AF_INET || !address || !address->IsV4() || fixed->ifa_prefixlen > 32) return std::nullopt;
  return InterfaceAddress{static_cast<int>(fixed->ifa_index), Cidr(*address, fixed->ifa_prefixlen)};
}

std::optional<RouteInfo> DecodeRoute(const nlmsghdr& header) {
  Attributes<RTA_MAX> attributes = {};
  if (!Parse<RTA_MAX>(header, sizeof(rtmsg), attributes)) return std::nullopt;
  const auto* fixed = static_cast<const rtmsg*>(nlmsg_data(&header));
  const std::uint32_t table = Number<std::uint32_t>(attributes[RTA_TABLE]).value_or(fixed->rtm_table);
  if (fixed->rtm_family != AF_INET || table != RT_TABLE_MAIN || fixed->rtm_dst_len > 32) return std::nullopt;
  RouteInfo route;
  route.destination = Cidr(Address(attributes[RTA_DST]).value_or(IpAddress()), fixed->rtm_dst_len);
  route.link_scope = fixed->rtm_scope == RT_SCOPE_LINK;
  route.gateway = Address(attributes[RTA_GATEWAY]);
  route.link_index = Number<int>(attributes[RTA_OIF]).value_or(0);
  if (const nlattr* hops = attributes[RTA_MULTIPATH];
      route.link_index == 0 && hops != nullptr && nla_len(hops) >= static_cast<int>(sizeof(rtnexthop)))
    route.link_index = static_cast<const rtnexthop*>(nla_data(hops))->rtnh_ifindex;
  return route;
}

}  // namespace weave
