#include "peer/daemon.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/version.h"
#include "dns/os/dns_server.h"
#include "host/conntrack.h"
#include "host/identity.h"
#include "host/link_monitor.h"
#include "host/link_remover.h"
#include "host/netlink.h"
#include "host/packet_filter.h"
#include "host/router_port.h"
#include "io/entropy.h"
#include "io/event_loop.h"
#include "io/file.h"
#include "io/http_server.h"
#include "io/lock_file.h"
#include "io/record_store.h"
#include "io/signals.h"
#include "io/startup_pages.h"
#include "io/watchdog.h"
#include "peer/api_service.h"
#include "peer/bridge_plan.h"
#include "peer/control_api.h"
#include "peer/core/peer_core.h"
#include "peer/core_driver.h"
#include "peer/diagnosis.h"
#include "peer/dns_pages.h"
#include "peer/dns_setup.h"
#include "peer/fast_path.h"
#include "peer/host_executor.h"
#include "peer/host_setup.h"
#include "peer/ipam_pages.h"
#include "peer/legacy_import.h"
#include "peer/metrics.h"
#include "peer/network_port.h"
#include "peer/network_setup.h"
#include "peer/peer_targets.h"
#include "peer/record_codec.h"
#include "peer/report.h"
#include "peer/status_pages.h"

namespace weave {
namespace {

// How long open API calls may keep a stopping peer (it must be gone within 1 s of SIGTERM).
constexpr std::chrono::milliseconds kApiShutdownTime(200);

// Between two lookups of a peer of the last run whose name means nothing now.
const Duration kLookupInterval = absl::Seconds(30);

std::string RunDirectory(const WeaverOptions& options) {
  return std::filesystem::path(options.api_socket).parent_path().string();
}

std::string LockPath(const WeaverOptions& options) { return RunDirectory(options) + "/weaver.lock"; }

std::string StorePath(const WeaverOptions& options) { return options.db_prefix + "data.db"; }  // contract A3-26

std::string StoreDirectory(const WeaverOptions& options) {
  return std::filesystem::path(StorePath(options)).parent_path().string();
}

absl::StatusOr<LockFile> TakePeerLock(const WeaverOptions& options) {
  RETURN_IF_ERROR(EnsureDirectory(RunDirectory(options), 0755));
  absl::StatusOr<LockFile> lock = LockFile::Acquire(LockPath(options));
  if (!absl::IsAlreadyExists(lock.status())) return lock;
  return Annotate(lock.status(), "another peer is running");
}

// A record of a kind that only a later version knows is left where it is.
std::vector<Record> DecodeRecords(const std::map<std::string, std::string>& stored, Logger& logger) {
  std::vector<Record> records;
  for (const auto& [key, bytes] : stored) {
    absl::StatusOr<Record> record = DecodeRecord(key, bytes);
    if (record.ok())
      records.push_back(*std::move(record));
    else
      logger.Error("a stored record cannot be used", {{"reason", record.status().message()}});
  }
  return records;
}

absl::StatusOr<std::unique_ptr<grpc::Server>> ServeApi(const std::string& socket, ApiService& service) {
  struct stat existing;
  if (::lstat(socket.c_str(), &existing) == 0 && !S_ISSOCK(existing.st_mode))
    return absl::FailedPreconditionError(absl::StrCat("--api-socket: ", socket, " exists and is not a socket"));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("unix:", socket), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError(absl::StrCat("--api-socket: cannot listen on ", socket));
  ::chmod(socket.c_str(), 0600);
  return server;
}

// Everything a running peer consists of. Members are built top to bottom and end bottom to top.
class Daemon {
 public:
  Daemon(const WeaverOptions& options, Logger& logger, ServiceNotifier& notifier)
      : options_(options), logger_(logger), notifier_(notifier) {}

