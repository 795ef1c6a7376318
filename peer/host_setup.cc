#include "peer/host_setup.h"

#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/bridge.h"
#include "host/identity.h"
#include "host/packet_filter.h"
#include "host/routes.h"
#include "peer/bridge_plan.h"

namespace weave {
namespace {

// The TCP port of `address`, if it is host:port.
std::optional<FirewallControlPort> ControlPortOf(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  int port = 0;
  if (address.empty() || address[0] == '/' || colon == std::string::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port))
    return std::nullopt;
  absl::StatusOr<IpAddress> host = IpAddress::Parse(address.substr(0, colon));
  return FirewallControlPort{host.ok() ? *host : IpAddress(), static_cast<std::uint16_t>(port)};
}

}  // namespace

absl::StatusOr<PeerIdentity> FindPeerIdentity(const WeaverOptions& options, Netlink& netlink,
                                              const std::vector<Record>& records, Logger& logger) {
  std::optional<PeerName> bridge;
  ASSIGN_OR_RETURN(const std::optional<MacAddress> mac, FindPeerMac(netlink, options.weave_bridge));
  if (mac.has_value()) bridge = PeerName::FromMac(*mac);

  std::optional<PeerName> persisted;
  for (const Record& record : records)
    if (const auto* identity = std::get_if<IdentityRecord>(&record)) persisted = identity->name;

  IdentityOptions machine;
  machine.host_root = options.host_root;
  machine.proc_path = options.proc_path;
  std::optional<PeerName> derived;
  absl::StatusOr<PeerName> found = DerivePeerName(machine);
  if (found.ok()) derived = *found;

  std::random_device entropy;
  Random random(static_cast<std::uint64_t>(entropy()) << 32 | entropy());
  const PeerIdentity identity = ChoosePeerIdentity(options.name, bridge, persisted, derived, random);
  if (identity.source == PeerNameSource::kRandom)
    logger.Warning("taking a random peer name",
                   {{"name", identity.name.ToString()}, {"reason", found.status().message()}});
  return identity;
}

absl::StatusOr<FirewallConfig> MakeFirewallConfig(const WeaverOptions& options, Netlink& netlink) {
  FirewallConfig config;
  config.bridge = options.weave_bridge;
  config.port = static_cast<std::uint16_t>(options.port);
  config.control = ControlPortOf(options.http_addr);
  if (options.docker_bridge.empty()) return config;
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> link, netlink.FindLink(options.docker_bridge));
  if (!link.has_value())
    return absl::NotFoundError(absl::StrCat("--docker-bridge: there is no device \"", options.docker_bridge, "\""));
  ASSIGN_OR_RETURN(const std::vector<InterfaceAddress> addresses, netlink.Addresses(link->index));
  if (addresses.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("--docker-bridge: device \"", options.docker_bridge, "\" has no IPv4 address"));
  config.docker_bridge = options.docker_bridge;
  config.docker_bridge_address = addresses.front().cidr.address();
  return config;
}

absl::StatusOr<std::optional<std::string>> FindRangeOverlap(const WeaverOptions& options) {
  if (!options.ipalloc_range.has_value()) return std::optional<std::string>();
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::optional<RouteOverlap> overlap,
                   FindRouteOverlap(netlink, *options.ipalloc_range, options.weave_bridge));
  if (!overlap.has_value()) return std::optional<std::string>();
  return std::optional<std::string>(absl::StrCat("--ipalloc-range: network ", options.ipalloc_range->ToString(),
                                                 " overlaps with existing route ", overlap->ToString(),
                                                 " of this host"));
}

absl::Status CheckRangeOverlap(const WeaverOptions& options) {
  // A managed plugin has nobody who reads a warning.
  const bool refused = options.plugin_v2 ||
                       (options.ipalloc_range.has_value() && options.ipalloc_range->ToString() == kDefaultIpallocRange);
  if (!options.ipalloc_range.has_value() || !refused) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<std::string> overlap, FindRangeOverlap(options));
  if (!overlap.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(*overlap, ": pick another range and set it on all hosts"));
}

absl::Status CleanUpHost(const WeaverOptions& options) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  RETURN_IF_ERROR(RemoveDataPath(netlink, options.weave_bridge, DatapathName(options)));
  return PacketFilter::RemoveFromAll(
      {options.weave_bridge, options.docker_bridge, static_cast<std::uint16_t>(options.port)});
}

absl::StatusOr<PeerName> PeerNameWithoutStore(const WeaverOptions& options) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  NullLogger logger;
  ASSIGN_OR_RETURN(const PeerIdentity identity, FindPeerIdentity(options, netlink, {}, logger));
  return identity.name;
}

}  // namespace weave
