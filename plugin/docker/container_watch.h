// What happens to containers on our networks once they run: their neighbour caches are set up and their names told.
#pragma once

#include <map>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "base/log.h"
#include "host/docker_events.h"
#include "plugin/docker/name_sink.h"

namespace weave {

// A listener of DockerEventWatch, on its thread. Containers that run already when the daemon is first seen count as
// just started.
class ContainerWatch {
 public:
  // `drivers`: names of our network drivers. `names` may be null. References outlive this.
  ContainerWatch(std::set<std::string> drivers, std::string proc_path, NameSink* names, Logger& logger);

  DockerEventWatch::Listener Listener();

 private:
  void OnStarted(const DockerDaemon& daemon, const std::string& container_id);
  bool IsOurs(const DockerDaemon& daemon, const std::string& network_id);

  const std::set<std::string> drivers_;
  const std::string proc_path_;
  NameSink* const names_;
  Logger& logger_;
  std::map<std::string, bool> networks_;  // whether they are ours, by id; ids are never used twice
};

}  // namespace weave