  absl::Status Run() {
    absl::Status built = Build();
    if (built.ok()) {
      driver_->Start(records_, inventory_);
      LookUpFirstPeers();
      loop_.Run();
      notifier_.Stopping();
    }
    Close();
    if (!built.ok() || !failure_.ok() || take_back_) Undo();
    RETURN_IF_ERROR(built);
    return failure_;
  }

 private:
  // Nothing here changes the host beyond our own files: what fails, fails before.
  absl::Status Build() {
    ASSIGN_OR_RETURN(signals_, SignalWatch::Create(loop_, {SIGTERM, SIGINT, SIGQUIT, kTakeBackSignal},
                                                   [this](int signal) { OnSignal(signal); }));
    ASSIGN_OR_RETURN(LockFile lock, TakePeerLock(options_));
    lock_.emplace(std::move(lock));

    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    netlink_.emplace(std::move(netlink));
    ASSIGN_OR_RETURN(bridge_plan_, PlanBridge(options_, *netlink_));
    ASSIGN_OR_RETURN(FirewallConfig firewall, MakeFirewallConfig(options_, *netlink_));
    ASSIGN_OR_RETURN(const PacketFilter filter, DetectPacketFilter());

    store_is_new_ = ::access(StorePath(options_).c_str(), F_OK) != 0;
    store_directory_is_new_ = ::access(StoreDirectory(options_).c_str(), F_OK) != 0;
    ASSIGN_OR_RETURN(RecordStore::OpenResult store, RecordStore::Open(StorePath(options_), logger_, ImportLegacyStore));
    store_ = std::move(store.store);
    ASSIGN_OR_RETURN(const auto stored, store_->ReadAll());
    records_ = DecodeRecords(stored, logger_);
    if (!store.imported_path.empty())
      logger_.Info("ring and addresses of Weave Net 2.8 taken over",
                   {{"records", absl::StrCat(records_.size())}, {"its_file", store.imported_path}});
    ASSIGN_OR_RETURN(const PeerIdentity identity, FindPeerIdentity(options_, *netlink_, records_, logger_));
    ASSIGN_OR_RETURN(inventory_,
                     TakeInventory(*netlink_, options_.weave_bridge, records_, options_.proc_path, logger_));

    IdentityOptions machine;
    machine.proc_path = options_.proc_path;
    ASSIGN_OR_RETURN(const std::string boot_id, BootId(machine));
    std::string nickname = options_.nickname;
    if (nickname.empty()) {
      ASSIGN_OR_RETURN(nickname, Hostname());
    }
    ASSIGN_OR_RETURN(NetworkPortOptions network, MakeNetworkPortOptions(options_));
    network.name = identity.name;
    first_peers_ = FirstPeers(options_, records_);
    targets_ = std::make_unique<PeerTargetResolver>(loop_);
    PeerConfig peer = MakePeerConfig(options_, identity.name, nickname, boot_id, first_peers_);
    peer.fastdp = MakeFastdpConfig(options_, bridge_plan_, identity.name);
    core_ = std::make_unique<PeerCore>(std::move(peer), entropy_, logger_);

    HostExecutorOptions host;
    host.bridge.kind = bridge_plan_.kind;
    host.bridge.name = options_.weave_bridge;
    host.bridge.datapath = bridge_plan_.datapath.empty() ? DatapathName(options_) : bridge_plan_.datapath;
    host.bridge.mac = identity.name.ToMac();
    host.bridge.mtu_bytes = static_cast<std::uint32_t>(options_.mtu);
    host.bridge.mtu_follows_containers = bridge_plan_.kind != BridgeKind::kBridge && options_.mtu == 0;
    host.bridge.tx_checksum_offload = true;  // the tap sees what is left to be done, and does it
    host.capture_buffer_size = static_cast<std::size_t>(options_.bufsz) * 1024 * 1024;
    host.on_tap = [this](std::unique_ptr<BridgeTap> tap) { network_->Attach(std::move(tap)); };
    host.on_datapath = [this](const DatapathReady& ready) { fast_path_->OnDatapath(ready); };
    host.on_interfaces = [this](const FastdpInterfaces& interfaces) { driver_->OnNetwork(interfaces); };
    host.bridge.proc_path = options_.proc_path;
    host.firewall = std::move(firewall);
    host_ = std::make_unique<HostExecutor>(loop_, *netlink_, filter, std::move(host), logger_);
    host_->LookForForwardReject([this] { WarnOfForwardReject(); });
    network_ = std::make_unique<NetworkPort>(
        loop_, network, [this](const NetworkEvent& event) { driver_->OnNetwork(event); },
        [this] {
          if (!core_->resetting()) driver_->HostChanged(BridgeLost{});
        },
        logger_);
    if (bridge_plan_.kind != BridgeKind::kBridge) {
      ASSIGN_OR_RETURN(fast_path_, FastPath::Create(loop_, options_, filter, *host_, *network_, logger_));
    }
    driver_ = std::make_unique<CoreDriver>(loop_, *core_, *store_, *host_, *network_);
    driver_->SetObserver([this] { OnCoreChanged(); });
    WarnOfRangeOverlap();

    RETURN_IF_ERROR(Annotate(network_->Open(), "--port, --host"));
    RETURN_IF_ERROR(ServeNames());
    RETURN_IF_ERROR(Listen());
    StartWatchdog();
    logger_.Info("starting", {{"version", kVersion},
                              {"name", identity.name.ToString()},
                              {"nickname", nickname},
                              {"packet_filter", ToString(filter.backend())},
                              {"bridge_type", ToString(bridge_plan_.kind)}});
    if (!bridge_plan_.fallback_reason.empty())
      logger_.Warning("the bridge is not of the type that it would be by default",
                      {{"type", ToString(bridge_plan_.kind)}, {"reason", bridge_plan_.fallback_reason}});
    return absl::OkStatus();
  }

