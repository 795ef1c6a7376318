#include "fastdp/os/ovs_codec.h"

#include <linux/genetlink.h>
#include <linux/openvswitch.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fastdp/os/netlink_attributes.h"

namespace weave {
namespace {

constexpr std::uint8_t kTunnelTtl = 64;

using EthernetKey = std::array<std::uint8_t, sizeof(ovs_key_ethernet)>;
using TunnelId = std::array<std::uint8_t, 8>;  // big-endian

TunnelId ToTunnelId(std::uint32_t vni) {
  TunnelId id = {};
  for (std::size_t i = id.size(); i-- > 0; vni >>= 8) id[i] = static_cast<std::uint8_t>(vni);
  return id;
}

std::optional<std::uint32_t> FromTunnelId(ByteView id) {
  if (id.size() != sizeof(TunnelId) || std::any_of(id.begin(), id.begin() + 5, [](std::uint8_t each) { return each; }))
    return std::nullopt;
  return id[5] << 16 | id[6] << 8 | id[7];
}

void PutAddress(NetlinkAttributeWriter& out, int type, const IpAddress& address) {
  CHECK(address.IsV4()) << address.ToString();
  const std::uint32_t value = address.v4();
  const std::array<std::uint8_t, 4> bytes = {static_cast<std::uint8_t>(value >> 24),
                                             static_cast<std::uint8_t>(value >> 16),
                                             static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
  out.Put(type, bytes);
}

std::optional<IpAddress> ReadAddress(ByteView bytes) {
  if (bytes.size() != 4) return std::nullopt;
  return IpAddress::V4(std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
                       bytes[3]);
}

void PutTunnel(NetlinkAttributeWriter& out, const TunnelKey& tunnel) {
  CHECK(tunnel.vni < 1u << 24) << tunnel.vni;
  out.Put(OVS_TUNNEL_KEY_ATTR_ID, ToTunnelId(tunnel.vni));
  PutAddress(out, OVS_TUNNEL_KEY_ATTR_IPV4_SRC, tunnel.source);
  PutAddress(out, OVS_TUNNEL_KEY_ATTR_IPV4_DST, tunnel.destination);
}

Bytes EncodeSetTunnel(const TunnelKey& tunnel) {
  NetlinkAttributeWriter inner;
  PutTunnel(inner, tunnel);
  inner.PutNumber<std::uint8_t>(OVS_TUNNEL_KEY_ATTR_TOS, 0)
      .PutNumber<std::uint8_t>(OVS_TUNNEL_KEY_ATTR_TTL, kTunnelTtl)
      .PutFlag(OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT);
  NetlinkAttributeWriter set;
  set.Put(OVS_KEY_ATTR_TUNNEL, inner.Take());
  return set.Take();
}

Bytes EncodeSized(const SizedOutput& sized, std::uint32_t upcall_pid) {
  NetlinkAttributeWriter up, too_large, fits, check;
  up.PutNumber<std::uint32_t>(OVS_USERSPACE_ATTR_PID, upcall_pid)
      .PutNumber<std::uint32_t>(OVS_USERSPACE_ATTR_USERDATA, sized.tunnel.vni);
  too_large.Put(OVS_ACTION_ATTR_USERSPACE, up.Take());
  fits.Put(OVS_ACTION_ATTR_SET, EncodeSetTunnel(sized.tunnel))
      .PutNumber<std::uint32_t>(OVS_ACTION_ATTR_OUTPUT, sized.port);
  check.PutNumber<std::uint16_t>(OVS_CHECK_PKT_LEN_ATTR_PKT_LEN, sized.max_frame_size)
      .Put(OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER, too_large.Take())
      .Put(OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL, fits.Take());
  return check.Take();
}

// The attributes of a tunnel, in a key, a mask or an action: ours, and whether there is anything besides.
struct TunnelParts {
  ByteView id, source, destination;
  std::uint8_t ttl = 0;
  bool dont_fragment = false;
  bool others = false;  // that have a value or are flags
};

TunnelParts ReadTunnel(ByteView bytes) {
  TunnelParts parts;
  NetlinkAttributes attributes(bytes);
  while (const auto attribute = attributes.Next()) {
    switch (attribute->type) {
      case OVS_TUNNEL_KEY_ATTR_ID:
        parts.id = attribute->value;
        break;
      case OVS_TUNNEL_KEY_ATTR_IPV4_SRC:
        parts.source = attribute->value;
        break;
      case OVS_TUNNEL_KEY_ATTR_IPV4_DST:
        parts.destination = attribute->value;
        break;
      case OVS_TUNNEL_KEY_ATTR_TTL:
        parts.ttl = attribute->As<std::uint8_t>().value_or(0xff);
        break;
      case OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT:
        parts.dont_fragment = true;
        break;
      case OVS_TUNNEL_KEY_ATTR_PAD:
        break;
      default:  // no value: a flag
        parts.others |= attribute->value.empty() || !attribute->IsAll(0);
    }
  }
  parts.others |= !attributes.complete();
  return parts;
}

std::optional<TunnelKey> ToTunnelKey(const TunnelParts& parts) {
  const auto vni = FromTunnelId(parts.id);
  const auto source = ReadAddress(parts.source);
  const auto destination = ReadAddress(parts.destination);
  if (!vni.has_value() || !source.has_value() || !destination.has_value()) return std::nullopt;
  return TunnelKey{*vni, *source, *destination};
}

// The attributes of a key or a mask: ours, and whether any other has a value.
struct KeyParts {
  std::optional<std::uint32_t> in_port;
  ByteView ethernet;
  std::optional<ByteView> tunnel;
  bool others = false;
};

KeyParts ReadKey(ByteView bytes) {
  KeyParts parts;
  NetlinkAttributes attributes(bytes);
  while (const auto attribute = attributes.Next()) {
    switch (attribute->type) {
      case OVS_KEY_ATTR_IN_PORT:
        parts.in_port = attribute->As<std::uint32_t>();
        break;
      case OVS_KEY_ATTR_ETHERNET:
        parts.ethernet = attribute->value;
        break;
      case OVS_KEY_ATTR_TUNNEL:
        parts.tunnel = attribute->value;
        break;
      default:  // connection tracking and the like, of which kernels list more and more
        parts.others |= !attribute->IsAll(0);
    }
  }
  parts.others |= !attributes.complete();
  return parts;
}

std::optional<FlowKey> ToFlowKey(const KeyParts& parts) {
  if (!parts.in_port.has_value() || parts.ethernet.size() != sizeof(EthernetKey)) return std::nullopt;
  FlowKey key;
  key.in_port = *parts.in_port;
  std::array<std::uint8_t, 6> mac;
  std::copy_n(parts.ethernet.begin(), mac.size(), mac.begin());
  key.source = MacAddress(mac);
  std::copy_n(parts.ethernet.begin() + mac.size(), mac.size(), mac.begin());
  key.destination = MacAddress(mac);
  if (!parts.tunnel.has_value()) return key;
  key.tunnel = ToTunnelKey(ReadTunnel(*parts.tunnel));
  if (!key.tunnel.has_value()) return std::nullopt;
  return key;
}

bool IsExact(ByteView mask, std::size_t size) { return mask.size() == size && NetlinkAttribute{0, mask}.IsAll(0xff); }

// Outside a tunnel kernels list the mask of an empty one.
bool IsOurTunnelMask(const std::optional<ByteView>& mask, bool tunnel) {
  const TunnelParts parts = ReadTunnel(mask.value_or(ByteView()));
  if (parts.others || parts.ttl != 0 || parts.dont_fragment) return false;
  if (tunnel) return IsExact(parts.id, 8) && IsExact(parts.source, 4) && IsExact(parts.destination, 4);
  const auto is_open = [](ByteView part) { return NetlinkAttribute{0, part}.IsAll(0); };
  return is_open(parts.id) && is_open(parts.source) && is_open(parts.destination);
}

std::optional<SetTunnel> DecodeSet(ByteView bytes) {
  NetlinkAttributes attributes(bytes);
  const auto attribute = attributes.Next();
  if (!attribute.has_value() || attribute->type != OVS_KEY_ATTR_TUNNEL || !attributes.complete()) return std::nullopt;
  const TunnelParts parts = ReadTunnel(attribute->value);
  const auto tunnel = ToTunnelKey(parts);
  if (!tunnel.has_value() || parts.ttl != kTunnelTtl || !parts.dont_fragment || parts.others) return std::nullopt;
  return SetTunnel{*tunnel};
}

// What is too large for the tunnel goes up, and nowhere else: to this socket.
std::optional<std::uint32_t> DecodeUserspace(ByteView bytes, std::uint32_t vni) {
  NetlinkAttributes actions(bytes);
  const auto action = actions.Next();
  if (!action.has_value() || action->type != OVS_ACTION_ATTR_USERSPACE || !actions.complete()) return std::nullopt;
  NetlinkAttributes attributes(action->value);
  std::optional<std::uint32_t> pid, data;
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == OVS_USERSPACE_ATTR_PID)
      pid = attribute->As<std::uint32_t>();
    else if (attribute->type == OVS_USERSPACE_ATTR_USERDATA)
      data = attribute->As<std::uint32_t>();
    else
      return std::nullopt;
  }
  return attributes.complete() && data == vni ? pid : std::nullopt;
}

// All of a flow's name one socket: another makes it a form that is not ours.
std::optional<SizedOutput> DecodeSized(ByteView bytes, std::uint32_t& upcall_pid) {
  std::optional<std::uint16_t> size;
  ByteView too_large, fits;
  NetlinkAttributes attributes(bytes);
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == OVS_CHECK_PKT_LEN_ATTR_PKT_LEN) size = attribute->As<std::uint16_t>();
    if (attribute->type == OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER) too_large = attribute->value;
    if (attribute->type == OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL) fits = attribute->value;
  }
  if (!size.has_value() || !attributes.complete()) return std::nullopt;
  NetlinkAttributes actions(fits);
  const auto set = actions.Next(), output = actions.Next();
  if (!set.has_value() || !output.has_value() || !actions.complete()) return std::nullopt;
  if (set->type != OVS_ACTION_ATTR_SET || output->type != OVS_ACTION_ATTR_OUTPUT) return std::nullopt;
  const std::optional<SetTunnel> tunnel = DecodeSet(set->value);
  const std::optional<std::uint32_t> port = output->As<std::uint32_t>();
  if (!tunnel.has_value() || !port.has_value()) return std::nullopt;
  const std::optional<std::uint32_t> pid = DecodeUserspace(too_large, tunnel->tunnel.vni);
  if (!pid.has_value() || (upcall_pid != 0 && upcall_pid != *pid)) return std::nullopt;
  upcall_pid = *pid;
  return SizedOutput{tunnel->tunnel, *port, *size};
}

