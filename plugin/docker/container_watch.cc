#include "plugin/docker/container_watch.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/netns.h"
#include "host/plugin_endpoint.h"

namespace weave {
namespace {

constexpr std::size_t kMaxKnownNetworks = 10'000;

std::string FullName(const DockerContainerNetworks& container) {
  if (container.domainname.empty()) return container.hostname;
  return absl::StrCat(container.hostname, ".", container.domainname);
}

}  // namespace

ContainerWatch::ContainerWatch(std::set<std::string> drivers, std::string proc_path, NameSink* names, Logger& logger)
    : drivers_(std::move(drivers)), proc_path_(std::move(proc_path)), names_(names), logger_(logger) {}

DockerEventWatch::Listener ContainerWatch::Listener() {
  DockerEventWatch::Listener listener;
  listener.on_connected = [this](const DockerDaemon& daemon) {
    const absl::StatusOr<std::vector<std::string>> running = ListRunningContainers(daemon);
    if (!running.ok()) return logger_.Warning("cannot list containers", {{"reason", running.status().message()}});
    for (const std::string& id : *running) OnStarted(daemon, id);
  };
  listener.on_event = [this](const DockerDaemon& daemon, const DockerEvent& event) {
    if (event.action == DockerEvent::Action::kStart) return OnStarted(daemon, event.container_id);
    if (names_ != nullptr) names_->RemoveNames(event.container_id);
  };
  return listener;
}

void ContainerWatch::OnStarted(const DockerDaemon& daemon, const std::string& container_id) {
  const absl::StatusOr<DockerContainerNetworks> container = InspectContainerNetworks(daemon, container_id);
  if (absl::IsNotFound(container.status())) return;  // gone again
  if (!container.ok())
    return logger_.Warning("cannot look at a container that started",
                           {{"container", container_id}, {"reason", container.status().message()}});
  if (container->pid == 0) return;
  bool ours = false;
  for (const auto& [network_id, text] : container->addresses) {
    if (!IsOurs(daemon, network_id)) continue;
    ours = true;
    const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
    if (names_ != nullptr && address.ok() && !container->hostname.empty())
      names_->AddName(container_id, *address, FullName(*container));
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

bool ContainerWatch::IsOurs(const DockerDaemon& daemon, const std::string& network_id) {
  if (const auto known = networks_.find(network_id); known != networks_.end()) return known->second;
  const absl::StatusOr<std::optional<DockerNetwork>> network = FindDockerNetwork(daemon, network_id);
  if (!network.ok() || !network->has_value()) return false;
  if (networks_.size() >= kMaxKnownNetworks) networks_.clear();
  return networks_[network_id] = drivers_.count((*network)->driver) > 0;
}

}  // namespace weave
