// Which flows count as ours, and which messages as none.
#include "fastdp/os/ovs_codec.h"

#include <linux/genetlink.h>
#include <linux/openvswitch.h>

#include <map>
#include <string>

#include "fastdp/os/genl.h"
#include "fastdp/os/netlink_attributes.h"
#include "fastdp/os/ovs_datapath.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const TunnelKey kTunnel = {0x8b32f7, IpAddress::V4(0x0a4d0002), IpAddress::V4(0x0a4d0001)};
const FlowKey kPlain = {1, std::nullopt, *MacAddress::Parse("02:00:00:00:00:0a"),
                        *MacAddress::Parse("02:00:00:00:00:0b")};
const FlowKey kTunnelled = {2, kTunnel, kPlain.destination, kPlain.source};

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

template <typename Number>
Bytes Attribute(int type, Number value) {
  NetlinkAttributeWriter out;
  out.PutNumber<Number>(type, value);
  return out.Take();
}

Bytes Nest(int type, const Bytes& inner) {
  NetlinkAttributeWriter out;
  out.Put(type, inner);
  return out.Take();
}

TEST_CASE("A flow of ours is found again in what the kernel lists", "[fastdp]") {
  for (const FlowKey& key : {kPlain, kTunnelled}) {
    CHECK(DecodeFlowKey(EncodeFlowKey(key), EncodeFlowMask(key)) == key);
    CHECK(DecodePacketKey(EncodeFlowKey(key)) == key);
  }
  for (const FlowActions& actions :
       {FlowActions{}, FlowActions{Output{1}}, FlowActions{Output{0}, SetTunnel{kTunnel}, Output{2}},
        FlowActions{Output{0}, SizedOutput{kTunnel, 2, 1390}, SizedOutput{kTunnel, 3, 8964}}}) {
    const bool sized = std::holds_alternative<SizedOutput>(actions.empty() ? FlowAction(Output{}) : actions.back());
    const auto decoded = DecodeFlowActions(EncodeFlowActions(actions, 4711));
    REQUIRE(decoded.has_value());
    CHECK((decoded->actions == actions));
    CHECK(decoded->upcall_pid == (sized ? 4711 : 0));
  }
}

TEST_CASE("Fields that a kernel lists with no value, known or not, make no difference", "[fastdp]") {
  const Bytes nothing = Attribute<std::uint32_t>(OVS_KEY_ATTR_CT_STATE, 0) + Attribute<std::uint64_t>(99, 0);
  CHECK(DecodeFlowKey(EncodeFlowKey(kPlain) + nothing, EncodeFlowMask(kPlain) + nothing) == kPlain);
}

TEST_CASE("A flow that matches more, less or something else than ours is another program's", "[fastdp]") {
  const Bytes key = EncodeFlowKey(kPlain), mask = EncodeFlowMask(kPlain);
  const Bytes ipv4 = Attribute<std::uint16_t>(OVS_KEY_ATTR_ETHERTYPE, 0x0008);
  const Bytes exact = Attribute<std::uint16_t>(OVS_KEY_ATTR_ETHERTYPE, 0xffff);
  CHECK(DecodeFlowKey(key, mask + exact) == std::nullopt);
  CHECK(DecodeFlowKey(key + ipv4, mask) == std::nullopt);  // the kernel would not find it by our key
  CHECK(DecodeFlowKey(key, Bytes()) == std::nullopt);
  CHECK(DecodeFlowKey(key, EncodeFlowMask(kTunnelled)) == std::nullopt);
  CHECK(DecodeFlowKey(EncodeFlowKey(kTunnelled), mask) == std::nullopt);
  CHECK(DecodeFlowKey(Attribute<std::uint32_t>(OVS_KEY_ATTR_IN_PORT, 1), mask) == std::nullopt);

  Bytes open_mac = mask;
  open_mac[4] = 0xfe;  // of the source
  CHECK(DecodeFlowKey(key, open_mac) == std::nullopt);
}