VportKind ToVportKind(std::uint32_t type) {
  switch (type) {
    case OVS_VPORT_TYPE_NETDEV:
      return VportKind::kNetdev;
    case OVS_VPORT_TYPE_INTERNAL:
      return VportKind::kInternal;
    case OVS_VPORT_TYPE_VXLAN:
      return VportKind::kVxlan;
    default:
      return VportKind::kOther;
  }
}

std::uint16_t UdpPortOf(ByteView options) {
  NetlinkAttributes attributes(options);
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == OVS_TUNNEL_ATTR_DST_PORT) return attribute->As<std::uint16_t>().value_or(0);
  }
  return 0;
}

absl::Status Malformed(absl::string_view what, const OvsMessage& message) {
  return absl::InvalidArgumentError(absl::StrCat("openvswitch: ", what, ", command ", message.command, ", ",
                                                 message.attributes.size(), " bytes of attributes"));
}

}  // namespace

Bytes EncodeFlowKey(const FlowKey& key) {
  EthernetKey ethernet;
  std::copy_n(key.source.bytes().begin(), 6, ethernet.begin());
  std::copy_n(key.destination.bytes().begin(), 6, ethernet.begin() + 6);
  NetlinkAttributeWriter out;
  out.Put(OVS_KEY_ATTR_ETHERNET, ethernet).PutNumber<std::uint32_t>(OVS_KEY_ATTR_IN_PORT, key.in_port);
  if (key.tunnel.has_value()) {
    NetlinkAttributeWriter tunnel;
    PutTunnel(tunnel, *key.tunnel);
    tunnel.PutNumber<std::uint8_t>(OVS_TUNNEL_KEY_ATTR_TTL, 0);
    out.Put(OVS_KEY_ATTR_TUNNEL, tunnel.Take());
  }
  return out.Take();
}

