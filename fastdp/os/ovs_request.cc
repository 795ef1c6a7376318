#include "fastdp/os/ovs_request.h"

#include <linux/genetlink.h>
#include <linux/openvswitch.h>

#include "base/check.h"
#include "fastdp/os/netlink_attributes.h"
#include "fastdp/os/ovs_codec.h"

namespace weave {
namespace {

constexpr std::size_t kRoom = 512;  // of headers, keys and names

NetlinkRequest Message(int family, int flags, int command, int version, int datapath, std::size_t more_room = 0) {
  NetlinkRequest request(family, flags, kRoom + more_room);
  request.Append(genlmsghdr{static_cast<std::uint8_t>(command), static_cast<std::uint8_t>(version), 0})
      .Append(ovs_header{datapath});
  return request;
}

NetlinkRequest DatapathMessage(const OvsFamilies& families, int command, int datapath) {
  return Message(families.datapath, NLM_F_ECHO, command, OVS_DATAPATH_VERSION, datapath);
}

NetlinkRequest VportMessage(const OvsFamilies& families, int command, int datapath, int flags = NLM_F_ECHO) {
  return Message(families.vport, flags, command, OVS_VPORT_VERSION, datapath);
}

NetlinkRequest FlowMessage(const OvsFamilies& families, int command, int datapath, int flags = 0,
                           std::size_t more_room = 0) {
  return Message(families.flow, flags, command, OVS_FLOW_VERSION, datapath, more_room);
}

}  // namespace

NetlinkRequest OvsRequests::NewDatapath(absl::string_view name) const {
  NetlinkRequest request = DatapathMessage(families_, OVS_DP_CMD_NEW, 0);
  request.Put(OVS_DP_ATTR_NAME, name).PutU32(OVS_DP_ATTR_UPCALL_PID, 0).PutU32(OVS_DP_ATTR_USER_FEATURES, kOvsFeatures);
  return request;
}

NetlinkRequest OvsRequests::GetDatapath(absl::string_view name) const {
  NetlinkRequest request = DatapathMessage(families_, OVS_DP_CMD_GET, 0);
  request.Put(OVS_DP_ATTR_NAME, name);
  return request;
}

NetlinkRequest OvsRequests::SetDatapathFeatures(int datapath) const {
  NetlinkRequest request = DatapathMessage(families_, OVS_DP_CMD_SET, datapath);
  request.PutU32(OVS_DP_ATTR_USER_FEATURES, kOvsFeatures);
  return request;
}

NetlinkRequest OvsRequests::DeleteDatapath(absl::string_view name) const {
  NetlinkRequest request = DatapathMessage(families_, OVS_DP_CMD_DEL, 0);
  request.Put(OVS_DP_ATTR_NAME, name);
  return request;
}

NetlinkRequest OvsRequests::NewVport(int datapath, absl::string_view name, std::uint32_t type,
                                     std::optional<std::uint16_t> udp_port, std::uint32_t upcall_pid) const {
  NetlinkAttributeWriter options;
  if (udp_port.has_value()) options.PutNumber<std::uint16_t>(OVS_TUNNEL_ATTR_DST_PORT, *udp_port);
  NetlinkRequest request = VportMessage(families_, OVS_VPORT_CMD_NEW, datapath);
  request.Put(OVS_VPORT_ATTR_NAME, name)
      .PutU32(OVS_VPORT_ATTR_TYPE, type)
      .Put(OVS_VPORT_ATTR_OPTIONS, ByteView(options.Take()))
      .PutU32(OVS_VPORT_ATTR_UPCALL_PID, upcall_pid);
  return request;
}

NetlinkRequest OvsRequests::ListVports(int datapath) const {
  return VportMessage(families_, OVS_VPORT_CMD_GET, datapath, NLM_F_DUMP);
}

NetlinkRequest OvsRequests::FindVport(absl::string_view name) const {
  NetlinkRequest request = VportMessage(families_, OVS_VPORT_CMD_GET, 0);
  request.Put(OVS_VPORT_ATTR_NAME, name);
  return request;
}

NetlinkRequest OvsRequests::SetUpcallPid(int datapath, VportNumber number, std::uint32_t pid) const {
  NetlinkRequest request = VportMessage(families_, OVS_VPORT_CMD_SET, datapath);
  request.PutU32(OVS_VPORT_ATTR_PORT_NO, number).PutU32(OVS_VPORT_ATTR_UPCALL_PID, pid);
  return request;
}

NetlinkRequest OvsRequests::DeleteVport(int datapath, absl::string_view name) const {
  NetlinkRequest request = VportMessage(families_, OVS_VPORT_CMD_DEL, datapath);
  request.Put(OVS_VPORT_ATTR_NAME, name);
  return request;
}

NetlinkRequest OvsRequests::PutFlow(int datapath, const FlowKey& key, ByteView actions) const {
  NetlinkRequest request = FlowMessage(families_, OVS_FLOW_CMD_NEW, datapath, 0, actions.size());
  request.Put(OVS_FLOW_ATTR_KEY, ByteView(EncodeFlowKey(key)))
      .Put(OVS_FLOW_ATTR_MASK, ByteView(EncodeFlowMask(key)))
      .Put(OVS_FLOW_ATTR_ACTIONS, actions);
  return request;
}

NetlinkRequest OvsRequests::GetFlow(int datapath, ByteView key) const {
  NetlinkRequest request = FlowMessage(families_, OVS_FLOW_CMD_GET, datapath, 0, key.size());
  request.Put(OVS_FLOW_ATTR_KEY, key);
  return request;
}

NetlinkRequest OvsRequests::ListFlows(int datapath) const {
  return FlowMessage(families_, OVS_FLOW_CMD_GET, datapath, NLM_F_DUMP);
}

NetlinkRequest OvsRequests::ClearFlowStats(int datapath, const FlowKey& key) const {
  NetlinkRequest request = FlowMessage(families_, OVS_FLOW_CMD_SET, datapath);
  request.Put(OVS_FLOW_ATTR_KEY, ByteView(EncodeFlowKey(key)))
      .Put(OVS_FLOW_ATTR_MASK, ByteView(EncodeFlowMask(key)))
      .Put(OVS_FLOW_ATTR_CLEAR, ByteView());
  return request;
}

NetlinkRequest OvsRequests::DeleteFlow(int datapath, int attribute, ByteView value) const {
  CHECK((attribute == OVS_FLOW_ATTR_KEY || attribute == OVS_FLOW_ATTR_UFID) && !value.empty()) << attribute;
  NetlinkRequest request = FlowMessage(families_, OVS_FLOW_CMD_DEL, datapath, 0, value.size());
  request.Put(attribute, value);
  return request;
}

NetlinkRequest OvsRequests::Execute(int datapath, ByteView frame, ByteView actions) const {
  NetlinkRequest request =
      Message(families_.packet, 0, OVS_PACKET_CMD_EXECUTE, OVS_PACKET_VERSION, datapath, frame.size() + actions.size());
  request.Put(OVS_PACKET_ATTR_PACKET, frame).Put(OVS_PACKET_ATTR_KEY, ByteView()).Put(OVS_PACKET_ATTR_ACTIONS, actions);
  return request;
}

}  // namespace weave