  absl::StatusOr<PacketFilter> DetectPacketFilter() {
    const char* wish = ::getenv("IPTABLES_BACKEND");
    PacketFilterOptions options;
    absl::StatusOr<std::optional<FirewallBackend>> backend = ParseFirewallBackend(wish == nullptr ? "" : wish);
    if (!backend.ok()) return Annotate(backend.status(), "IPTABLES_BACKEND");
    options.backend = *backend;
    return PacketFilter::Detect(options);
  }

  absl::Status Listen() {
    ApiServiceOptions api;
    api.bridge = options_.weave_bridge;
    api.sandbox.proc_path = options_.proc_path;
    api.sandbox.docker.address = options_.docker_api;
    api_ = std::make_unique<ApiService>(
        loop_, *driver_, std::move(api),
        ApiHooks{[this] { return MakePeerInfo(*core_, options_, bridge_plan_, StorePath(options_)); },
                 [this] { return Diagnose(); }, [this] { return core_->Snapshot(); }, [this] { return BridgeMac(); },
                 [this] { return core_->allocator(); }, [this](const std::string& page) { return Page(page); },
                 [this] { Stop(); }, [this] { return Report(); }, [this] { return core_->names(); },
                 [this] { return dns_->address(); }, [this](auto... args) { ConnectPeers(std::move(args)...); },
                 [this](auto... args) { remover_.Remove(std::move(args)...); }});
    ASSIGN_OR_RETURN(api_server_, ServeApi(options_.api_socket, *api_));

    const ControlRouters routers =
        MakeControlRouters(loop_, *driver_,
                           {[this](const std::string& page) { return Page(page); },
                            [this] { return core_->ready(); },
                            [this] { return Metrics(); },
                            [this] { return Report(); },
                            &report_workers_,
                            [this](auto... args) { ConnectPeers(std::move(args)...); },
                            {core_->allocator(), [this](auto... args) { api_->CheckAlive(std::move(args)...); }},
                            {core_->names(), [this] { return dns_->address().ToString(); },
                             [this](auto... args) { api_->CheckAlive(std::move(args)...); }}});
    const std::vector<std::tuple<const char*, std::string, std::shared_ptr<const HttpRouter>>> listeners = {
        {"--http-addr", options_.http_addr, routers.control},
        {"--status-addr", options_.status_addr, routers.status},
        {"--metrics-addr", options_.metrics_addr, routers.metrics}};
    for (const auto& [flag, address, router] : listeners) {
      if (address.empty()) continue;
      absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Listen(address, router, logger_);
      if (!server.ok()) return Annotate(server.status(), flag);
      http_servers_.push_back(*std::move(server));
    }
    return absl::OkStatus();
  }