Bytes EncodeFlowMask(const FlowKey& key) {
  static constexpr std::array<std::uint8_t, 12> kExact = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  const ByteView exact(kExact);
  NetlinkAttributeWriter out;
  out.Put(OVS_KEY_ATTR_ETHERNET, exact).Put(OVS_KEY_ATTR_IN_PORT, exact.first(4));
  if (key.tunnel.has_value()) {
    NetlinkAttributeWriter tunnel;
    tunnel.Put(OVS_TUNNEL_KEY_ATTR_ID, exact.first(8))
        .Put(OVS_TUNNEL_KEY_ATTR_IPV4_SRC, exact.first(4))
        .Put(OVS_TUNNEL_KEY_ATTR_IPV4_DST, exact.first(4))
        .PutNumber<std::uint8_t>(OVS_TUNNEL_KEY_ATTR_TTL, 0);
    out.Put(OVS_KEY_ATTR_TUNNEL, tunnel.Take());
  }
  return out.Take();
}

Bytes EncodeFlowActions(const FlowActions& actions, std::uint32_t upcall_pid) {
  NetlinkAttributeWriter out;
  for (const FlowAction& action : actions) {
    if (const auto* set = std::get_if<SetTunnel>(&action)) {
      out.Put(OVS_ACTION_ATTR_SET, EncodeSetTunnel(set->tunnel));
    } else if (const auto* sized = std::get_if<SizedOutput>(&action)) {
      out.Put(OVS_ACTION_ATTR_CHECK_PKT_LEN, EncodeSized(*sized, upcall_pid));
    } else {
      out.PutNumber<std::uint32_t>(OVS_ACTION_ATTR_OUTPUT, std::get<Output>(action).port);
    }
  }
  return out.Take();
}

