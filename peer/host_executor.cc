#include "peer/host_executor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/attachment.h"
#include "base/status.h"
#include "fastdp/os/ovs_datapath.h"
#include "host/endpoint.h"
#include "host/host_survey.h"
#include "host/netns.h"
#include "host/router_port.h"
#include "host/sandbox.h"
#include "peer/bridge_plan.h"

namespace weave {
namespace {

HostResult Failure(absl::Status status) {
  HostResult result;
  result.status = std::move(status);
  return result;
}

// What interface names are made from (host/sandbox.h): the pid if the path tells one, else digits of the inode.
std::string LinkId(const SandboxRef& sandbox) {
  const std::vector<absl::string_view> parts = absl::StrSplit(sandbox.netns_path, '/');
  if (parts.size() >= 3 && parts[parts.size() - 2] == "ns") {
    const absl::string_view pid = parts[parts.size() - 3];
    int number = 0;
    if (absl::SimpleAtoi(pid, &number)) return std::string(pid);
  }
  const std::string inode = absl::StrCat(sandbox.netns_inode);
  return inode.size() <= 7 ? inode : inode.substr(inode.size() - 7);
}

Sandbox ToSandbox(const SandboxRef& ref) {
  return {.ident = ref.ident,
          .netns_path = ref.netns_path,
          .netns_inode = ref.netns_inode,
          .display = ref.ident.substr(0, 12),
          .link_id = LinkId(ref)};
}

// Of the addresses of an interface that is not of `weave attach`.
std::string HolderOn(const HostEnd& end) {
  return NetworkAttachment::Parse(end.alias).has_value() ? end.alias : kUnknownHolder;
}

std::vector<Cidr> Subnets(const std::vector<Cidr>& addresses) {
  std::vector<Cidr> subnets;
  for (const Cidr& address : addresses) subnets.push_back(address.Network());
  std::sort(subnets.begin(), subnets.end());
  subnets.erase(std::unique(subnets.begin(), subnets.end()), subnets.end());
  return subnets;
}

}  // namespace

HostExecutor::HostExecutor(EventLoop& loop, Netlink& netlink, PacketFilter filter, HostExecutorOptions options,
                           Logger& logger)
    : loop_(loop),
      netlink_(netlink),
      filter_(std::move(filter)),
      options_(std::move(options)),
      logger_(logger),
      firewall_workers_("firewall", 1),
      workers_("host", 1) {
  keeper_ = std::make_unique<FirewallKeeper>(loop_, firewall_workers_, logger_, filter_, FirewallKeeper::Options{});
}

HostExecutor::~HostExecutor() { alive_.reset(); }

void HostExecutor::InWorker(absl::AnyInvocable<HostResult()> work, Done done) {
  workers_.Submit(
      [this, work = std::move(work), done = std::move(done), alive = std::weak_ptr<Alive>(alive_)]() mutable {
        HostResult result = work();
        loop_.Post([alive, done = std::move(done), result = std::move(result)]() mutable {
          if (!alive.expired()) done(result);
        });
      });
}

void HostExecutor::Execute(HostAction action, Done done) {
  if (auto* sync = std::get_if<SyncHost>(&action)) return Sync(std::move(*sync), std::move(done));
  if (std::holds_alternative<TearDownHost>(action)) keeper_.reset();  // it would put the rules back
  InWorker(
      [this, action = std::move(action)] {
        if (const auto* attach = std::get_if<AttachEndpoint>(&action)) return Attach(*attach);
        if (const auto* detach = std::get_if<DetachEndpoint>(&action)) return Detach(*detach);
        if (const auto* inspect = std::get_if<InspectEndpoint>(&action)) return Inspect(*inspect);
        if (const auto* survey = std::get_if<SurveyAddresses>(&action)) return Survey(*survey);
        return TearDown(std::get<TearDownHost>(action));
      },
      std::move(done));
}

void HostExecutor::RemoveForeignRules() {
  firewall_workers_.Submit([this] {
    absl::Status removed = filter_.RemoveFromOther(Owner());
    if (!removed.ok())
      logger_.Warning("rules of an earlier peer may stay in the other packet filter", {{"reason", removed.message()}});
  });
}

void HostExecutor::SetIpsecPaths(std::vector<IpsecPath> paths, FirewallKeeper::Done done) {
  if (keeper_ == nullptr) return done(absl::CancelledError("packet filter: torn down"));
  keeper_->SetIpsecPaths(std::move(paths), std::move(done));
}

// The worker that will bring in the rules, so this is over before.
void HostExecutor::LookForForwardReject(absl::AnyInvocable<void()> found) {
  firewall_workers_.Submit([this, found = std::move(found), alive = std::weak_ptr<Alive>(alive_)]() mutable {
    if (!filter_.RejectsForwarding().value_or(false)) return;  // a filter that cannot be read fails SyncHost
    loop_.Post([alive, found = std::move(found)]() mutable {
      if (!alive.expired()) found();
    });
  });
}

FirewallOwner HostExecutor::Owner() const {
  return {options_.firewall.bridge, options_.firewall.docker_bridge, options_.firewall.port};
}

// The bridge first: rules that name it are useless without it. The addresses come with the bridge.
void HostExecutor::Sync(SyncHost action, Done done) {
  FirewallConfig firewall = options_.firewall;
  for (const ExposureRecord& exposure : action.exposures)
    firewall.exposures.push_back({exposure.cidr, exposure.masquerade});
  absl::StatusOr<RuleSet> rules = BuildRuleSet(firewall);
  auto sync_bridge = [this, action = std::move(action), rules_status = rules.status()] {
    return rules_status.ok() ? SyncBridge(action) : Failure(rules_status);
  };
  auto set_rules = [this, rules = std::move(rules), done = std::move(done)](const HostResult& bridge) mutable {
    if (!bridge.status.ok() || keeper_ == nullptr) return done(bridge);
    keeper_->SetRules(*std::move(rules),
                      [done = std::move(done)](absl::Status status) mutable { done(Failure(std::move(status))); });
  };
  InWorker(std::move(sync_bridge), std::move(set_rules));
}

HostResult HostExecutor::SyncBridge(const SyncHost& action) {
  if (const std::string& docker = options_.firewall.docker_bridge; !docker.empty())
    if (absl::Status pinned = PinBridgeMac(netlink_, docker); !pinned.ok()) return Failure(std::move(pinned));
  if (absl::StatusOr<BridgeState> bridge = SyncDevices(); !bridge.ok()) return Failure(bridge.status());
  const std::string& name = options_.bridge.name;
  for (const Cidr& retired : action.retired)
    if (absl::StatusOr<bool> removed = RemoveBridgeAddress(netlink_, name, retired); !removed.ok())
      return Failure(removed.status());
  for (const ExposureRecord& exposure : action.exposures)
    if (absl::StatusOr<bool> added = AddBridgeAddress(netlink_, name, exposure.cidr); !added.ok())
      return Failure(added.status());
  return {};
}

// The datapath first: of kind fastdp it is the bridge.
absl::StatusOr<BridgeState> HostExecutor::SyncDevices() {
  const BridgeSpec& spec = options_.bridge;
  int index = 0;
  if (spec.kind != BridgeKind::kBridge) {
    ASSIGN_OR_RETURN(index, EnsureOvsDatapath(spec.datapath));
  }
  ASSIGN_OR_RETURN(const BridgeState bridge, EnsureBridge(netlink_, spec));
  if (spec.kind == BridgeKind::kBridge) RETURN_IF_ERROR(SyncTap(bridge));
  if (spec.kind == BridgeKind::kBridgedFastdp)
    RETURN_IF_ERROR(ConnectDatapath(netlink_, bridge, spec.datapath, spec.proc_path));
  if (spec.kind != BridgeKind::kBridge) TellOfDatapath({spec.datapath, index});
  TellOfInterfaces(bridge);
  return bridge;
}

void HostExecutor::TellOfInterfaces(const BridgeState& bridge) {
  const bool may_grow = options_.bridge.mtu_follows_containers && !bridge.has_containers;
  const FastdpInterfaces interfaces{bridge.mtu_bytes, may_grow};
  if (interfaces == told_interfaces_ || !options_.on_interfaces) return;
  told_interfaces_ = interfaces;
  loop_.Post([this, interfaces, alive = std::weak_ptr<Alive>(alive_)] {
    if (!alive.expired()) options_.on_interfaces(interfaces);
  });
}

void HostExecutor::SetInterfaceMtu(std::uint32_t mtu_bytes) {
  if (keeper_ == nullptr || !options_.bridge.mtu_follows_containers) return;
  InWorker(
      [this, mtu_bytes] {
        options_.bridge.mtu_bytes = mtu_bytes;
        if (told_interfaces_ == FastdpInterfaces()) return HostResult();  // comes with the first SyncHost
        return Failure(SyncDevices().status());
      },
      [this, mtu_bytes](const HostResult& result) {
        if (!result.status.ok())
          logger_.Warning("the bridge does not get another MTU",
                          {{"mtu", mtu_bytes}, {"reason", result.status.message()}});
      });
}

void HostExecutor::FitInterfaceMtu() {
  if (keeper_ == nullptr || !options_.bridge.mtu_follows_containers) return;
  InWorker([this] { return Failure(SyncDevices().status()); }, [](const HostResult&) {});
}

void HostExecutor::TellOfDatapath(DatapathReady ready) {
  if (ready == told_ || !options_.on_datapath) return;
  told_ = ready;
  loop_.Post([this, ready = std::move(ready), alive = std::weak_ptr<Alive>(alive_)] {
    if (!alive.expired()) options_.on_datapath(ready);
  });
}

absl::Status HostExecutor::SyncTap(const BridgeState& bridge) {
  ASSIGN_OR_RETURN(const RouterPort port,
                   EnsureRouterPort(netlink_, bridge, kRouterPcapPort, options_.bridge.proc_path));
  if (port.router_index == tapped_index_ || !options_.on_tap) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::unique_ptr<BridgeTap> tap, BridgeTap::Open(kRouterPcapPort, options_.capture_buffer_size));
  tapped_index_ = port.router_index;
  loop_.Post([this, tap = std::move(tap), alive = std::weak_ptr<Alive>(alive_)]() mutable {
    if (!alive.expired()) options_.on_tap(std::move(tap));
  });
  return absl::OkStatus();
}

