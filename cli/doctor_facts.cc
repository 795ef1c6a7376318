#include "cli/doctor_facts.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/process.h"
#include "io/clock.h"

namespace weave {
namespace {

constexpr std::uint16_t kDefaultPort = 6783;
constexpr Duration kPatience = absl::Seconds(3);
constexpr Duration kPause = absl::Milliseconds(200);

// What `weave launch` chooses (contract A.21).
constexpr char kDefaultStatus[] = "127.0.0.1:6782";

std::string WithNickname(const std::string& name, const std::string& nickname) {
  return absl::StrCat(name, "(", nickname, ")");
}

// host:port of a listener's flag. A unix socket or nothing: none.
void AddListener(const char* protocol, const std::string& address, const char* purpose, const char* flag, PortUse use,
                 std::vector<PortFacts>& ports) {
  const std::size_t colon = address.rfind(':');
  std::uint32_t port = 0;
  if (address.empty() || address[0] == '/' || colon == std::string::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port == 0 || port > 65535)
    return;
  PortFacts fact{protocol, std::nullopt, static_cast<std::uint16_t>(port), purpose, flag, use};
  const absl::StatusOr<IpAddress> ip = IpAddress::Parse(address.substr(0, colon));
  if (ip.ok() && ip->value() != 0) fact.address = *ip;
  ports.push_back(std::move(fact));
}

void AddMeshPorts(std::uint16_t port, PortUse use, PortUse tunnel, std::vector<PortFacts>& ports) {
  ports.push_back({"TCP", std::nullopt, port, "connections", "--port", use});
  ports.push_back({"UDP", std::nullopt, port, "sleeve", "--port", use});
  ports.push_back({"UDP", std::nullopt, static_cast<std::uint16_t>(port + 1), "VXLAN", "--port", tunnel});
}

IpAddress RemoteOf(const std::string& address) {
  const absl::StatusOr<IpAddress> ip = IpAddress::Parse(address.substr(0, address.rfind(':')));
  return ip.ok() ? *ip : IpAddress();
}

// What the client says of a call that has no answer, without whom it says it of.
std::string ReasonOf(const absl::Status& status) {
  const std::size_t reason = status.message().rfind(": ");
  return std::string(reason == absl::string_view::npos ? status.message() : status.message().substr(reason + 2));
}

// The peer's process is there, or is not: by the locks that the kernel keeps.
void JudgeSilence(const CommandContext& context, const absl::Status& status, PeerFacts& peer) {
  const Presence presence = LookAt(context.instance);
  if (presence.weaver.has_value() || absl::IsDeadlineExceeded(status)) {
    peer.state = PeerState::kHangs;
    peer.pid = presence.weaver.value_or(0);
    peer.error = ReasonOf(status);
  } else if (presence.supervisor.has_value()) {
    peer.state = PeerState::kRestarting;
    peer.pid = *presence.supervisor;
  } else {
    peer.state =
        ::access(context.instance.launch_state().c_str(), F_OK) == 0 ? PeerState::kStopped : PeerState::kAbsent;
  }
}

absl::StatusOr<v1::Diagnosis> SettledDiagnosis(PeerClient& client) {
  const MonotonicTime start = MonotonicNow();
  absl::StatusOr<v1::Diagnosis> diagnosis = client.GetDiagnosis();
  while (diagnosis.ok() && IsUnsettled(*diagnosis) && MonotonicNow() - start < kPatience) {
    absl::SleepFor(kPause);
    diagnosis = client.GetDiagnosis();
  }
  return diagnosis;
}

}  // namespace

bool IsUnsettled(const v1::Diagnosis& diagnosis) {
  return std::any_of(diagnosis.connections().begin(), diagnosis.connections().end(), [](const auto& connection) {
    return connection.state() == "pending" || connection.state() == "connecting" || connection.state() == "waiting";
  });
}

void TakeInfo(const v1::PeerInfo& info, PeerFacts& peer) {
  peer.state = PeerState::kAnswers;
  peer.name = info.name();
  peer.nickname = info.nickname();
  peer.version = info.version();
  peer.ready = info.ready();
  peer.not_ready_reason = info.not_ready_reason();
  peer.bridge_type = info.bridge_type();
}

void TakeDiagnosis(const v1::Diagnosis& diagnosis, PeerFacts& peer) {
  peer.tells = true;
  peer.host_error = diagnosis.host_error();
  peer.bridge_type_reason = diagnosis.bridge_type_reason();
  peer.has_password = diagnosis.has_password();
  peer.store_failure_count = diagnosis.store_failure_count();
  peer.targets = {diagnosis.targets().begin(), diagnosis.targets().end()};
  for (const v1::Diagnosis::Connection& connection : diagnosis.connections())
    peer.connections.push_back({connection.address(), connection.state(), connection.error(), connection.outbound(),
                                connection.gives_up(), WithNickname(connection.peer(), connection.nickname()),
                                connection.overlay(), connection.mtu_bytes(), connection.encrypted()});
  for (const v1::Diagnosis::KnownPeer& known : diagnosis.peers())
    peer.peers.push_back(
        {known.name(), known.nickname(), known.reachable(), {known.addresses().begin(), known.addresses().end()}});
  for (const v1::Diagnosis::Clock& clock : diagnosis.clocks())
    peer.clocks.push_back({clock.name(), clock.nickname(), clock.ahead_seconds(), clock.age_seconds()});
  for (const v1::Diagnosis::Exposure& exposure : diagnosis.exposures()) peer.exposures.push_back(exposure.address());
  for (const v1::Diagnosis::Rival& rival : diagnosis.rivals())
    if (const absl::StatusOr<IpAddress> address = IpAddress::Parse(rival.address()); address.ok())
      peer.rivals.push_back({*address, WithNickname(rival.peer(), rival.nickname()), rival.hostname()});

  const absl::StatusOr<Cidr> range = Cidr::Parse(diagnosis.allocator().range());
  if (!diagnosis.has_allocator() || !range.ok()) return;
  AllocatorFacts& allocator = peer.allocator.emplace();
  allocator.range = *range;
  allocator.status = diagnosis.allocator().status();
  allocator.ready = diagnosis.allocator().ready();
  allocator.waiting_count = diagnosis.allocator().waiting_count();
  for (const v1::Diagnosis::Owner& owner : diagnosis.allocator().owners())
    allocator.owners.push_back({owner.name(), owner.nickname(), owner.address_count(), owner.reachable()});
  for (const v1::Diagnosis::OwnedRange& owned : diagnosis.allocator().ranges())
    if (const absl::StatusOr<IpAddress> start = IpAddress::Parse(owned.start()); start.ok())
      allocator.ranges.push_back({{*start, owned.address_count()}, owned.owner()});
}

void TakeHolders(const v1::AllocationList& list, PeerFacts& peer) {
  for (const v1::AllocationList::Allocation& allocation : list.allocations())
    for (const std::string& address : allocation.addresses())
      if (const absl::StatusOr<IpAddress> ip = IpAddress::Parse(address.substr(0, address.find('/'))); ip.ok())
        peer.holders.push_back({*ip, allocation.holder()});
}

void AimByDiagnosis(const v1::Diagnosis& diagnosis, const v1::PeerInfo& info, GatherOptions& options) {
  options.bridge = info.bridge();
  options.datapath = diagnosis.datapath();
  options.store_path = info.store_path();
  options.port = static_cast<std::uint16_t>(diagnosis.port());
  for (const v1::Diagnosis::Connection& connection : diagnosis.connections()) {
    const IpAddress remote = RemoteOf(connection.address());
    const bool known = std::find(options.remotes.begin(), options.remotes.end(), remote) != options.remotes.end();
    if (remote.IsV4() && remote.value() != 0 && !known) options.remotes.push_back(remote);
  }
  if (const absl::StatusOr<Cidr> range = Cidr::Parse(diagnosis.allocator().range()); range.ok()) options.range = *range;

  const v1::Diagnosis::Firewall& told = diagnosis.firewall();
  options.firewall_backend = told.backend() == "legacy" ? FirewallBackend::kLegacy : FirewallBackend::kNft;
  FirewallConfig& firewall = options.firewall.emplace();
  firewall.bridge = info.bridge();
  firewall.port = options.port;
  firewall.expect_npc = told.expect_npc();
  if (const absl::StatusOr<IpAddress> ip = IpAddress::Parse(told.docker_bridge_address()); ip.ok()) {
    firewall.docker_bridge = told.docker_bridge();
    firewall.docker_bridge_address = *ip;
  }
  if (const absl::StatusOr<IpAddress> ip = IpAddress::Parse(told.control_address()); ip.ok())
    firewall.control = FirewallControlPort{*ip, static_cast<std::uint16_t>(told.control_port())};
  for (const v1::Diagnosis::Exposure& exposure : diagnosis.exposures())
    if (const absl::StatusOr<Cidr> cidr = Cidr::Parse(exposure.address()); cidr.ok())
      firewall.exposures.push_back({*cidr, exposure.masquerade()});
}

std::vector<PortFacts> PortsOf(const v1::Diagnosis& diagnosis, bool has_fastdp) {
  std::vector<PortFacts> ports;
  AddMeshPorts(static_cast<std::uint16_t>(diagnosis.port()), PortUse::kPeer,
               has_fastdp ? PortUse::kKernel : PortUse::kTunnel, ports);
  AddListener("TCP", diagnosis.http_address(), "control", "--http-addr", PortUse::kPeer, ports);
  AddListener("TCP", diagnosis.status_address(), "status", "--status-addr", PortUse::kPeer, ports);
  AddListener("TCP", diagnosis.metrics_address(), "metrics", "--metrics-addr", PortUse::kPeer, ports);
  for (const char* protocol : {"TCP", "UDP"})
    AddListener(protocol, diagnosis.dns_address(), "names", "--dns-listen-address", PortUse::kPeer, ports);
  return ports;
}

std::vector<PortFacts> PortsOf(const LaunchState& state) {
  std::vector<PortFacts> ports;
  std::uint32_t port = 0;
  if (!absl::SimpleAtoi(state.port, &port) || port == 0 || port >= 65535) port = kDefaultPort;
  AddMeshPorts(static_cast<std::uint16_t>(port), PortUse::kFree, PortUse::kTunnel, ports);
  AddListener("TCP", state.http_addr, "control", "--http-addr", PortUse::kFree, ports);
  AddListener("TCP", kDefaultStatus, "status", "--status-addr", PortUse::kFree, ports);
  return ports;
}

void AskPeer(CommandContext& context, const LaunchState& state, DoctorFacts& facts, GatherOptions& options) {
  PeerFacts& peer = facts.peer;
  peer.log_path = state.log_path;
  facts.ports = PortsOf(state);
  absl::StatusOr<PeerClient> client = PeerClient::Connect(context.instance.api_socket);
  if (!client.ok()) return JudgeSilence(context, client.status(), peer);
  const absl::StatusOr<v1::PeerInfo> info = client->GetInfo();
  if (!info.ok()) return JudgeSilence(context, info.status(), peer);
  TakeInfo(*info, peer);
  peer.pid = client->server_pid();  // as processes are numbered here, not where it runs
  options.bridge = info->bridge();
  options.store_path = info->store_path();

  const absl::StatusOr<v1::Diagnosis> diagnosis = SettledDiagnosis(*client);
  if (!diagnosis.ok()) {
    facts.unseen.push_back(
        absl::IsUnimplemented(diagnosis.status())
            ? absl::StrCat("the running peer is of version ", info->version(), ", which cannot say what it knows")
            : absl::StrCat("what the peer knows: ", diagnosis.status().message()));
    return;
  }
  TakeDiagnosis(*diagnosis, peer);
  facts.ports = PortsOf(*diagnosis, info->bridge_type() != "bridge");
  AimByDiagnosis(*diagnosis, *info, options);
  // NotFound: there is no allocator.
  if (const absl::StatusOr<v1::AllocationList> list = client->ListAllocations(); list.ok()) TakeHolders(*list, peer);
}

}  // namespace weave
