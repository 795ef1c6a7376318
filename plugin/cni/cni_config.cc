#include "plugin/cni/cni_config.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/netlink.h"
#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_json.h"
#include "proto/json.h"

namespace weave {
namespace {

// A bridge of this type exists with less, but no IPv4 (RFC 791).
constexpr std::uint32_t kMinMtu = 68;
constexpr std::uint32_t kMaxMtu = 65535;
// Of a network, so that a holder's name stays within what the peer takes.
constexpr std::size_t kMaxNetworkNameSize = 100;

constexpr char kBuiltInIpam[] = "weave-ipam";
constexpr char kValidAttachments[] = "cni.dev/valid-attachments";

absl::Status InvalidConfig(absl::string_view message) { return CniFailure(CniCode::kInvalidConfig, message); }

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, 100)), "\"");
}

std::string TextOf(const google::protobuf::Struct& object, const char* key) {
  const auto field = object.fields().find(key);
  return field == object.fields().end() ? "" : field->second.string_value();
}

absl::StatusOr<std::vector<NetworkAttachment>> ParseAttachments(const google::protobuf::Value& value,
                                                                const std::string& network) {
  std::vector<NetworkAttachment> attachments;
  if (value.has_null_value()) return attachments;
  if (!value.has_list_value()) return InvalidConfig(absl::StrCat(kValidAttachments, ": want a list"));
  for (const google::protobuf::Value& entry : value.list_value().values()) {
    NetworkAttachment attachment = {TextOf(entry.struct_value(), "containerID"), network,
                                    TextOf(entry.struct_value(), "ifname")};
    // One that cannot be read could be one that must stay.
    if (!IsCniName(attachment.container_id) || !IsLinkName(attachment.interface))
      return InvalidConfig(absl::StrCat(kValidAttachments, ": want objects with containerID and ifname, not ",
                                        Quoted(attachment.container_id), " and ", Quoted(attachment.interface)));
    attachments.push_back(std::move(attachment));
  }
  return attachments;
}

absl::Status Unsupported(absl::string_view key, absl::string_view feature) {
  return CniFailure(CniCode::kUnsupportedField,
                    absl::StrCat(feature, " functionality not supported: \"", key, "\": true"));
}

absl::StatusOr<IpAddress> ParseV4(absl::string_view text, absl::string_view what) {
  const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok() || !address->IsV4())
    return InvalidConfig(absl::StrCat(what, " ", Quoted(text), ": want an IPv4 address"));
  return *address;
}

}  // namespace

std::string FindCniVersion(absl::string_view json) {
  v1::CniVersions message;  // has that member, and none whose mistakes matter here
  (void)ParseJson(json, message);
  return message.cni_version();
}

absl::StatusOr<CniConfig> ParseCniConfig(absl::string_view json) {
  v1::CniNetworkConfig message;
  if (const absl::Status parsed = ParseJson(json, message); !parsed.ok())
    return CniFailure(CniCode::kUndecodable, absl::StrCat("cannot read the network configuration: ", parsed.message()));
  CniConfig config;
  ASSIGN_OR_RETURN(config.version, ParseCniVersion(message.cni_version()));
  config.name = message.name();
  if (!config.name.empty() && (!IsCniName(config.name) || config.name.size() > kMaxNetworkNameSize))
    return InvalidConfig(absl::StrCat("name ", Quoted(config.name), ": want at most ", kMaxNetworkNameSize,
                                      " letters, digits, '_', '.' and '-', a letter or digit first"));
  if (!message.bridge().empty()) config.bridge = message.bridge();
  config.mtu_bytes = message.mtu();
  config.hairpin = !message.has_hairpin_mode() || message.hairpin_mode();
  config.is_gateway = message.is_gateway();
  config.ip_masq = message.ip_masq();
  config.dns = message.dns();
  config.ipam = message.ipam();
  config.ipam_type = TextOf(config.ipam, "type");
  if (config.ipam_type == kBuiltInIpam) config.ipam_type.clear();
  if (message.has_prev_result()) config.prev_result = message.prev_result();
  if (message.has_valid_attachments()) {
    ASSIGN_OR_RETURN(config.valid_attachments, ParseAttachments(message.valid_attachments(), config.name));
  }
  return config;
}

absl::Status CheckForAdd(const CniConfig& config) {
  if (config.is_gateway) return Unsupported("isGateway", "Gateway");
  if (config.ip_masq) return Unsupported("ipMasq", "IP Masquerading");
  if (config.mtu_bytes != 0 && (config.mtu_bytes < kMinMtu || config.mtu_bytes > kMaxMtu))
    return InvalidConfig(
        absl::StrCat("mtu ", config.mtu_bytes, ": want 0 for the bridge's, or ", kMinMtu, " to ", kMaxMtu));
  if (!IsLinkName(config.bridge))
    return InvalidConfig(
        absl::StrCat("bridge ", Quoted(config.bridge), ": want 1 to 15 characters without blanks, slashes and colons"));
  return absl::OkStatus();
}

absl::StatusOr<PeerIpamConfig> ParsePeerIpam(const CniConfig& config) {
  v1::CniIpamConfig message;
  if (const absl::Status parsed = FromStruct(config.ipam, message); !parsed.ok())
    return CniFailure(CniCode::kUndecodable, absl::StrCat("ipam: ", parsed.message()));
  PeerIpamConfig ipam;
  if (!message.subnet().empty()) {
    const absl::StatusOr<Cidr> subnet = Cidr::Parse(message.subnet());
    if (!subnet.ok() || !subnet->address().IsV4() || !subnet->IsNetwork())
      return InvalidConfig(
          absl::StrCat("ipam.subnet ", Quoted(message.subnet()), ": want an IPv4 network such as 10.32.0.0/16"));
    ipam.subnet = *subnet;
  }
  if (!message.gateway().empty()) {
    ASSIGN_OR_RETURN(ipam.gateway, ParseV4(message.gateway(), "ipam.gateway"));
  }
  for (const v1::CniRoute& entry : message.routes()) {
    ASSIGN_OR_RETURN(const EndpointRoute route, ParseCniRoute(entry, "ipam.routes"));
    ipam.routes.push_back(route);
  }
  return ipam;
}

absl::StatusOr<EndpointRoute> ParseCniRoute(const v1::CniRoute& route, absl::string_view what) {
  const absl::StatusOr<Cidr> destination = Cidr::Parse(route.dst());
  if (!destination.ok() || !destination->address().IsV4())
    return InvalidConfig(
        absl::StrCat(what, ": dst ", Quoted(route.dst()), ": want an IPv4 network such as 10.0.0.0/8"));
  EndpointRoute result = {destination->Network(), std::nullopt};
  if (!route.gw().empty()) {
    ASSIGN_OR_RETURN(result.gateway, ParseV4(route.gw(), absl::StrCat(what, ": gw")));
  }
  return result;
}

}  // namespace weave