HostResult HostExecutor::Attach(const AttachEndpoint& action) {
  const EndpointRecord& record = action.endpoint;
  absl::StatusOr<std::optional<NetNs>> netns =
      OpenSandbox(record.sandbox.netns_path, record.sandbox.netns_inode, options_.bridge.proc_path);
  if (!netns.ok()) return Failure(netns.status());
  if (!netns->has_value()) return Failure(absl::NotFoundError("the container is gone"));
  // Before the interface: no multicast of another subnet gets in between.
  absl::Status filtered = filter_.ApplyInSandbox((*netns)->fd(), kContainerInterface, Subnets(record.addresses));
  if (!filtered.ok()) return Failure(Annotate(filtered, "packet filter of the container"));

  EndpointSpec spec;
  spec.sandbox = ToSandbox(record.sandbox);
  spec.bridge = options_.bridge.name;
  spec.addresses = record.addresses;
  spec.multicast_route = record.multicast_route;
  spec.proc_path = options_.bridge.proc_path;
  spec.tx_checksum_offload = options_.bridge.tx_checksum_offload;
  absl::StatusOr<Endpoint> endpoint = AttachSandbox(netlink_, spec);
  if (endpoint.ok()) return {absl::OkStatus(), {endpoint->mac, endpoint->host_ifname}, true};

  absl::StatusOr<SandboxInspection> inspection = InspectSandbox(record.sandbox.netns_path, record.sandbox.netns_inode,
                                                                kContainerInterface, options_.bridge.proc_path);
  const std::vector<Cidr> remaining =
      inspection.ok() && inspection->state == SandboxState::kAttached ? inspection->addresses : std::vector<Cidr>{};
  absl::Status restored = filter_.ApplyInSandbox((*netns)->fd(), kContainerInterface, Subnets(remaining));
  if (!restored.ok()) logger_.Warning("multicast rules stay in a container", {{"reason", restored.message()}});
  return Failure(endpoint.status());
}

