#include "plugin/docker/plugin_daemon.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "host/docker_network.h"
#include "io/event_loop.h"
#include "io/file.h"
#include "io/http_server.h"
#include "io/lock_file.h"
#include "io/signals.h"
#include "io/worker_pool.h"
#include "plugin/docker/address_keeper.h"
#include "plugin/docker/container_watch.h"
#include "plugin/docker/driver_api.h"
#include "plugin/docker/network_keeper.h"

namespace weave {
namespace {

constexpr int kQuickThreads = 8;
constexpr int kWaitingThreads = 32;
constexpr Duration kListenPause = absl::Seconds(5);

// Within a call of Docker's: it may be busy with itself.
DockerApiOptions InsideCall(const PluginOptions& options) { return {options.docker_api, absl::Milliseconds(1500)}; }

absl::StatusOr<NetworkSettings> AskSettings(const PluginOptions& options, absl::string_view network_id) {
  if (options.docker_api.empty()) return absl::UnavailableError("Docker is not to be asked (--docker-api)");
  ASSIGN_OR_RETURN(const DockerDaemon daemon, NegotiateDocker(InsideCall(options)));
  ASSIGN_OR_RETURN(const std::optional<DockerNetwork> network, FindDockerNetwork(daemon, network_id));
  if (!network) return absl::NotFoundError("Docker knows no such network");
  return ReadNetworkSettings(network->options, network->subnets);
}

absl::StatusOr<bool> AskInUse(const PluginOptions& options, const IpAddress& address) {
  if (options.docker_api.empty()) return absl::UnavailableError("Docker is not to be asked (--docker-api)");
  ASSIGN_OR_RETURN(const DockerDaemon daemon, NegotiateDocker(InsideCall(options)));
  ASSIGN_OR_RETURN(const std::set<std::string> addresses, ListContainerAddresses(daemon));
  return addresses.count(address.ToString()) > 0;
}

std::string DriverName(absl::string_view socket) {
  return std::string(absl::StripSuffix(socket.substr(socket.rfind('/') + 1), ".sock"));
}

// A driver's socket: listens, and tries again as long as somebody else is there.
class DriverSocket {
 public:
  DriverSocket(EventLoop& loop, std::string path, const DriverApi& api, Logger& logger)
      : path_(std::move(path)), router_(MakeDriverRouter(api)), logger_(logger), loop_(loop) {
    retry_ = loop.MakeTimer([this] {
      if (const absl::Status status = Listen(); !status.ok())
        logger_.Error("no Docker driver is served", {{"reason", status.message()}});
    });
  }

  // AlreadyExists is not returned: that is tried again.
  absl::Status Listen() {
    RETURN_IF_ERROR(EnsureDirectory(DirectoryOf(path_)));
    absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Listen(path_, router_, logger_);
    if (server.ok()) {
      server_ = *std::move(server);
      logger_.Info("serving a Docker driver", {{"driver", DriverName(path_)}, {"socket", path_}});
      return absl::OkStatus();
    }
    if (!absl::IsAlreadyExists(server.status())) return server.status();
    if (!told_) logger_.Warning("a Docker driver of this name runs already", {{"reason", server.status().message()}});
    told_ = true;
    retry_->Arm(loop_.now().monotonic + kListenPause);
    return absl::OkStatus();
  }

  void Close() { server_.reset(); }

 private:
  const std::string path_;
  const std::shared_ptr<const HttpRouter> router_;
  Logger& logger_;
  EventLoop& loop_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<Timer> retry_;
  bool told_ = false;
};

class PluginDaemon {
 public:
  PluginDaemon(const PluginOptions& options, Logger& logger, ServiceNotifier& notifier)
      : options_(options),
        logger_(logger),
        notifier_(notifier),
        // In a swarm one daemon asks for the addresses of containers on all hosts: only it knows when they end.
        peer_(options.api_socket, options.plugin_v2 ? v1::UPKEEP_HOLDER : v1::UPKEEP_DOCKER),
        networks_(options.state_file),
        network_driver_(
            {.bridge = options.weave_bridge,
             .proc_path = options.proc_path,
             .multicast_for_all = options.plugin_v2 && options.plugin_v2_multicast,
             .remove_interface = [this](int link_index,
                                        absl::string_view name) { return peer_.RemoveInterface(link_index, name); },
             .ask_settings = [this](absl::string_view id) { return AskSettings(options_, id); }},
            networks_, logger),
        ipam_driver_(peer_, [this](const IpAddress& address) { return AskInUse(options_, address); }),
        quick_("quick", kQuickThreads),
        waiting_("address", kWaitingThreads) {}