TEST_CASE("What is done by size is ours in one form alone", "[fastdp]") {
  const FlowActions actions = {SizedOutput{kTunnel, 2, 1390}};
  const Bytes ours = EncodeFlowActions(actions, 1);
  NetlinkAttributes check(ours);
  const ByteView view = check.Next()->value;
  const Bytes parts(view.begin(), view.end());
  const auto decode = [](const Bytes& attributes) {
    return DecodeFlowActions(Nest(OVS_ACTION_ATTR_CHECK_PKT_LEN, attributes));
  };
  CHECK((decode(parts)->actions == actions));
  const Bytes output = Attribute<std::uint32_t>(OVS_ACTION_ATTR_OUTPUT, 2);
  CHECK_FALSE(decode(parts + Nest(OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER, {})).has_value());  // dropped
  CHECK_FALSE(decode(parts + Nest(OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER, output)).has_value());
  CHECK_FALSE(decode(parts + Nest(OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL, output)).has_value());
  CHECK_FALSE(decode(parts + Attribute<std::uint32_t>(OVS_CHECK_PKT_LEN_ATTR_PKT_LEN, 1390)).has_value());
  CHECK_FALSE(decode({}).has_value());
  CHECK_FALSE(DecodeFlowActions(ours + EncodeFlowActions(actions, 2)).has_value());  // two sockets
}

TEST_CASE("Tunnels that we would not make are another program's", "[fastdp]") {
  const Bytes ours = EncodeFlowActions({SetTunnel{kTunnel}, Output{2}}, 0);
  REQUIRE(DecodeFlowActions(ours).has_value());
  NetlinkAttributes set(ours);
  NetlinkAttributes nest(set.Next()->value);
  const ByteView view = nest.Next()->value;
  const Bytes tunnel(view.begin(), view.end());
  const auto decode = [](const Bytes& attributes) {
    return DecodeFlowActions(Nest(OVS_ACTION_ATTR_SET, Nest(OVS_KEY_ATTR_TUNNEL, attributes)));
  };
  CHECK((decode(tunnel)->actions == FlowActions{SetTunnel{kTunnel}}));
  CHECK_FALSE(decode(tunnel + Nest(OVS_TUNNEL_KEY_ATTR_CSUM, {})).has_value());
  CHECK_FALSE(decode(tunnel + Attribute<std::uint16_t>(OVS_TUNNEL_KEY_ATTR_TP_DST, 6784)).has_value());
  CHECK_FALSE(decode(tunnel + Attribute<std::uint8_t>(OVS_TUNNEL_KEY_ATTR_TTL, 63)).has_value());
  const Bytes huge_id = Attribute<std::uint64_t>(OVS_TUNNEL_KEY_ATTR_ID, 1);  // 2^56, in network order
  CHECK_FALSE(decode(tunnel + huge_id).has_value());
  CHECK_FALSE(decode({}).has_value());
  CHECK_FALSE(DecodeFlowActions(ours + Attribute<std::uint32_t>(OVS_ACTION_ATTR_RECIRC, 1)).has_value());
  CHECK_FALSE(DecodeFlowActions(ours + Bytes{5}).has_value());
}

OvsMessage Message(std::uint8_t command, ByteView attributes) { return {command, 7, attributes}; }

TEST_CASE("Actions that a list has no room for are not taken for a flow that drops", "[fastdp]") {
  const Bytes key = Nest(OVS_FLOW_ATTR_KEY, EncodeFlowKey(kPlain)) + Nest(OVS_FLOW_ATTR_MASK, EncodeFlowMask(kPlain));
  CHECK(DecodeOvsFlow(Message(OVS_FLOW_CMD_NEW, key))->form == OvsFlow::Form::kActionsLeftOut);
  const Bytes drop = key + Nest(OVS_FLOW_ATTR_ACTIONS, {});
  CHECK(DecodeOvsFlow(Message(OVS_FLOW_CMD_NEW, drop))->form == OvsFlow::Form::kOurs);
  // Known by another name than its key: we could not delete it.
  const Bytes named = drop + Attribute<std::uint64_t>(OVS_FLOW_ATTR_UFID, 1);
  CHECK(DecodeOvsFlow(Message(OVS_FLOW_CMD_NEW, named))->form == OvsFlow::Form::kForeign);
  CHECK(absl::IsInvalidArgument(DecodeOvsFlow(Message(OVS_FLOW_CMD_NEW, {})).status()));
}

