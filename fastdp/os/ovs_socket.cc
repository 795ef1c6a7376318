#include "fastdp/os/ovs_socket.h"

#include <linux/netlink.h>
#include <linux/openvswitch.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fastdp/os/genl.h"
#include "host/netlink.h"

namespace weave {
namespace {

absl::StatusOr<GenlFamily> Find(NetlinkSocket& socket, absl::string_view name) {
  absl::StatusOr<GenlFamily> family = FindGenlFamily(socket, name);
  if (!absl::IsNotFound(family.status())) return family;
  return absl::NotFoundError(
      absl::StrCat("this kernel has no Open vSwitch (module openvswitch; family ", name, " of generic netlink)"));
}

absl::StatusOr<int> FindGroup(const GenlFamily& family, const std::string& name) {
  const auto found = family.groups.find(name);
  if (found != family.groups.end()) return found->second;
  return absl::NotFoundError(
      absl::StrCat("this kernel's Open vSwitch tells no changes (no multicast group ", name, ")"));
}

absl::StatusOr<OvsFamilies> FindFamilies(NetlinkSocket& socket) {
  OvsFamilies result;
  ASSIGN_OR_RETURN(const GenlFamily datapath, Find(socket, OVS_DATAPATH_FAMILY));
  ASSIGN_OR_RETURN(const GenlFamily vport, Find(socket, OVS_VPORT_FAMILY));
  ASSIGN_OR_RETURN(const GenlFamily flow, Find(socket, OVS_FLOW_FAMILY));
  ASSIGN_OR_RETURN(const GenlFamily packet, Find(socket, OVS_PACKET_FAMILY));
  ASSIGN_OR_RETURN(result.datapath_group, FindGroup(datapath, OVS_DATAPATH_MCGROUP));
  ASSIGN_OR_RETURN(result.vport_group, FindGroup(vport, OVS_VPORT_MCGROUP));
  result.datapath = datapath.id;
  result.vport = vport.id;
  result.flow = flow.id;
  result.packet = packet.id;
  return result;
}

template <typename Info>
absl::StatusOr<Info> Decode(const nlmsghdr& header, absl::StatusOr<Info> (*decode)(const OvsMessage&)) {
  ASSIGN_OR_RETURN(const OvsMessage message, DecodeOvsMessage(PayloadOf(header)));
  return decode(message);
}

// None: the kernel knows no such thing.
template <typename Info>
absl::StatusOr<std::optional<Info>> Ask(NetlinkSocket& netlink, const NetlinkRequest& request, absl::string_view what,
                                        absl::StatusOr<Info> (*decode)(const OvsMessage&)) {
  std::optional<absl::StatusOr<Info>> answer;
  RETURN_IF_ERROR(
      netlink.Exchange(request, what, [&](const nlmsghdr& header) { answer = Decode(header, decode); }, {ENODEV}));
  if (!answer.has_value()) return std::nullopt;
  RETURN_IF_ERROR(answer->status());
  return **std::move(answer);
}

}  // namespace

absl::StatusOr<OvsSocket> OvsSocket::Open() {
  constexpr int kQueueSize = 512 * 1024;  // a flow to a thousand peers, listed
  ASSIGN_OR_RETURN(NetlinkSocket netlink, NetlinkSocket::Open(NETLINK_GENERIC, kQueueSize));
  ASSIGN_OR_RETURN(const OvsFamilies families, FindFamilies(netlink));
  return OvsSocket(std::move(netlink), families);
}

absl::StatusOr<std::optional<OvsDatapathInfo>> OvsSocket::FindDatapath(absl::string_view name) {
  if (!IsLinkName(name)) return std::nullopt;
  return Ask(netlink_, requests_.GetDatapath(name), absl::StrCat("looking for the datapath ", name), DecodeOvsDatapath);
}

absl::StatusOr<std::optional<OvsVportInfo>> OvsSocket::FindVport(absl::string_view name) {
  if (!IsLinkName(name)) return std::nullopt;
  return Ask(netlink_, requests_.FindVport(name), absl::StrCat("looking for the port ", name), DecodeOvsVport);
}

absl::StatusOr<std::vector<OvsVportInfo>> OvsSocket::ListVports(int datapath) {
  std::vector<OvsVportInfo> result;
  absl::Status malformed;
  const auto visit = [&](const nlmsghdr& header) {
    absl::StatusOr<OvsVportInfo> vport = Decode(header, DecodeOvsVport);
    if (!vport.ok()) return malformed.Update(vport.status());
    result.push_back(*std::move(vport));
  };
  RETURN_IF_ERROR(netlink_.Exchange(requests_.ListVports(datapath), "listing the ports of the datapath", visit));
  RETURN_IF_ERROR(malformed);
  std::sort(result.begin(), result.end(),
            [](const OvsVportInfo& a, const OvsVportInfo& b) { return a.vport.number < b.vport.number; });
  return result;
}

}  // namespace weave