std::optional<FlowKey> DecodeFlowKey(ByteView key, ByteView mask) {
  const KeyParts parts = ReadKey(key);
  const KeyParts masks = ReadKey(mask);
  const auto result = ToFlowKey(parts);
  if (!result.has_value() || parts.others || masks.others) return std::nullopt;
  if (masks.in_port != 0xffffffff || !IsExact(masks.ethernet, sizeof(EthernetKey))) return std::nullopt;
  if (!IsOurTunnelMask(masks.tunnel, result->tunnel.has_value())) return std::nullopt;
  // The kernel finds a flow by all of its key, what is masked out included.
  if (parts.tunnel.has_value()) {
    const TunnelParts tunnel = ReadTunnel(*parts.tunnel);
    if (tunnel.ttl != 0 || tunnel.dont_fragment || tunnel.others) return std::nullopt;
  }
  return result;
}

std::optional<FlowKey> DecodePacketKey(ByteView key) { return ToFlowKey(ReadKey(key)); }

std::optional<OvsActions> DecodeFlowActions(ByteView actions) {
  OvsActions result;
  NetlinkAttributes attributes(actions);
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == OVS_ACTION_ATTR_OUTPUT) {
      const auto port = attribute->As<std::uint32_t>();
      if (!port.has_value()) return std::nullopt;
      result.actions.push_back(Output{*port});
    } else if (attribute->type == OVS_ACTION_ATTR_SET) {
      const auto set = DecodeSet(attribute->value);
      if (!set.has_value()) return std::nullopt;
      result.actions.push_back(*set);
    } else if (attribute->type == OVS_ACTION_ATTR_CHECK_PKT_LEN) {
      const auto sized = DecodeSized(attribute->value, result.upcall_pid);
      if (!sized.has_value()) return std::nullopt;
      result.actions.push_back(*sized);
    } else {
      return std::nullopt;
    }
  }
  if (!attributes.complete()) return std::nullopt;
  return result;
}

absl::StatusOr<OvsMessage> DecodeOvsMessage(ByteView payload) {
  constexpr std::size_t kHeaderSize = GENL_HDRLEN + sizeof(ovs_header);
  if (payload.size() < kHeaderSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("openvswitch: a message of ", payload.size(), " bytes, want at least ", kHeaderSize));
  }
  OvsMessage message;
  message.command = payload[0];
  std::memcpy(&message.datapath, payload.data() + GENL_HDRLEN, sizeof message.datapath);
  message.attributes = payload.subspan(kHeaderSize);
  return message;
}

absl::StatusOr<OvsDatapathInfo> DecodeOvsDatapath(const OvsMessage& message) {
  OvsDatapathInfo result;
  result.index = message.datapath;
  NetlinkAttributes attributes(message.attributes);
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == OVS_DP_ATTR_NAME) result.name = std::string(attribute->Text());
    if (attribute->type == OVS_DP_ATTR_USER_FEATURES) result.features = attribute->As<std::uint32_t>().value_or(0);
  }
  if (result.name.empty()) return Malformed("a datapath without a name", message);
  return result;
}

