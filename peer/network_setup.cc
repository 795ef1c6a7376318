#include "peer/network_setup.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace weave {

namespace {

IpamBootstrap MakeBootstrap(const IpamStart& start) {
  switch (start.mode) {
    case IpamStart::Mode::kSeed:
      return SeedBootstrap{start.seeds};
    case IpamStart::Mode::kObserver:
      return ObserverBootstrap{};
    case IpamStart::Mode::kConsensus:
      break;
  }
  if (start.peer_count == 0) return ConsensusBootstrap{};
  return ConsensusBootstrap{start.peer_count};
}

IpamConfig MakeIpamConfig(const WeaverOptions& options) {
  return {*options.ipalloc_range, options.ipalloc_default_subnet.value_or(*options.ipalloc_range),
          MakeBootstrap(options.ipalloc_init.value_or(IpamStart()))};
}

}  // namespace

absl::StatusOr<NetworkPortOptions> MakeNetworkPortOptions(const WeaverOptions& options) {
  NetworkPortOptions port;
  port.port = static_cast<std::uint16_t>(options.port);
  port.packet_debug = options.pkt_debug;
  if (options.host.empty()) return port;
  const absl::StatusOr<IpAddress> host = IpAddress::Parse(options.host);
  if (!host.ok() || !host->IsV4())
    return absl::InvalidArgumentError(
        absl::StrCat("--host: invalid value \"", options.host, "\": want an IPv4 address"));
  port.host = *host;
  return port;
}

std::vector<std::string> FirstPeers(const WeaverOptions& options, const std::vector<Record>& records) {
  if (!options.resume && !options.restarted) return options.peers;
  bool new_store = true;
  for (const Record& record : records) {
    if (const auto* peers = std::get_if<DirectPeersRecord>(&record)) return peers->peers;
    if (std::holds_alternative<IdentityRecord>(record)) new_store = false;
  }
  // An empty list leaves no record, and neither does a damaged store that was set aside.
  if (new_store) return options.peers;
  return {};
}

PeerConfig MakePeerConfig(const WeaverOptions& options, PeerName name, absl::string_view nickname,
                          absl::string_view boot_id, const std::vector<std::string>& first_peers) {
  PeerConfig config;
  config.name = name;
  config.nickname = std::string(nickname);
  config.boot_id = std::string(boot_id);
  MeshConfig& mesh = config.mesh;
  mesh.name = name;
  mesh.nickname = config.nickname;
  mesh.port = static_cast<std::uint16_t>(options.port);
  mesh.versions.min = options.min_protocol_version;
  if (!options.password.empty()) mesh.password = options.password;
  mesh.trusted_subnets = options.trusted_subnets;
  mesh.connection_limit = static_cast<std::size_t>(options.conn_limit);
  mesh.discovery = !options.no_discovery;
  for (const std::string& peer : first_peers) config.direct_peers.push_back({peer, {}});
  if (options.ipalloc_range.has_value()) config.ipam = MakeIpamConfig(options);
  if (!options.no_dns) config.dns_domain = options.dns_domain;
  return config;
}

}  // namespace weave
