// The Docker network `weave`, which is there while the plugin is (contract A11-01).
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "base/log.h"
#include "base/time.h"
#include "host/docker_network.h"
#include "io/fd.h"
#include "plugin/docker/peer_access.h"

namespace weave {

// Makes the network from a thread of its own once both Docker and the peer answer; tries at growing intervals until
// then, quietly while there is no Docker. A network of that name stays as it is.
class NetworkKeeper {
 public:
  // `driver` manages its addresses, too. `on_tried` is called once, on that thread, after the first attempt. References
  // outlive this.
  NetworkKeeper(DockerApiOptions docker, std::string driver, const PeerAccess& peer, Logger& logger,
                std::function<void()> on_tried);
  NetworkKeeper(const NetworkKeeper&) = delete;
  NetworkKeeper& operator=(const NetworkKeeper&) = delete;
  ~NetworkKeeper() { Stop(); }

  // The network is not made any more. Waits for an attempt under way.
  void Stop();

  // After Stop(): removes the network, if it is ours. Nothing there is success. FailedPrecondition: containers are on
  // it.
  absl::Status Remove();

 private:
  void Run();
  // OK: there is nothing left to do.
  absl::Status Make();

  const DockerApiOptions docker_;
  const std::string driver_;
  const PeerAccess& peer_;
  Logger& logger_;
  const std::function<void()> on_tried_;
  Fd stop_;  // an eventfd, readable: end
  std::thread thread_;
};

}  // namespace weave
