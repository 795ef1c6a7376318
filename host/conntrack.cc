#include "host/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>

#include <cerrno>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "host/netlink_socket.h"

namespace weave {
namespace {

// What names a flow to the kernel. Attributes as they came: the kernel made them.
struct Flow {
  Bytes original;  // CTA_TUPLE_ORIG
  Bytes zone;      // CTA_ZONE; empty: the default
  Bytes id;        // CTA_ID: not a later flow between the same ends
};

NetlinkRequest Request(int message, int flags) {
  NetlinkRequest request(NFNL_SUBSYS_CTNETLINK << 8 | message, flags);
  nfgenmsg header = {};
  header.nfgen_family = AF_INET;
  header.version = NFNETLINK_V0;
  request.Append(header);
  return request;
}

Bytes Copy(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* data = static_cast<const std::uint8_t*>(nla_data(attribute));
  return Bytes(data, data + nla_len(attribute));
}

bool IsUdpTo(const nlattr* tuple, std::uint16_t port) {
  const auto find = [](const nlattr* nest, int type) -> const nlattr* {
    if (nest == nullptr) return nullptr;
    return nla_find(static_cast<const nlattr*>(nla_data(nest)), nla_len(nest), type);
  };
  const nlattr* const proto = find(tuple, CTA_TUPLE_PROTO);
  const nlattr* const number = find(proto, CTA_PROTO_NUM);
  const nlattr* const to = find(proto, CTA_PROTO_DST_PORT);
  return number != nullptr && nla_len(number) >= 1 && nla_get_u8(number) == IPPROTO_UDP && to != nullptr &&
         nla_len(to) >= 2 && ntohs(nla_get_u16(to)) == port;
}

}  // namespace

absl::StatusOr<std::size_t> ForgetUdpFlowsTo(std::uint16_t port) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  std::vector<Flow> flows;
  RETURN_IF_ERROR(
      socket.Exchange(Request(IPCTNL_MSG_CT_GET, NLM_F_DUMP), "list the tracked flows", [&](const nlmsghdr& message) {
        constexpr int kHeaderSize = sizeof(nfgenmsg);
        const auto attribute = [&](int type) {
          return nlmsg_find_attr(const_cast<nlmsghdr*>(&message), kHeaderSize, type);
        };
        const nlattr* const original = attribute(CTA_TUPLE_ORIG);
        if (!IsUdpTo(original, port)) return;
        flows.push_back({Copy(original), Copy(attribute(CTA_ZONE)), Copy(attribute(CTA_ID))});
      }));
  for (const Flow& flow : flows) {
    NetlinkRequest request = Request(IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
    request.Put(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.original);
    if (!flow.zone.empty()) request.Put(CTA_ZONE, flow.zone);
    if (!flow.id.empty()) request.Put(CTA_ID, flow.id);
    RETURN_IF_ERROR(socket.Exchange(request, "forget a tracked flow", {ENOENT}));
  }
  return flows.size();
}

}  // namespace weave
