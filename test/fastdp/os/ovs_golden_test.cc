// Open vSwitch's netlink as 2.8 spoke it: what the kernel said is understood, and what we ask is asked in the same
// bytes.
#include <linux/openvswitch.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fastdp/os/netlink_attributes.h"
#include "fastdp/os/ovs_codec.h"
#include "fastdp/os/ovs_request.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

namespace weave {
namespace {

using Json = nlohmann::json;

const OvsRequests kRequests(OvsFamilies{30, 31, 32, 33, 1, 2});

struct Vector {
  std::size_t index = 0;
  bool from_kernel = false;
  std::string family;
  std::string command;
  Bytes payload;
  OvsMessage message;
  Json attributes;
};

std::vector<Vector> ReadVectors() {
  std::vector<Vector> result;
  const Json file = ReadGolden("ovs_netlink");
  for (const Json& json : file["vectors"]) {
    Vector vector;
    vector.index = result.size();
    vector.from_kernel = json["direction"] == "from kernel";
    vector.family = json["decoded"]["family"];
    vector.command = json["decoded"]["cmd"];
    vector.payload = FromHex(json["genl_payload"].get<std::string>()).value();
    vector.payload.resize(NLMSG_ALIGN(vector.payload.size()));  // 2.8 leaves out what pads the last attribute
    vector.attributes = json["decoded"]["attrs"];
    result.push_back(std::move(vector));
  }
  for (Vector& vector : result) vector.message = DecodeOvsMessage(vector.payload).value();
  return result;
}

ByteView Find(ByteView attributes, int type) {
  NetlinkAttributes all(attributes);
  while (const auto attribute = all.Next()) {
    if (attribute->type == type) return attribute->value;
  }
  return {};
}

// Nests of the keys, masks and actions in these messages. Actions have an order of their own.
bool IsKeyNest(int depth, int type) {
  return (depth == 0 && (type == OVS_FLOW_ATTR_KEY || type == OVS_FLOW_ATTR_MASK)) ||
         (depth == 1 && type == OVS_KEY_ATTR_TUNNEL);
}

// 2.8 writes the attributes of a key in the order of a hash table. This is the text of them in that of their numbers.
std::string Sorted(ByteView attributes, int depth = 0) {
  std::vector<std::string> texts;
  NetlinkAttributes all(attributes);
  while (const auto attribute = all.Next()) {
    texts.push_back(absl::StrCat(
        attribute->type, ":",
        IsKeyNest(depth, attribute->type) ? Sorted(attribute->value, depth + 1) : ToHex(attribute->value)));
  }
  std::sort(texts.begin(), texts.end());
  std::string result = "{";
  for (const std::string& text : texts) absl::StrAppend(&result, text, " ");
  return result + "}";
}

// Key and mask in our order, the actions in the message's: these are the same to the byte.
bool IsInOurOrder(const Vector& vector) {
  for (const int nest : {OVS_FLOW_ATTR_KEY, OVS_FLOW_ATTR_MASK}) {
    std::vector<int> types;
    NetlinkAttributes all(Find(vector.message.attributes, nest));
    while (const auto attribute = all.Next()) types.push_back(attribute->type);
    std::vector<int> ours = {OVS_KEY_ATTR_ETHERNET, OVS_KEY_ATTR_IN_PORT, OVS_KEY_ATTR_TUNNEL};
    ours.resize(types.size());
    if (types != ours) return false;
  }
  return true;
}

std::string JsonOf(const Json& attributes, const std::string& name) {
  for (const Json& attribute : attributes) {
    if (attribute[0] == name) return attribute[1].is_string() ? attribute[1].get<std::string>() : attribute[1].dump();
  }
  return "";
}

const Json& NestOf(const Json& attributes, const std::string& name) {
  static const Json kNone = Json::array();
  for (const Json& attribute : attributes) {
    if (attribute[0] == name) return attribute[1];
  }
  return kNone;
}

// The vectors' own words for what we make of a key.
std::string DescribeKey(const Json& key) {
  const Json& ethernet = NestOf(key, "ETHERNET");
  const Json& tunnel = NestOf(key, "TUNNEL");
  std::string text = absl::StrCat("in ", JsonOf(key, "IN_PORT"), " ", ethernet["src"].get<std::string>(), ">",
                                  ethernet["dst"].get<std::string>());
  if (!tunnel.empty()) {
    absl::StrAppend(&text, " tunnel ", JsonOf(tunnel, "ID"), " ", JsonOf(tunnel, "IPV4_SRC"), ">",
                    JsonOf(tunnel, "IPV4_DST"));
  }
  return text;
}

std::string Describe(const TunnelKey& tunnel) {
  return absl::StrCat(absl::Hex(tunnel.vni, absl::kZeroPad16), " ", tunnel.source.ToString(), ">",
                      tunnel.destination.ToString());
}

std::string Describe(const FlowKey& key) {
  return absl::StrCat("in ", key.in_port, " ", key.source.ToString(), ">", key.destination.ToString(),
                      key.tunnel ? " tunnel " + Describe(*key.tunnel) : "");
}

std::string DescribeActions(const Json& actions) {
  std::string text;
  for (const Json& action : actions) {
    if (action[0] == "OUTPUT") {
      absl::StrAppend(&text, "output ", action[1].get<std::uint32_t>(), " ");
    } else {
      const Json& tunnel = action[1][0][1];
      absl::StrAppend(&text, "tunnel ", JsonOf(tunnel, "ID"), " ", JsonOf(tunnel, "IPV4_SRC"), ">",
                      JsonOf(tunnel, "IPV4_DST"), " ");
    }
  }
  return text;
}

std::string Describe(const FlowActions& actions) {
  std::string text;
  for (const FlowAction& action : actions) {
    if (const auto* output = std::get_if<Output>(&action)) {
      absl::StrAppend(&text, "output ", output->port, " ");
    } else {
      absl::StrAppend(&text, "tunnel ", Describe(std::get<SetTunnel>(action).tunnel), " ");
    }
  }
  return text;
}

// None: we do not send this.
std::optional<Bytes> AskAgain(const Vector& vector) {
  const auto bytes = [](const NetlinkRequest& request) {
    const ByteView payload = request.payload();
    return Bytes(payload.begin(), payload.end());
  };
  const ByteView attributes = vector.message.attributes;
  const int datapath = vector.message.datapath;
  if (vector.family == "ovs_datapath") {
    const std::string name = DecodeOvsDatapath(vector.message).value().name;
    return bytes(vector.command == "NEW" ? kRequests.NewDatapath(name) : kRequests.GetDatapath(name));
  }
  if (vector.family == "ovs_vport" && vector.command == "SET") {
    const NetlinkAttribute number{0, Find(attributes, OVS_VPORT_ATTR_PORT_NO)};
    const NetlinkAttribute pid{0, Find(attributes, OVS_VPORT_ATTR_UPCALL_PID)};
    return bytes(kRequests.SetUpcallPid(datapath, *number.As<std::uint32_t>(), *pid.As<std::uint32_t>()));
  }
  if (vector.family == "ovs_vport" && vector.command == "NEW") {
    const NetlinkAttribute name{0, Find(attributes, OVS_VPORT_ATTR_NAME)};
    const NetlinkAttribute type{0, Find(attributes, OVS_VPORT_ATTR_TYPE)};
    const NetlinkAttribute port{0, Find(Find(attributes, OVS_VPORT_ATTR_OPTIONS), OVS_TUNNEL_ATTR_DST_PORT)};
    return bytes(
        kRequests.NewVport(datapath, name.Text(), *type.As<std::uint32_t>(), port.As<std::uint16_t>(), /*pid=*/0));
  }
  if (vector.family == "ovs_packet") {
    const auto actions = DecodeFlowActions(Find(attributes, OVS_PACKET_ATTR_ACTIONS));
    REQUIRE(actions.has_value());
    CHECK(Describe(actions->actions) == DescribeActions(NestOf(vector.attributes, "ACTIONS")));
    return bytes(
        kRequests.Execute(datapath, Find(attributes, OVS_PACKET_ATTR_PACKET), EncodeFlowActions(actions->actions, 0)));
  }
  if (vector.family == "ovs_vport") return bytes(kRequests.ListVports(datapath));
  if (vector.command == "GET") return bytes(kRequests.ListFlows(datapath));
  if (vector.command == "DEL") return std::nullopt;  // with what a list said of connection tracking
  const OvsFlow flow = DecodeOvsFlow(vector.message).value();
  REQUIRE(flow.form == OvsFlow::Form::kOurs);
  CHECK(Describe(flow.flow.key) == DescribeKey(NestOf(vector.attributes, "KEY")));
  CHECK(Describe(flow.flow.actions) == DescribeActions(NestOf(vector.attributes, "ACTIONS")));
  return bytes(kRequests.PutFlow(datapath, flow.flow.key, EncodeFlowActions(flow.flow.actions, 0)));
}

TEST_CASE("What 2.8 asked of Open vSwitch is asked in the same bytes", "[fastdp][golden]") {
  int compared = 0, same_order = 0;
  for (const Vector& vector : ReadVectors()) {
    if (vector.from_kernel) continue;
    CAPTURE(vector.index, vector.family, vector.command);
    const std::optional<Bytes> ours = AskAgain(vector);
    if (!ours.has_value()) continue;
    ++compared;
    const bool is_flow = vector.family == "ovs_flow" && vector.command == "NEW";
    if (is_flow && !IsInOurOrder(vector)) {
      CHECK(Sorted(DecodeOvsMessage(*ours)->attributes) == Sorted(vector.message.attributes));
    } else {
      ++same_order;
      CHECK(ToHex(*ours) == ToHex(vector.payload));
    }
  }
  CHECK(compared == 25);
  CHECK(same_order == 22);
}

TEST_CASE("Misses that the kernel sent up are understood", "[fastdp][golden]") {
  int count = 0;
  for (const Vector& vector : ReadVectors()) {
    if (!vector.from_kernel || vector.family != "ovs_packet") continue;
    CAPTURE(vector.index);
    ++count;
    const absl::StatusOr<Upcall> upcall = DecodeOvsUpcall(vector.message);
    REQUIRE(upcall.status() == absl::OkStatus());
    CHECK(Describe(upcall->key) == DescribeKey(NestOf(vector.attributes, "KEY")));
    const std::string frame = JsonOf(vector.attributes, "PACKET");
    if (frame.find("see genl_payload") == std::string::npos) {
      CHECK(ToHex(upcall->frame) == frame);
    } else {
      CHECK(upcall->frame.size() == 1390);
    }
  }
  CHECK(count == 3);
}

TEST_CASE("Flows that the kernel listed or confirmed are of our form", "[fastdp][golden]") {
  int count = 0;
  for (const Vector& vector : ReadVectors()) {
    if (!vector.from_kernel || vector.family != "ovs_flow") continue;
    CAPTURE(vector.index);
    ++count;
    const absl::StatusOr<OvsFlow> flow = DecodeOvsFlow(vector.message);
    REQUIRE(flow.status() == absl::OkStatus());
    REQUIRE(flow->form == OvsFlow::Form::kOurs);
    CHECK(Describe(flow->flow.key) == DescribeKey(NestOf(vector.attributes, "KEY")));
    CHECK(Describe(flow->flow.actions) == DescribeActions(NestOf(vector.attributes, "ACTIONS")));
    const bool counted = !JsonOf(vector.attributes, "STATS").empty();
    CHECK(flow->flow.used == counted);
    CHECK(flow->flow.packets == (counted ? 2 : 0));
    CHECK(flow->flow.bytes == (counted ? 180 : 0));
  }
  CHECK(count == 12);
}

TEST_CASE("Ports and datapaths of the kernel are understood", "[fastdp][golden]") {
  int vports = 0, datapaths = 0;
  for (const Vector& vector : ReadVectors()) {
    if (!vector.from_kernel) continue;
    CAPTURE(vector.index);
    if (vector.family == "ovs_datapath") {
      ++datapaths;
      const absl::StatusOr<OvsDatapathInfo> datapath = DecodeOvsDatapath(vector.message);
      REQUIRE(datapath.status() == absl::OkStatus());
      CHECK(datapath->index == 139);
      CHECK(datapath->name == "datapath");
      CHECK(datapath->features == kOvsFeatures);
    } else if (vector.family == "ovs_vport") {
      ++vports;
      const absl::StatusOr<OvsVportInfo> info = DecodeOvsVport(vector.message);
      REQUIRE(info.status() == absl::OkStatus());
      CHECK(info->datapath == 139);
      CHECK(absl::StrCat(info->vport.number) == JsonOf(vector.attributes, "PORT_NO"));
      CHECK(info->vport.name == JsonOf(vector.attributes, "NAME"));
      CHECK(absl::StrCat(info->upcall_pid) == JsonOf(vector.attributes, "UPCALL_PID"));
      const VportKind kinds[] = {VportKind::kInternal, VportKind::kNetdev, VportKind::kVxlan};
      CHECK(info->vport.kind == kinds[info->vport.number]);
      CHECK(info->vport.udp_port == (info->vport.number == 2 ? 6784 : 0));
    }
  }
  CHECK(datapaths == 2);
  CHECK(vports > 5);
}

}  // namespace
}  // namespace weave
