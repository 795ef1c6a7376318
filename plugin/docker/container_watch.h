// What happens to containers on our networks once they run: their neighbour caches are set up and their names told.
#pragma once

#include <map>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "base/log.h"
#include "host/docker_events.h"
#include "host/docker_network.h"
#include "plugin/docker/peer_access.h"

namespace weave {

// A listener of DockerEventWatch, on its thread. Containers that run already when the daemon is first seen count as
// just started.
class ContainerWatch {
 public:
  // `drivers`: names of our network drivers. References outlive this.
  ContainerWatch(std::set<std::string> drivers, std::string proc_path, const PeerAccess& peer, Logger& logger);

  DockerEventWatch::Listener Listener();

 private:
  void RemoveNamesOfEnded(const std::set<std::string>& running);
  void OnStarted(const DockerDaemon& daemon, const std::string& container_id);
  void TellNames(const std::string& container_id, const DockerContainerNetworks& container,
                 const DockerContainerNetwork& network);
  bool IsOurs(const DockerDaemon& daemon, const std::string& network_id);

  const std::set<std::string> drivers_;
  const std::string proc_path_;
  const PeerAccess& peer_;
  Logger& logger_;
  std::map<std::string, bool> networks_;  // whether they are ours, by id; ids are never used twice
};

}  // namespace weave
