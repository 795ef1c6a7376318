// What Open vSwitch's family numbers, lists, events and misses may look like: the first byte says which. What is taken
// for a flow of ours is ours again when it is written.
#include <linux/openvswitch.h>

#include <optional>

#include "base/check.h"
#include "fastdp/os/genl.h"
#include "fastdp/os/netlink_attributes.h"
#include "fastdp/os/ovs_codec.h"

namespace weave {
namespace {

void CheckRefusal(const absl::Status& status) {
  CHECK(status.message().size() < 200 && status.message().find('\n') == std::string::npos) << status;
}

void FuzzUpcall(const OvsMessage& message) {
  const absl::StatusOr<Upcall> upcall = DecodeOvsUpcall(message);
  if (!upcall.ok()) return CheckRefusal(upcall.status());
  CHECK(upcall->frame.size() >= 14);
  CHECK(DecodeFlowKey(EncodeFlowKey(upcall->key), EncodeFlowMask(upcall->key)) == upcall->key) << ToString(upcall->key);
}

void FuzzFlow(const OvsMessage& message) {
  const absl::StatusOr<OvsFlow> flow = DecodeOvsFlow(message);
  if (!flow.ok()) return CheckRefusal(flow.status());
  CHECK(!flow->key.empty() || !flow->ufid.empty());
  if (flow->form == OvsFlow::Form::kForeign) return;
  const FlowKey& key = flow->flow.key;
  CHECK(DecodeFlowKey(EncodeFlowKey(key), EncodeFlowMask(key)) == key) << ToString(key);
  CHECK(DecodeFlowActions(EncodeFlowActions(flow->flow.actions, flow->upcall_pid))->actions == flow->flow.actions)
      << ToString(key);
}

void FuzzVport(const OvsMessage& message) {
  const absl::StatusOr<OvsVportInfo> info = DecodeOvsVport(message);
  if (!info.ok()) return CheckRefusal(info.status());
  CHECK(!info->vport.name.empty() && info->vport.name.find('\0') == std::string::npos);
  CHECK(info->vport.udp_port == 0 || info->vport.kind == VportKind::kVxlan);
}

void FuzzFamily(ByteView payload) {
  const absl::StatusOr<GenlFamily> family = DecodeGenlFamily(payload);
  if (!family.ok()) return CheckRefusal(family.status());
  for (const auto& [name, id] : family->groups) CHECK(!name.empty() && id > 0);
}

void Fuzz(std::uint8_t what, ByteView payload) {
  if (what % 5 == 4) return FuzzFamily(payload);
  const absl::StatusOr<OvsMessage> message = DecodeOvsMessage(payload);
  if (!message.ok()) return CheckRefusal(message.status());
  switch (what % 5) {
    case 0:
      return FuzzUpcall(*message);
    case 1:
      return FuzzFlow(*message);
    case 2:
      return FuzzVport(*message);
    default:
      if (const auto datapath = DecodeOvsDatapath(*message); !datapath.ok()) CheckRefusal(datapath.status());
  }
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) weave::Fuzz(data[0], weave::ByteView(data + 1, size - 1));
  return 0;
}