HostResult HostExecutor::Detach(const DetachEndpoint& action) {
  const SandboxRef& sandbox = action.endpoint.sandbox;
  DetachSpec spec;
  spec.netns_path = sandbox.netns_path;
  spec.netns_inode = sandbox.netns_inode;
  spec.addresses = action.addresses;
  spec.remove_when_empty = action.remove_interface;
  spec.proc_path = options_.bridge.proc_path;
  absl::StatusOr<DetachResult> result = DetachSandbox(spec);
  if (!result.ok()) return Failure(result.status());
  absl::StatusOr<std::optional<NetNs>> netns =
      OpenSandbox(sandbox.netns_path, sandbox.netns_inode, options_.bridge.proc_path);
  if (netns.ok() && netns->has_value()) {
    absl::Status filtered = filter_.ApplyInSandbox((*netns)->fd(), kContainerInterface, Subnets(result->remaining));
    if (!filtered.ok()) logger_.Warning("multicast rules stay in a container", {{"reason", filtered.message()}});
  }
  return {};
}

HostResult HostExecutor::Inspect(const InspectEndpoint& action) {
  const SandboxRef& sandbox = action.endpoint.sandbox;
  absl::StatusOr<SandboxInspection> inspection =
      InspectSandbox(sandbox.netns_path, sandbox.netns_inode, kContainerInterface, options_.bridge.proc_path);
  if (!inspection.ok()) return Failure(inspection.status());
  HostResult result;
  result.present = inspection->state == SandboxState::kAttached;
  return result;
}