  absl::Status ServeNames() {
    if (core_->names() == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(const DnsServerOptions dns, MakeDnsServerOptions(options_));
    absl::StatusOr<std::unique_ptr<DnsServer>> server =
        DnsServer::Listen(loop_, *core_->names(), entropy_, dns, logger_);
    if (!server.ok()) return Annotate(server.status(), "--dns-listen-address");
    dns_ = *std::move(server);
    return absl::OkStatus();
  }

  // Containers that others have attached may have ended while we were away.
  void CheckNameHolders() {
    for (const std::string& holder : core_->NameHoldersToCheck())
      api_->CheckAlive(holder, [this, holder](bool alive) {
        if (alive) return;
        loop_.Post([this, holder] {
          driver_->Submit(RemoveNamesRequest{holder, std::nullopt, std::nullopt}, [](const Reply&) {});
        });
      });
  }

  std::optional<DnsView> Names() const {
    if (dns_ == nullptr) return std::nullopt;
    DnsView view{core_->names()->domain(), {}, dns_->address().ToString(), options_.dns_ttl, core_->names()->Listing()};
    for (const SocketAddress& upstream : dns_->upstreams()) view.upstreams.push_back(upstream.ip.ToString());
    return view;
  }

  void StartWatchdog() {
    Watchdog::Options watchdog;
    if (notifier_.watchdog_interval().has_value()) {
      watchdog.ping_interval = *notifier_.watchdog_interval();
      watchdog.ping = [this] { notifier_.Watchdog(); };
    }
    watchdog_ = std::make_unique<Watchdog>(loop_, logger_, std::move(watchdog));
  }

  void OnCoreChanged() {
    if (started_ || stopping_) return;
    if (!core_->host_error().ok()) {
      failure_ = core_->host_error();
      return Stop();
    }
    if (!core_->ready() || !first_peers_known_) return;
    started_ = true;
    absl::Status watching = WatchLinks();
    if (!watching.ok()) logger_.Error("cannot watch the host's links", {{"reason", watching.message()}});
    notifier_.Ready();
    logger_.Info("ready");
    host_->RemoveForeignRules();
    CheckNameHolders();
    ReleaseStartupPages();
  }

  void WarnOfForwardReject() {
    const std::string warning =
        absl::StrCat("the iptables rule '-A FORWARD ", kForwardReject,
                     "' of this host may block name resolution via weaveDNS and what containers exchange with other "
                     "networks: please reconfigure the firewall");
    logger_.Warning(warning);
    notifier_.Warning(warning);
  }

  void WarnOfRangeOverlap() {
    const absl::StatusOr<std::optional<std::string>> overlap = FindRangeOverlap(options_);
    if (!overlap.ok() || !overlap->has_value()) return;
    logger_.Warning(**overlap);
    notifier_.Warning(**overlap);
  }

  // A name that means nothing now is a mistake on the command line. One of the last run was right once: it is looked up
  // again.
  void LookUpFirstPeers() {
    targets_->Resolve(first_peers_, [this](PeerTargetResolver::Result result) {
      if (!result.errors.empty() && !options_.resume && !options_.restarted) {
        failure_ = result.errors.front();
        return Stop();
      }
      for (const absl::Status& error : result.errors)
        logger_.Error("a peer cannot be dialled", {{"reason", error.message()}});
      if (!result.failed.empty()) LookUpLater(result.failed);
      if (!result.peers.empty())
        driver_->Submit(ConnectRequest{std::move(result.peers), /*replace=*/false}, [](const Reply&) {});
      first_peers_known_ = true;
      OnCoreChanged();
    });
  }

  void LookUpLater(const std::vector<std::string>& peers) {
    lookup_timer_ = loop_.MakeTimer([this, peers] {
      targets_->Resolve(peers, [this](PeerTargetResolver::Result result) {
        if (!result.failed.empty()) LookUpLater(result.failed);
        const std::vector<std::string> wanted = core_->mesh().DirectPeers();
        std::erase_if(result.peers, [&](const DirectPeer& peer) {
          return !std::binary_search(wanted.begin(), wanted.end(), peer.text);  // forgotten meanwhile
        });
        if (!result.peers.empty())
          driver_->Submit(ConnectRequest{std::move(result.peers), /*replace=*/false}, [](const Reply&) {});
      });
    });
    lookup_timer_->Arm(loop_.now().monotonic + kLookupInterval);
  }

  void ConnectPeers(std::vector<std::string> peers, bool replace,
                    absl::AnyInvocable<void(std::vector<absl::Status>)> done) {
    targets_->Resolve(
        std::move(peers), [this, replace, done = std::move(done)](PeerTargetResolver::Result result) mutable {
          driver_->Submit(ConnectRequest{std::move(result.peers), replace},
                          [errors = std::move(result.errors), done = std::move(done)](const Reply& reply) mutable {
                            if (!reply.status.ok()) errors.push_back(reply.status);
                            done(std::move(errors));
                          });
        });
  }

  absl::Status WatchLinks() {
    LinkMonitorOptions options;
    options.bridge = options_.weave_bridge;
    if (bridge_plan_.kind == BridgeKind::kBridgedFastdp)
      options.parts = {bridge_plan_.datapath, std::string(kRouterBridgePort), std::string(kRouterDatapathPort)};
    LinkMonitorCallbacks callbacks;
    callbacks.on_host_end_gone = [this](const std::string& name, int link_index) {
      remover_.OnGone(link_index);
      driver_->HostChanged(EndpointGone{name});
      host_->FitInterfaceMtu();
    };
    callbacks.on_ports_changed = [this] { driver_->HostChanged(PortsChanged{}); };
    callbacks.on_bridge_gone = [this] {
      if (core_->resetting()) return;
      logger_.Error("the bridge is gone, making it again", {{"bridge", options_.weave_bridge}});
      driver_->HostChanged(BridgeLost{});
    };
    callbacks.on_part_lost = [this](const std::string& part) {
      if (core_->resetting()) return;
      logger_.Error("a part of the data path is gone, making it again", {{"interface", part}});
      driver_->HostChanged(BridgeLost{});
    };
    callbacks.on_bridge_down = [this] {
      logger_.Error("the bridge is down: containers cannot talk", {{"bridge", options_.weave_bridge}});
    };
    callbacks.on_hairpin = [this](const std::string& port) {
      logger_.Error(absl::StrCat("Hairpin mode enabled on \"", port, "\""));  // contract A7-10
    };
    ASSIGN_OR_RETURN(links_, LinkMonitor::Start(loop_, std::move(options), std::move(callbacks)));
    return absl::OkStatus();
  }

  // SIGQUIT: what the peer knows goes to the log, and it carries on (contract A3-36).
  void DumpState() {
    if (driver_ == nullptr) return;
    const PeerSnapshot snapshot = core_->Snapshot();
    logger_.Info("state", {{"ready", snapshot.ready ? "yes" : "no"},
                           {"resetting", snapshot.resetting ? "yes" : "no"},
                           {"host", snapshot.host_error.ToString()},
                           {"waiting_requests", driver_->waiting_count()},
                           {"slow_turns", watchdog_->long_turn_count()},
                           {"store_commits", store_->stats().commit_count},
                           {"firewall_reapplied", host_->firewall_reapplied_count()}});
    for (const EndpointTable::View& view : snapshot.endpoints)
      logger_.Info("state of an endpoint", {{"container", view.record.sandbox.ident},
                                            {"interface", view.link->host_ifname},
                                            {"addresses", view.record.addresses.size()}});
    for (const ExposureRecord& exposure : snapshot.exposures)
      logger_.Info("state of an exposure", {{"address", exposure.cidr.ToString()}});
  }

  void OnSignal(int signal) {
    if (signal == SIGQUIT) return DumpState();
    take_back_ = signal == kTakeBackSignal;
    Stop();
  }

  void Stop() {
    stopping_ = true;
    loop_.Stop();
  }

  v1::Diagnosis Diagnose() const {
    v1::Diagnosis diagnosis = MakeDiagnosis(loop_.now(), *core_, options_, bridge_plan_);
    DescribeFirewall(host_->firewall(), host_->firewall_backend(), *diagnosis.mutable_firewall());
    if (dns_ != nullptr) diagnosis.set_dns_address(dns_->address().ToString());
    diagnosis.set_store_failure_count(store_->stats().failed_batch_count);
    return diagnosis;
  }

  std::string BridgeMac() {
    absl::StatusOr<std::optional<MacAddress>> mac = FindBridgeMac(*netlink_, options_.weave_bridge);
    return mac.ok() && mac->has_value() ? (*mac)->ToString() : std::string();
  }

  absl::StatusOr<std::string> Page(const std::string& page) const {
    StatusView view = MakeStatusView(core_->Snapshot(), core_->mesh().Status(loop_.now()), kVersion);
    if (page.empty() || page == "dns") view.dns = Names();
    view.bridge_type = std::string(ToString(bridge_plan_.kind));
    view.bridge_type_reason = bridge_plan_.fallback_reason;
    view.plugin = MakePluginView(options_);
    if (page.empty()) return StatusPage(view);
    if (page == "targets") return TargetsPage(view);
    if (page == "connections") return ConnectionsPage(view);
    if (page == "peers") return PeersPage(view);
    if (page == "dns" && view.dns.has_value()) return DnsPage(*view.dns);
    if (page == "ipam" && view.ipam.has_value()) return IpamPage(*view.ipam);
    return absl::NotFoundError(absl::StrCat("no status page \"", page, "\""));
  }

  ReportView Report() const {
    ReportView view{kVersion, core_->ready(), core_->mesh().Status(loop_.now()), core_->Snapshot().ipam};
    view.dns = Names();
    const DataPathStats stats = network_->data_path_stats();
    view.data_path = MakeDataPathView(stats, core_->mesh().topology(), loop_.now());
    if (bridge_plan_.kind != BridgeKind::kBridge) {
      view.data_path.interface = bridge_plan_.datapath;
      view.data_path.flow_misses = stats.datapath.misses;
    }
    view.plugin = MakePluginView(options_);
    return view;
  }

  std::string Metrics() const {
    const PeerSnapshot snapshot = core_->Snapshot();
    MetricsView view;
    view.version = kVersion;
    view.host_sync_ok = snapshot.ready && snapshot.host_error.ok();
    view.bridge_type = std::string(ToString(bridge_plan_.kind));
    view.endpoint_count = snapshot.endpoints.size();
    view.exposure_count = snapshot.exposures.size();
    MeshStatus mesh = core_->mesh().Status(loop_.now());
    view.connections = std::move(mesh.connections);
    view.connection_termination_count = mesh.termination_count;
    view.ipam = snapshot.ipam;
    view.claimed_address_count = core_->address_watch().claimed_count();
    view.released_address_count = core_->address_watch().released_count();
    if (dns_ != nullptr) view.dns = DnsMetrics{core_->names()->own_count(), dns_->stats()};
    view.data_path = network_->data_path_stats();
    view.loop_slow_turn_count = watchdog_->long_turn_count();
    view.firewall_reapplied_count = host_->firewall_reapplied_count();
    view.store_commit_count = store_->stats().commit_count;
    view.store_commit_failure_count = store_->stats().failed_batch_count;
    if (absl::StatusOr<ProcessStats> process = ReadProcessStats(options_.proc_path); process.ok())
      view.process = *process;
    return MetricsPage(view);
  }

  // Ends the parts that other processes see. The rest ends with the process.
  void Close() {
    if (api_ != nullptr) api_->Close();
    if (api_server_ != nullptr) api_server_->Shutdown(std::chrono::system_clock::now() + kApiShutdownTime);
    http_servers_.clear();
    links_.reset();
    dns_.reset();
    network_.reset();
    if (started_) ForgetFlows();
    watchdog_.reset();
    store_.reset();
    if (api_server_ != nullptr) ::unlink(options_.api_socket.c_str());
  }

  // So that what a host translated or dropped on the way here does not outlive the peer (contract A2-26).
  void ForgetFlows() {
    const absl::StatusOr<std::size_t> count = ForgetUdpFlowsTo(static_cast<std::uint16_t>(options_.port));
    if (count.ok())
      logger_.Debug("forgot the tracked flows of the port", {{"port", options_.port}, {"count", *count}});
    else
      logger_.Debug("the tracked flows of the port stay", {{"reason", count.status().message()}});
  }

  // A start that failed, or that nobody waited for: what it made goes again.
  void Undo() {
    if (host_ != nullptr && bridge_plan_.created) {
      logger_.Info("undoing this start");
      host_.reset();  // waits for what it is doing
      if (absl::Status undone = CleanUpHost(options_); !undone.ok())
        logger_.Warning("not all could be undone", {{"reason", undone.message()}});
    }
    if (!store_is_new_) return;
    if (absl::Status undone = RecordStore::Remove(StorePath(options_)); !undone.ok())
      logger_.Warning("the new store stays", {{"reason", undone.message()}});
    if (store_directory_is_new_) ::rmdir(StoreDirectory(options_).c_str());  // fails unless it is empty
  }

  const WeaverOptions& options_;
  Logger& logger_;
  ServiceNotifier& notifier_;
  bool started_ = false;
  bool stopping_ = false;
  bool take_back_ = false;
  absl::Status failure_;

  EventLoop loop_;
  std::unique_ptr<SignalWatch> signals_;
  std::optional<LockFile> lock_;
  std::optional<Netlink> netlink_;
  BridgePlan bridge_plan_;
  bool store_is_new_ = false;            // what is there now was made by this start
  bool store_directory_is_new_ = false;  // the same
  std::unique_ptr<RecordStore> store_;
  std::vector<Record> records_;
  HostInventory inventory_;
  KernelEntropy entropy_;
  std::vector<std::string> first_peers_;
  bool first_peers_known_ = false;
  std::unique_ptr<PeerCore> core_;
  std::unique_ptr<HostExecutor> host_;
  std::unique_ptr<NetworkPort> network_;
  std::unique_ptr<FastPath> fast_path_;  // null: no datapath
  std::unique_ptr<DnsServer> dns_;       // null: --no-dns
  std::unique_ptr<PeerTargetResolver> targets_;
  std::unique_ptr<Timer> lookup_timer_;
  WorkerPool report_workers_{"report", 1};
  LinkRemover remover_{loop_};
  std::unique_ptr<CoreDriver> driver_;
  std::unique_ptr<ApiService> api_;
  std::unique_ptr<grpc::Server> api_server_;
  std::vector<std::unique_ptr<HttpServer>> http_servers_;
  std::unique_ptr<LinkMonitor> links_;
  std::unique_ptr<Watchdog> watchdog_;
};

}  // namespace

absl::Status RunDaemon(const WeaverOptions& options, Logger& logger, ServiceNotifier& notifier) {
  // Never destroyed: a worker may be waiting for Docker or a packet filter program, and the process ends now.
  return (new Daemon(options, logger, notifier))->Run();
}

}  // namespace weave