absl::StatusOr<OvsVportInfo> DecodeOvsVport(const OvsMessage& message) {
  OvsVportInfo result;
  result.datapath = message.datapath;
  std::optional<std::uint32_t> number, type;
  NetlinkAttributes attributes(message.attributes);
  while (const auto attribute = attributes.Next()) {
    switch (attribute->type) {
      case OVS_VPORT_ATTR_PORT_NO:
        number = attribute->As<std::uint32_t>();
        break;
      case OVS_VPORT_ATTR_TYPE:
        type = attribute->As<std::uint32_t>();
        break;
      case OVS_VPORT_ATTR_NAME:
        result.vport.name = std::string(attribute->Text());
        break;
      case OVS_VPORT_ATTR_OPTIONS:
        result.vport.udp_port = UdpPortOf(attribute->value);
        break;
      case OVS_VPORT_ATTR_UPCALL_PID:
        if (attribute->value.size() >= sizeof result.upcall_pid)
          std::memcpy(&result.upcall_pid, attribute->value.data(), sizeof result.upcall_pid);
        break;
      default:
        break;
    }
  }
  if (!number.has_value() || !type.has_value() || result.vport.name.empty())
    return Malformed("a port without a number, a type or a name", message);
  result.vport.number = *number;
  result.vport.kind = ToVportKind(*type);
  if (result.vport.kind != VportKind::kVxlan) result.vport.udp_port = 0;
  return result;
}

absl::StatusOr<Upcall> DecodeOvsUpcall(const OvsMessage& message) {
  if (message.command != OVS_PACKET_CMD_MISS && message.command != OVS_PACKET_CMD_ACTION)
    return Malformed("a packet that is no miss", message);
  ByteView key;
  Upcall result;
  NetlinkAttributes attributes(message.attributes);
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == OVS_PACKET_ATTR_KEY) key = attribute->value;
    if (attribute->type == OVS_PACKET_ATTR_PACKET) result.frame = attribute->value;
    if (attribute->type == OVS_PACKET_ATTR_USERDATA) result.too_large_for = attribute->As<std::uint32_t>();
  }
  if (result.too_large_for.has_value() != (message.command == OVS_PACKET_CMD_ACTION))
    return Malformed("a packet that comes up for no reason of ours", message);
  const auto flow_key = DecodePacketKey(key);
  if (!flow_key.has_value()) return Malformed("a miss with a key that is no frame's of ours", message);
  constexpr std::size_t kEthernetHeaderSize = 14;
  if (result.frame.size() < kEthernetHeaderSize) return Malformed("a miss without a frame", message);
  result.key = *flow_key;
  return result;
}

absl::StatusOr<OvsFlow> DecodeOvsFlow(const OvsMessage& message) {
  OvsFlow result;
  ByteView mask;
  std::optional<ByteView> actions;
  NetlinkAttributes attributes(message.attributes);
  while (const auto attribute = attributes.Next()) {
    switch (attribute->type) {
      case OVS_FLOW_ATTR_KEY:
        result.key = attribute->value;
        break;
      case OVS_FLOW_ATTR_UFID:
        result.ufid = attribute->value;
        break;
      case OVS_FLOW_ATTR_MASK:
        mask = attribute->value;
        break;
      case OVS_FLOW_ATTR_ACTIONS:
        actions = attribute->value;
        break;
      case OVS_FLOW_ATTR_USED:
        result.flow.used = true;
        break;
      case OVS_FLOW_ATTR_STATS:
        if (ovs_flow_stats stats; attribute->value.size() == sizeof stats) {
          std::memcpy(&stats, attribute->value.data(), sizeof stats);
          result.flow.packets = stats.n_packets;
          result.flow.bytes = stats.n_bytes;
        }
        break;
      default:
        break;
    }
  }
  if (result.key.empty() && result.ufid.empty()) return Malformed("a flow without a key", message);
  const auto key = DecodeFlowKey(result.key, mask);
  if (!key.has_value() || !result.ufid.empty()) return result;
  auto known = actions.has_value() ? DecodeFlowActions(*actions) : OvsActions();
  if (!known.has_value()) return result;
  result.form = actions.has_value() ? OvsFlow::Form::kOurs : OvsFlow::Form::kActionsLeftOut;
  result.flow.key = *key;
  result.flow.actions = std::move(known->actions);
  result.upcall_pid = known->upcall_pid;
  return result;
}

}  // namespace weave
