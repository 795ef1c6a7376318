// Flow keys, masks, actions, ports and misses as Open vSwitch's netlink attributes (linux/openvswitch.h;
// spec/overlay.md section 3, vectors/ovs_netlink.json). Decoders take any bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "fastdp/dpif.h"
#include "fastdp/flow.h"

namespace weave {

// ---- keys and actions ----

// Attributes of OVS_FLOW_ATTR_KEY, _MASK and _ACTIONS. In the key of a flow the tunnel's time to live is there, because
// the kernel wants it, and masked out; the Ethernet type is in neither. Tunnels are of IPv4.
Bytes EncodeFlowKey(const FlowKey& key);
Bytes EncodeFlowMask(const FlowKey& key);
// `upcall_pid`: port id of the netlink socket that gets what is too large for a SizedOutput.
Bytes EncodeFlowActions(const FlowActions& actions, std::uint32_t upcall_pid);

// Of a flow that matches what ours match, and not more: nothing else is masked in or has a value. None: another form.
std::optional<FlowKey> DecodeFlowKey(ByteView key, ByteView mask);
// Of a packet, which has more than we match. None: no Ethernet, no port, or a tunnel that we do not make.
std::optional<FlowKey> DecodePacketKey(ByteView key);
// None: something we do not do.
struct OvsActions {
  FlowActions actions;
  std::uint32_t upcall_pid = 0;  // as above; 0: nobody is named
};
std::optional<OvsActions> DecodeFlowActions(ByteView actions);

// ---- messages from the kernel ----

struct OvsMessage {
  std::uint8_t command = 0;
  int datapath = 0;  // index of its device
  ByteView attributes;
};
// Of the bytes behind the netlink header.
absl::StatusOr<OvsMessage> DecodeOvsMessage(ByteView payload);

// What the kernel's side of a datapath was asked for (OVS_DP_F_*).
struct OvsDatapathInfo {
  int index = 0;
  std::string name;
  std::uint32_t features = 0;
};
// Messages without a name, a number or a type are InvalidArgument. The command may be NEW where GET was asked for:
// kernels before 4.19 answer so.
absl::StatusOr<OvsDatapathInfo> DecodeOvsDatapath(const OvsMessage& message);

struct OvsVportInfo {
  int datapath = 0;  // index of its device
  Vport vport;
  std::uint32_t upcall_pid = 0;  // port id of the netlink socket that gets its misses; the first, of several
};
absl::StatusOr<OvsVportInfo> DecodeOvsVport(const OvsMessage& message);

// Of OVS_PACKET_CMD_MISS and OVS_PACKET_CMD_ACTION. InvalidArgument: another command, no packet, or a key that
// DecodePacketKey does not take.
absl::StatusOr<Upcall> DecodeOvsUpcall(const OvsMessage& message);

struct OvsFlow {
  enum class Form : std::uint8_t {
    kOurs,
    kActionsLeftOut,  // our key, but the kernel had no room for the actions in a list: ask for this flow alone
    kForeign,
  };
  Form form = Form::kForeign;
  FlowStats flow;                // of a foreign one only the counters
  std::uint32_t upcall_pid = 0;  // OvsActions
  // How the kernel knows it; valid as long as the message. One of them is there.
  ByteView key;
  ByteView ufid;
};
absl::StatusOr<OvsFlow> DecodeOvsFlow(const OvsMessage& message);

}  // namespace weave
