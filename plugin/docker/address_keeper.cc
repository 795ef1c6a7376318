#include "plugin/docker/address_keeper.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "io/clock.h"

namespace weave {

std::set<IpAddress> FindForgotten(const std::vector<IpAddress>& held, const std::vector<DockerPool>& pools,
                                  const std::set<std::string>& in_use, const std::set<std::string>& ipam_drivers) {
  std::set<IpAddress> forgotten;
  for (const IpAddress& address : held) {
    const auto contains = [&](const DockerPool& pool) {
      return std::any_of(pool.subnets.begin(), pool.subnets.end(),
                         [&](const Cidr& subnet) { return subnet.Contains(address); });
    };
    bool ours = false;
    bool kept = in_use.contains(address.ToString());
    for (const DockerPool& pool : pools) {
      if (!contains(pool)) continue;
      ours = ours || ipam_drivers.contains(pool.ipam_driver);
      // The containers of a swarm's network may be on other hosts, whichever daemon asked for their addresses.
      kept = kept || !pool.local || pool.reserved.contains(address.ToString());
    }
    if (ours && !kept) forgotten.insert(address);
  }
  return forgotten;
}

AddressKeeper::AddressKeeper(DockerApiOptions docker, std::set<std::string> ipam_drivers, const PeerAccess& peer,
                             IpamDriver& ipam, Logger& logger)
    : docker_(std::move(docker)),
      ipam_drivers_(std::move(ipam_drivers)),
      peer_(peer),
      ipam_(ipam),
      logger_(logger),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(stop_.valid());
  thread_ = std::thread([this] { Run(); });
}

AddressKeeper::~AddressKeeper() {
  CHECK(::eventfd_write(stop_.get(), 1) == 0);
  thread_.join();
}

void AddressKeeper::Run() {
  pollfd stop = {stop_.get(), POLLIN, 0};
  while (::poll(&stop, 1, PollTimeout(kPeriod)) == 0) {
    const absl::Status compared = Compare();
    if (compared.ok()) continue;
    forgotten_.clear();
    logger_.Debug("addresses were not compared with Docker's", {{"reason", compared.message()}});
  }
}

absl::Status AddressKeeper::Compare() {
  // In this order: what Docker asks for from now on is not among those looked at, or known to the driver.
  ASSIGN_OR_RETURN(std::vector<IpAddress> held, peer_.HeldForDocker());
  std::erase_if(held, [&](const IpAddress& address) { return ipam_.HasGiven(address); });
  if (held.empty()) {
    forgotten_.clear();
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const DockerDaemon daemon, NegotiateDocker(docker_));
  ASSIGN_OR_RETURN(const std::vector<DockerPool> pools, ListDockerPools(daemon));
  ASSIGN_OR_RETURN(const std::set<std::string> in_use, ListContainerAddresses(daemon));
  std::set<IpAddress> now = FindForgotten(held, pools, in_use, ipam_drivers_);
  std::vector<IpAddress> twice;
  std::set_intersection(now.begin(), now.end(), forgotten_.begin(), forgotten_.end(), std::back_inserter(twice));
  forgotten_ = std::move(now);
  if (twice.empty()) return absl::OkStatus();
  logger_.Info("Docker knows nothing any more of addresses that it asked for",
               {{"addresses", absl::StrJoin(twice, " ", [](std::string* out, const IpAddress& address) {
                   out->append(address.ToString());
                 })}});
  return ipam_.Disown(twice);
}

}  // namespace weave