TEST_CASE("A miss that is no frame of ours says what is wrong", "[fastdp]") {
  const Bytes frame(60, 0x5a);
  const Bytes good = Nest(OVS_PACKET_ATTR_KEY, EncodeFlowKey(kTunnelled)) + Nest(OVS_PACKET_ATTR_PACKET, frame);
  const absl::StatusOr<Upcall> upcall = DecodeOvsUpcall(Message(OVS_PACKET_CMD_MISS, good));
  REQUIRE(upcall.status() == absl::OkStatus());
  CHECK(upcall->key == kTunnelled);
  CHECK(upcall->frame == ByteView(frame));

  CHECK(absl::IsInvalidArgument(DecodeOvsUpcall(Message(OVS_PACKET_CMD_ACTION, good)).status()));
  const Bytes no_frame = Nest(OVS_PACKET_ATTR_KEY, EncodeFlowKey(kPlain)) + Nest(OVS_PACKET_ATTR_PACKET, Bytes(13));
  CHECK(DecodeOvsUpcall(Message(OVS_PACKET_CMD_MISS, no_frame)).status().message() ==
        "openvswitch: a miss without a frame, command 1, 48 bytes of attributes");
  const Bytes no_key = Nest(OVS_PACKET_ATTR_PACKET, frame);
  CHECK(absl::IsInvalidArgument(DecodeOvsUpcall(Message(OVS_PACKET_CMD_MISS, no_key)).status()));
}

TEST_CASE("A family of generic netlink has a number, and its groups theirs", "[fastdp]") {
  const auto text = [](int type, absl::string_view value) { return Nest(type, Bytes(value.begin(), value.end())); };
  const Bytes group = text(CTRL_ATTR_MCAST_GRP_NAME, absl::string_view("ovs_vport", 10)) +
                      Attribute<std::uint32_t>(CTRL_ATTR_MCAST_GRP_ID, 9);
  const Bytes header = {CTRL_CMD_NEWFAMILY, 2, 0, 0};
  const Bytes family =
      header + Attribute<std::uint16_t>(CTRL_ATTR_FAMILY_ID, 31) + Nest(CTRL_ATTR_MCAST_GROUPS, Nest(1, group));
  const absl::StatusOr<GenlFamily> decoded = DecodeGenlFamily(family);
  REQUIRE(decoded.status() == absl::OkStatus());
  CHECK(decoded->id == 31);
  CHECK(decoded->groups == std::map<std::string, int>{{"ovs_vport", 9}});
  CHECK(absl::IsInvalidArgument(DecodeGenlFamily(header).status()));
}

// Where there is one, ovs_kernel_test shows what it does.
TEST_CASE("A kernel without Open vSwitch is said to be one, and has nothing to delete", "[fastdp]") {
  const absl::Status probe = ProbeOvs();
  if (!absl::IsFailedPrecondition(probe)) return;
  CHECK(probe.message().find("this kernel") != std::string::npos);
  CHECK(EnsureOvsDatapath("dp").status() == probe);
  CHECK(DeleteOvsDatapath("dp") == absl::OkStatus());
  CHECK(RemoveOvsPort("dp", "port") == absl::OkStatus());
}

TEST_CASE("Attributes end where they do not fit any more", "[fastdp]") {
  const Bytes two = Attribute<std::uint32_t>(1, 10) + Attribute<std::uint32_t>(2, 20);
  for (std::size_t size = 0; size <= two.size(); ++size) {
    NetlinkAttributes attributes(ByteView(two).first(size));
    std::size_t count = 0;
    while (attributes.Next()) ++count;
    CHECK(count == size / 8);
    CHECK(attributes.complete() == (size % 8 == 0));
  }
  Bytes loop = two;
  loop[0] = 0;  // a length that would never end
  CHECK_FALSE(NetlinkAttributes(loop).Next().has_value());
}

}  // namespace
}  // namespace weave
