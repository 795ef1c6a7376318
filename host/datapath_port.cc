#include "host/datapath_port.h"

#include <linux/genetlink.h>
#include <linux/openvswitch.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/netlink_socket.h"

namespace weave {
namespace {

constexpr absl::string_view kDatapathLinkKind = "openvswitch";

genlmsghdr GenericHeader(std::uint8_t command, std::uint8_t version) {
  genlmsghdr header = {};
  header.cmd = command;
  header.version = version;
  return header;
}

// The kernel numbers generic families as they register.
absl::StatusOr<int> VportFamily(NetlinkSocket& socket) {
  NetlinkRequest request(GENL_ID_CTRL, 0);
  request.Append(GenericHeader(CTRL_CMD_GETFAMILY, 1)).Put(CTRL_ATTR_FAMILY_NAME, absl::string_view(OVS_VPORT_FAMILY));
  int family = 0;
  RETURN_IF_ERROR(socket.Exchange(request, "look up Open vSwitch in the kernel", [&](const nlmsghdr& answer) {
    const nlattr* id = nlmsg_find_attr(const_cast<nlmsghdr*>(&answer), sizeof(genlmsghdr), CTRL_ATTR_FAMILY_ID);
    if (id != nullptr && nla_len(id) >= static_cast<int>(sizeof(std::uint16_t))) family = nla_get_u16(id);
  }));
  if (family == 0) return absl::InternalError("look up Open vSwitch in the kernel: an answer without a number");
  return family;
}

NetlinkRequest VportRequest(int family, std::uint8_t command, const LinkInfo& datapath, const LinkInfo& interface) {
  ovs_header header = {};
  header.dp_ifindex = datapath.index;
  NetlinkRequest request(family, 0);
  request.Append(GenericHeader(command, OVS_VPORT_VERSION)).Append(header);
  request.Put(OVS_VPORT_ATTR_NAME, interface.name);
  return request;
}

}  // namespace

bool IsDatapath(const LinkInfo& link) { return link.kind == kDatapathLinkKind; }

absl::Status JoinDatapath(const LinkInfo& datapath, const LinkInfo& interface) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_GENERIC));
  ASSIGN_OR_RETURN(const int family, VportFamily(socket));
  NetlinkRequest request = VportRequest(family, OVS_VPORT_CMD_NEW, datapath, interface);
  // 0: nobody asks for its misses. Who reads the datapath's takes those of new ports, too.
  request.PutU32(OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_NETDEV).PutU32(OVS_VPORT_ATTR_UPCALL_PID, 0);
  absl::Status joined =
      socket.Exchange(request, absl::StrCat("make ", interface.name, " a port of datapath ", datapath.name));
  if (joined.ok()) return joined;
  // The kernel says the same of a port of this datapath and of a port of something else.
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> now, netlink.FindLink(interface.index));
  if (!now || now->master_index == 0) return joined;
  if (now->master_index == datapath.index) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> master, netlink.FindLink(now->master_index));
  return absl::AlreadyExistsError(absl::StrCat("cannot make \"", interface.name, "\" a port of datapath \"",
                                               datapath.name, "\": it is one of \"", master ? master->name : "?",
                                               "\""));
}

absl::Status LeaveDatapath(const LinkInfo& datapath, const LinkInfo& interface) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_GENERIC));
  const absl::StatusOr<int> family = VportFamily(socket);
  if (absl::IsNotFound(family.status())) return absl::OkStatus();
  RETURN_IF_ERROR(family.status());
  return socket.Exchange(VportRequest(*family, OVS_VPORT_CMD_DEL, datapath, interface),
                         absl::StrCat("take ", interface.name, " out of datapath ", datapath.name), {ENODEV});
}

}  // namespace weave
