// Addresses that Docker asked for and forgot while nobody could be told: a container that ended while the plugin, the
// peer or the machine was down.
#pragma once

#include <set>
#include <thread>

#include "absl/status/status.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/time.h"
#include "host/docker_network.h"
#include "io/fd.h"
#include "plugin/docker/ipam_driver.h"
#include "plugin/docker/peer_access.h"

namespace weave {

// Of `held`, those that Docker certainly does not use: they lie in a network of this host alone whose addresses are
// ours to give, and in none that a swarm has, and neither a container nor the network itself has them.
std::set<IpAddress> FindForgotten(const std::vector<IpAddress>& held, const std::vector<DockerPool>& pools,
                                  const std::set<std::string>& in_use, const std::set<std::string>& ipam_drivers);

// Compares from a thread of its own what the peer holds for Docker with what Docker has, and disowns at the peer what
// was forgotten in two comparisons in a row. Asks Docker only when there is something to ask about; when Docker or the
// peer do not answer, everything stays.
class AddressKeeper {
 public:
  static constexpr Duration kPeriod = absl::Seconds(30);

  // `ipam_drivers`: names of our drivers. References outlive this.
  AddressKeeper(DockerApiOptions docker, std::set<std::string> ipam_drivers, const PeerAccess& peer, IpamDriver& ipam,
                Logger& logger);
  AddressKeeper(const AddressKeeper&) = delete;
  AddressKeeper& operator=(const AddressKeeper&) = delete;
  // Waits for a comparison under way.
  ~AddressKeeper();

 private:
  void Run();
  absl::Status Compare();

  const DockerApiOptions docker_;
  const std::set<std::string> ipam_drivers_;
  const PeerAccess& peer_;
  IpamDriver& ipam_;
  Logger& logger_;
  std::set<IpAddress> forgotten_;  // in the last comparison
  Fd stop_;                        // an eventfd, readable: end
  std::thread thread_;
};

}  // namespace weave
