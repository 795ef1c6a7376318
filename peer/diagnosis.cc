#include "peer/diagnosis.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "base/version.h"
#include "peer/core/name_keeper.h"
#include "peer/ipam_pages.h"
#include "peer/status_pages.h"

namespace weave {
namespace {

// Of one peer, under which others dial it, so that a person can.
constexpr std::size_t kMaxDialledCount = 4;

v1::Diagnosis::Connection DescribeConnection(const MeshStatus::Connection& connection) {
  v1::Diagnosis::Connection described;
  described.set_address(connection.address);
  described.set_state(ToString(connection.state));
  described.set_outbound(connection.outbound);
  if (!connection.IsLive()) {
    described.set_error(std::string(connection.error.message()));
    described.set_gives_up(connection.state == MeshStatus::ConnectionState::kFailed &&
                           !connection.retry_at.has_value());
    return described;
  }
  described.set_peer(connection.remote.ToString());
  described.set_nickname(connection.remote_nickname);
  described.set_overlay(connection.overlay.name);
  const auto mtu = connection.overlay.attributes.find("mtu");
  std::uint32_t mtu_bytes = 0;
  if (mtu != connection.overlay.attributes.end() && absl::SimpleAtoi(mtu->second, &mtu_bytes))
    described.set_mtu_bytes(mtu_bytes);
  described.set_encrypted(connection.encrypted);
  return described;
}

const MeshStatus::Peer* FindPeer(const MeshStatus& mesh, PeerName name) {
  const auto found = std::find_if(mesh.peers.begin(), mesh.peers.end(),
                                  [&](const MeshStatus::Peer& peer) { return peer.name == name; });
  return found == mesh.peers.end() ? nullptr : &*found;
}

// Of containers and of the host itself.
absl::btree_set<std::uint32_t> AddressesOf(const PeerSnapshot& snapshot, const Allocator* allocator) {
  absl::btree_set<std::uint32_t> addresses;
  const auto add = [&](const std::vector<Cidr>& cidrs) {
    for (const Cidr& cidr : cidrs) addresses.insert(cidr.address().v4());
  };
  for (const EndpointTable::View& view : snapshot.endpoints) add(view.record.addresses);
  for (const ExposureRecord& exposure : snapshot.exposures) add({exposure.cidr});
  if (allocator == nullptr) return addresses;
  for (const auto& [ident, allocation] : allocator->allocations()) add(allocation.addresses);
  return addresses;
}

}  // namespace

void DescribeMesh(const MeshStatus& mesh, v1::Diagnosis& diagnosis) {
  diagnosis.set_has_password(mesh.has_password);
  for (const std::string& target : mesh.targets) diagnosis.add_targets(target);
  for (const MeshStatus::Connection& connection : mesh.connections)
    *diagnosis.add_connections() = DescribeConnection(connection);

  std::set<PeerName> reachable;
  for (const MeshStatus::UnicastRoute& route : mesh.unicast_routes) reachable.insert(route.destination);
  absl::btree_map<PeerName, std::set<std::string>> dialled;
  for (const MeshStatus::Peer& peer : mesh.peers)
    for (const MeshStatus::Link& link : peer.connections)
      if (link.outbound) dialled[link.name].insert(link.address);
  for (const MeshStatus::Peer& peer : mesh.peers) {
    if (peer.name == mesh.name) continue;
    v1::Diagnosis::KnownPeer* known = diagnosis.add_peers();
    known->set_name(peer.name.ToString());
    known->set_nickname(peer.nickname);
    known->set_reachable(reachable.contains(peer.name));
    for (const std::string& address : dialled[peer.name])
      if (static_cast<std::size_t>(known->addresses_size()) < kMaxDialledCount) known->add_addresses(address);
  }
}

void DescribeAllocator(const IpamStatus& ipam, v1::Diagnosis::Allocator& allocator) {
  allocator.set_range(ipam.range.ToString());
  allocator.set_status(IpamStatusText(ipam));
  allocator.set_ready(!ipam.entries.empty());
  allocator.set_waiting_count(static_cast<std::uint32_t>(ipam.pending_allocations.size() + ipam.pending_claims.size()));
  for (const IpamStatus::Owner& owner : ipam.owners) {
    v1::Diagnosis::Owner* described = allocator.add_owners();
    described->set_name(owner.peer.ToString());
    described->set_nickname(owner.nickname);
    described->set_address_count(absl::Uint128Low64(owner.count));
    described->set_reachable(owner.reachable);
  }
  for (const IpamRange& range : RangesOf(ipam)) {
    v1::Diagnosis::OwnedRange* described = allocator.add_ranges();
    described->set_start(range.range.start.ToString());
    described->set_address_count(absl::Uint128Low64(range.range.size));
    described->set_owner(range.entry->peer.ToString());
  }
}

void DescribeClocks(Now now, const absl::btree_map<PeerName, ClockReading>& readings, const MeshStatus& mesh,
                    v1::Diagnosis& diagnosis) {
  for (const auto& [name, reading] : readings) {
    v1::Diagnosis::Clock* clock = diagnosis.add_clocks();
    clock->set_name(name.ToString());
    const MeshStatus::Peer* peer = FindPeer(mesh, name);
    if (peer != nullptr) clock->set_nickname(peer->nickname);
    clock->set_ahead_seconds(reading.ahead_seconds);
    clock->set_age_seconds(static_cast<std::uint64_t>(absl::ToInt64Seconds(now.monotonic - reading.heard_at)));
  }
}

void DescribeRivals(const absl::btree_set<std::uint32_t>& addresses, const NameRegistry& names, const MeshStatus& mesh,
                    v1::Diagnosis& diagnosis) {
  for (const std::uint32_t address : addresses) {
    for (const NameEntryPtr& entry : names.OthersEntriesOf(address)) {
      if (entry->container == kExternName) continue;
      v1::Diagnosis::Rival* rival = diagnosis.add_rivals();
      rival->set_address(IpAddress::V4(address).ToString());
      rival->set_peer(entry->origin.ToString());
      const MeshStatus::Peer* peer = FindPeer(mesh, entry->origin);
      if (peer != nullptr) rival->set_nickname(peer->nickname);
      rival->set_hostname(entry->hostname);
    }
  }
}

void DescribeFirewall(const FirewallConfig& config, FirewallBackend backend, v1::Diagnosis::Firewall& firewall) {
  firewall.set_backend(std::string(ToString(backend)));
  firewall.set_docker_bridge(config.docker_bridge);
  if (!config.docker_bridge.empty()) firewall.set_docker_bridge_address(config.docker_bridge_address.ToString());
  if (config.control.has_value()) {
    firewall.set_control_address(config.control->address.ToString());
    firewall.set_control_port(config.control->port);
  }
  firewall.set_expect_npc(config.expect_npc);
}

void DescribeOptions(const WeaverOptions& options, const BridgePlan& plan, v1::Diagnosis& diagnosis) {
  diagnosis.set_bridge_type_reason(plan.fallback_reason);
  diagnosis.set_datapath(plan.datapath);
  diagnosis.set_port(static_cast<std::uint32_t>(options.port));
  diagnosis.set_http_address(options.http_addr);
  diagnosis.set_status_address(options.status_addr);
  diagnosis.set_metrics_address(options.metrics_addr);
}

v1::Diagnosis MakeDiagnosis(Now now, const PeerCore& core, const WeaverOptions& options, const BridgePlan& plan) {
  v1::Diagnosis diagnosis;
  DescribeOptions(options, plan, diagnosis);
  if (!core.host_error().ok()) diagnosis.set_host_error(std::string(core.host_error().message()));
  const MeshStatus mesh = core.mesh().Status(now);
  DescribeMesh(mesh, diagnosis);
  const PeerSnapshot snapshot = core.Snapshot();
  if (snapshot.ipam.has_value()) DescribeAllocator(*snapshot.ipam, *diagnosis.mutable_allocator());
  if (core.names() != nullptr) {
    DescribeClocks(now, core.names()->clock_readings(), mesh, diagnosis);
    DescribeRivals(AddressesOf(snapshot, core.allocator()), *core.names(), mesh, diagnosis);
  }
  for (const ExposureRecord& exposure : snapshot.exposures) {
    v1::Diagnosis::Exposure* described = diagnosis.add_exposures();
    described->set_address(exposure.cidr.ToString());
    described->set_masquerade(exposure.masquerade);
  }
  return diagnosis;
}

v1::PeerInfo MakePeerInfo(const PeerCore& core, const WeaverOptions& options, const BridgePlan& plan,
                          const std::string& store_path) {
  v1::PeerInfo info;
  info.set_version(kVersion);
  info.set_name(core.name().ToString());
  info.set_nickname(core.nickname());
  info.set_ready(core.ready());
  if (!core.ready())
    info.set_not_ready_reason(core.host_error().ok() ? "still setting up the host"
                                                     : std::string(core.host_error().message()));
  info.set_pid(::getpid());
  info.set_store_path(store_path);
  info.set_bridge(options.weave_bridge);
  info.set_bridge_type(std::string(ToString(plan.kind)));
  return info;
}

}  // namespace weave
