// The configuration that a runtime writes to a CNI plugin's standard input (SPEC.md, section 1): from anybody's JSON to
// values that hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/attachment.h"
#include "base/ip.h"
#include "host/endpoint.h"
#include "plugin/cni/cni_version.h"
#include "weave/v1/cni.pb.h"

namespace weave {

inline constexpr std::size_t kMaxCniInputSize = 1 << 20;  // bytes

struct CniConfig {
  CniVersion version = CniVersion::k010;
  std::string name;  // of the network; empty: not given, as 2.8 allows
  std::string bridge = "weave";
  std::uint32_t mtu_bytes = 0;  // 0: the bridge's
  bool hairpin = true;
  bool is_gateway = false;
  bool ip_masq = false;
  v1::CniDns dns;
  std::string ipam_type;  // of another plugin that gives the addresses; empty: the peer does
  google::protobuf::Struct ipam;
  std::optional<google::protobuf::Struct> prev_result;
  std::optional<std::vector<NetworkAttachment>> valid_attachments;
};

// What can be read of any configuration, in this order: code 6, it is no JSON or a member has the wrong type; code 1, a
// version that is not ours; code 7, a network's name or an attachment that cannot be.
absl::StatusOr<CniConfig> ParseCniConfig(absl::string_view json);

// The version it asks for, when that much can be read: of whatever went wrong, the runtime is told in its version.
std::string FindCniVersion(absl::string_view json);

// What only ADD needs to hold: code 2, a feature we lack; code 7, values that cannot be.
absl::Status CheckForAdd(const CniConfig& config);

// The `ipam` section when it is ours.
struct PeerIpamConfig {
  std::optional<Cidr> subnet;  // none: the peer's default subnet
  std::optional<IpAddress> gateway;
  std::vector<EndpointRoute> routes;
};
absl::StatusOr<PeerIpamConfig> ParsePeerIpam(const CniConfig& config);

// Code 7 names `what`: not IPv4, or malformed.
absl::StatusOr<EndpointRoute> ParseCniRoute(const v1::CniRoute& route, absl::string_view what);

}  // namespace weave
