#include "plugin/docker/container_watch.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/docker_api.h"
#include "host/netns.h"
#include "host/plugin_endpoint.h"

namespace weave {
namespace {

constexpr std::size_t kMaxKnownNetworks = 10'000;

// Under which names a container is found (spec/dns.md section 5). `domain` ends with a dot. What is outside the domain
// the peer passes over.
std::vector<std::string> NamesOf(const DockerContainerNetworks& container, const DockerContainerNetwork& network,
                                 absl::string_view domain) {
  std::vector<std::string> names = network.aliases;
  if (!container.hostname.empty())
    names.push_back(container.domainname.empty() ? container.hostname
                                                 : absl::StrCat(container.hostname, ".", container.domainname));
  if (!container.name.empty()) names.push_back(absl::StrCat(container.name, ".", domain));
  return names;
}

}  // namespace

ContainerWatch::ContainerWatch(std::set<std::string> drivers, std::string proc_path, const PeerAccess& peer,
                               Logger& logger)
    : drivers_(std::move(drivers)), proc_path_(std::move(proc_path)), peer_(peer), logger_(logger) {}

DockerEventWatch::Listener ContainerWatch::Listener() {
  DockerEventWatch::Listener listener;
  listener.on_connected = [this](const DockerDaemon& daemon) {
    const absl::StatusOr<std::vector<std::string>> running = ListRunningContainers(daemon);
    if (!running.ok()) return logger_.Warning("cannot list containers", {{"reason", running.status().message()}});
    RemoveNamesOfEnded({running->begin(), running->end()});
    for (const std::string& id : *running) OnStarted(daemon, id);
  };
  listener.on_event = [this](const DockerDaemon& daemon, const DockerEvent& event) {
    if (event.action == DockerEvent::Action::kStart) return OnStarted(daemon, event.container_id);
    // Most containers are not on our networks, and the peer may have no names: neither is worth a word.
    if (const absl::Status removed = peer_.RemoveNames(event.container_id); !removed.ok())
      logger_.Debug("names of a container stay", {{"container", event.container_id}, {"reason", removed.message()}});
  };
  return listener;
}

// Of those that ended while nobody watched.
void ContainerWatch::RemoveNamesOfEnded(const std::set<std::string>& running) {
  const absl::StatusOr<std::vector<std::string>> holders = peer_.NameHolders();
  if (!holders.ok()) return;  // no names, or no peer: one that starts looks by itself
  for (const std::string& holder : std::set<std::string>(holders->begin(), holders->end()))
    if (IsContainerId(holder) && running.count(holder) == 0) (void)peer_.RemoveNames(holder);
}

void ContainerWatch::OnStarted(const DockerDaemon& daemon, const std::string& container_id) {
  const absl::StatusOr<DockerContainerNetworks> container = InspectContainerNetworks(daemon, container_id);
  if (absl::IsNotFound(container.status())) return;  // gone again
  if (!container.ok())
    return logger_.Warning("cannot look at a container that started",
                           {{"container", container_id}, {"reason", container.status().message()}});
  if (container->pid == 0) return;
  bool ours = false;
  for (const auto& [network_id, network] : container->networks) {
    if (!IsOurs(daemon, network_id)) continue;
    ours = true;
    TellNames(container_id, *container, network);
  }
  if (!ours) return;
  const absl::Status tuned = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const NetNs ns, NetNs::OfPid(container->pid, proc_path_));
    return TunePluginInterfaces(ns, proc_path_);
  }();
  if (!tuned.ok() && !absl::IsNotFound(tuned))
    logger_.Warning("cannot set up a container's interfaces",
                    {{"container", container_id}, {"reason", tuned.message()}});
}

void ContainerWatch::TellNames(const std::string& container_id, const DockerContainerNetworks& container,
                               const DockerContainerNetwork& network) {
  const absl::StatusOr<std::string> domain = peer_.NameDomain();
  if (absl::IsNotFound(domain.status())) return;  // it was started without names
  const absl::Status told = domain.ok()
                                ? peer_.AddNames(container_id, network.address, NamesOf(container, network, *domain))
                                : domain.status();
  if (!told.ok())
    logger_.Warning("cannot tell all names of a container", {{"container", container_id}, {"reason", told.message()}});
}

bool ContainerWatch::IsOurs(const DockerDaemon& daemon, const std::string& network_id) {
  if (const auto known = networks_.find(network_id); known != networks_.end()) return known->second;
  const absl::StatusOr<std::optional<DockerNetwork>> network = FindDockerNetwork(daemon, network_id);
  if (!network.ok() || !network->has_value()) return false;
  if (networks_.size() >= kMaxKnownNetworks) networks_.clear();
  return networks_[network_id] = drivers_.count((*network)->driver) > 0;
}

}  // namespace weave