  absl::Status Run() {
    RETURN_IF_ERROR(EnsureDirectory(DirectoryOf(options_.api_socket)));
    ASSIGN_OR_RETURN(LockFile lock, LockFile::Acquire(absl::StrCat(DirectoryOf(options_.api_socket), "/plugin.lock")));
    ASSIGN_OR_RETURN(const auto signals,
                     SignalWatch::Create(loop_, {SIGTERM, SIGINT, kRemoveNetworkSignal}, [this](int signal) {
                       remove_network_ = signal == kRemoveNetworkSignal;
                       loop_.Stop();
                     }));
    RETURN_IF_ERROR(Serve(options_.plugin_socket, nullptr));
    RETURN_IF_ERROR(Serve(options_.plugin_mesh_socket, &ipam_driver_));
    WatchDocker();
    loop_.Run();
    CloseDown();
    return lock.ReleaseAndRemove();
  }

 private:
  absl::Status Serve(const std::string& path, IpamDriver* ipam) {
    if (path.empty()) return absl::OkStatus();
    drivers_.insert(DriverName(path));
    sockets_.push_back(std::make_unique<DriverSocket>(loop_, path,
                                                      DriverApi{.network = &network_driver_,
                                                                .ipam = ipam,
                                                                .global_scope = ipam == nullptr,
                                                                .quick = &quick_,
                                                                .waiting = &waiting_},
                                                      logger_));
    return sockets_.back()->Listen();
  }

  // A managed plugin is started by Docker before that answers anybody, and its containers are the swarm's.
  void WatchDocker() {
    if (options_.plugin_v2 || options_.docker_api.empty()) return notifier_.Ready();
    const DockerApiOptions docker{.address = options_.docker_api};
    containers_.emplace(drivers_, options_.proc_path, peer_, logger_);
    watch_ = std::make_unique<DockerEventWatch>(docker, containers_->Listener(), logger_);
    if (options_.plugin_mesh_socket.empty()) return notifier_.Ready();
    addresses_ = std::make_unique<AddressKeeper>(docker, drivers_, peer_, ipam_driver_, logger_);
    keeper_ = std::make_unique<NetworkKeeper>(docker, DriverName(options_.plugin_mesh_socket), peer_, logger_,
                                              [this] { notifier_.Ready(); });
  }

  // Docker asks us when a network goes, so sockets close last; once they are gone it no longer waits for us.
  void CloseDown() {
    watch_.reset();
    addresses_.reset();
    if (keeper_ != nullptr) {
      keeper_->Stop();
      const absl::Status removed = remove_network_ ? keeper_->Remove() : absl::OkStatus();
      if (!removed.ok()) logger_.Info("the Docker network stays", {{"reason", removed.message()}});
    }
    for (const auto& socket : sockets_) socket->Close();
  }

  const PluginOptions& options_;
  Logger& logger_;
  ServiceNotifier& notifier_;
  EventLoop loop_;
  const PeerAccess peer_;
  NetworkOptions networks_;
  NetworkDriver network_driver_;
  IpamDriver ipam_driver_;
  WorkerPool quick_;
  WorkerPool waiting_;
  std::set<std::string> drivers_;
  std::vector<std::unique_ptr<DriverSocket>> sockets_;
  std::optional<ContainerWatch> containers_;
  std::unique_ptr<DockerEventWatch> watch_;
  std::unique_ptr<AddressKeeper> addresses_;
  std::unique_ptr<NetworkKeeper> keeper_;
  bool remove_network_ = false;
};

}  // namespace

absl::Status RunPluginDaemon(const PluginOptions& options, Logger& logger, ServiceNotifier& notifier) {
  // Not destroyed: a worker may be waiting for the peer, and SIGTERM must end the process at once.
  auto* daemon = new PluginDaemon(options, logger, notifier);
  return daemon->Run();
}

}  // namespace weave