HostResult HostExecutor::Survey(const SurveyAddresses& action) {
  absl::StatusOr<std::optional<HostSurvey>> found =
      SurveyHost(netlink_, options_.bridge.name, action.ports, action.thorough, options_.bridge.proc_path);
  if (!found.ok() || !found->has_value()) return Failure(found.status());
  HostSurvey& host = **found;
  HostResult result;
  AddressSurvey& survey = result.survey.emplace();
  survey.ports = std::move(host.ports_digest);
  survey.complete = host.complete;
  survey.present.insert(host.present.begin(), host.present.end());
  survey.attachments.insert(host.aliases.begin(), host.aliases.end());
  for (const HostSurvey::Port& port : host.ports)
    if (port.container.has_value())
      for (const Cidr& address : port.container->addresses) survey.in_use.push_back({HolderOn(port.host), address});
  return result;
}

HostResult HostExecutor::TearDown(const TearDownHost& action) {
  for (const EndpointRecord& endpoint : action.endpoints) {
    HostResult detached = Detach({endpoint, endpoint.addresses, true});
    if (!detached.status.ok()) return detached;
  }
  absl::Status removed = RemoveDataPath(netlink_, options_.bridge.name, options_.bridge.datapath);
  if (!removed.ok()) return Failure(removed);
  return Failure(PacketFilter::RemoveFromAll(Owner()));
}

namespace {

// What `weave attach` makes, and nobody else; an interface of CNI's may be called that, but says whose it is.
bool IsOurs(const HostEnd& host, const ContainerEnd& container) {
  return host.alias.empty() && container.interface == kContainerInterface &&
         absl::StartsWith(host.host_ifname, kHostIfnamePrefix);
}

// Interfaces in the bridge that no record tells of: the store was lost, or others made them.
void LookAtStrays(Netlink& netlink, const std::vector<HostEnd>& ends, const std::string& proc_path,
                  HostInventory& inventory, Logger& logger) {
  const std::vector<absl::StatusOr<ContainerEnd>> containers = FindContainerEnds(netlink, ends, proc_path);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const HostEnd& host = ends[i];
    if (!containers[i].ok()) {
      logger.Warning("cannot look into a container that is not on record: its addresses may be given to others",
                     {{"interface", host.host_ifname}, {"reason", containers[i].status().message()}});
      continue;
    }
    const ContainerEnd& container = *containers[i];
    if (IsOurs(host, container) && !container.addresses.empty()) {
      inventory.strays.push_back({{NetNsIdent(container.netns_inode), container.netns_path, container.netns_inode},
                                  {container.netns_inode, {container.mac, host.host_ifname}, container.addresses}});
      continue;
    }
    for (const Cidr& address : container.addresses) inventory.in_use.push_back({HolderOn(host), address});
  }
}

}  // namespace

absl::StatusOr<HostInventory> TakeInventory(Netlink& netlink, absl::string_view bridge,
                                            const std::vector<Record>& records, const std::string& proc_path,
                                            Logger& logger) {
  HostInventory inventory;
  absl::StatusOr<std::vector<Cidr>> addresses = ListBridgeAddresses(netlink, bridge);
  if (addresses.ok())
    inventory.bridge_addresses = *std::move(addresses);
  else if (!absl::IsNotFound(addresses.status()))
    return addresses.status();

  ASSIGN_OR_RETURN(std::vector<HostEnd> ends, ListEndpoints(netlink, bridge));
  for (const Record& record : records) {
    const auto* endpoint = std::get_if<EndpointRecord>(&record);
    if (endpoint == nullptr) continue;
    const SandboxRef& sandbox = endpoint->sandbox;
    absl::StatusOr<SandboxInspection> inspection =
        InspectSandbox(sandbox.netns_path, sandbox.netns_inode, kContainerInterface, proc_path);
    if (!inspection.ok()) return Annotate(inspection.status(), absl::StrCat("container ", sandbox.ident));
    if (inspection->state == SandboxState::kNoInterface) inventory.unattached.push_back(sandbox.netns_inode);
    if (inspection->state != SandboxState::kAttached) continue;
    // Not only among the bridge's ports: the bridge may be gone, and this end with it out of any.
    ASSIGN_OR_RETURN(const std::optional<LinkInfo> end, netlink.FindLink(inspection->host_index));
    const bool ours = end.has_value() && IsHostIfname(end->name) && end->peer_index == inspection->container_index;
    const std::string host_ifname = ours ? end->name : "";
    ends.erase(std::remove_if(ends.begin(), ends.end(), [&](const HostEnd& e) { return e.host_ifname == host_ifname; }),
               ends.end());
    inventory.endpoints.push_back({sandbox.netns_inode, {inspection->mac, host_ifname}, inspection->addresses});
  }
  LookAtStrays(netlink, ends, proc_path, inventory, logger);
  return inventory;
}

}  // namespace weave
