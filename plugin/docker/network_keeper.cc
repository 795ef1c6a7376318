#include "plugin/docker/network_keeper.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "io/clock.h"
#include "plugin/docker/network_driver.h"

namespace weave {
namespace {

constexpr char kNetworkName[] = "weave";
constexpr Duration kFirstAttemptPause = absl::Milliseconds(500);
constexpr Duration kLongestAttemptPause = absl::Seconds(30);

}  // namespace

NetworkKeeper::NetworkKeeper(DockerApiOptions docker, std::string driver, const PeerAccess& peer, Logger& logger,
                             std::function<void()> on_tried)
    : docker_(std::move(docker)),
      driver_(std::move(driver)),
      peer_(peer),
      logger_(logger),
      on_tried_(std::move(on_tried)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(stop_.valid());
  thread_ = std::thread([this] { Run(); });
}

void NetworkKeeper::Stop() {
  if (!thread_.joinable()) return;
  CHECK(::eventfd_write(stop_.get(), 1) == 0);
  thread_.join();
}

void NetworkKeeper::Run() {
  Duration pause = kFirstAttemptPause;
  std::string told;
  for (bool first = true;; first = false) {
    const absl::Status status = Make();
    if (first) on_tried_();
    if (status.ok()) return;
    if (told != status.message()) logger_.Debug("no Docker network yet", {{"reason", status.message()}});
    told = std::string(status.message());
    pollfd stop = {stop_.get(), POLLIN, 0};
    if (::poll(&stop, 1, PollTimeout(pause)) != 0) return;
    pause = std::min(pause * 2, kLongestAttemptPause);
  }
}

absl::Status NetworkKeeper::Make() {
  ASSIGN_OR_RETURN(const DockerDaemon daemon, NegotiateDocker(docker_));
  ASSIGN_OR_RETURN(const std::optional<DockerNetwork> there, FindDockerNetwork(daemon, kNetworkName));
  if (there) {
    if (there->driver != driver_)
      logger_.Warning("a Docker network of our name has another driver; it is left alone",
                      {{"network", kNetworkName}, {"driver", there->driver}});
    return absl::OkStatus();
  }
  const absl::StatusOr<Cidr> subnet = peer_.DefaultSubnet();
  if (absl::IsFailedPrecondition(subnet.status())) {
    logger_.Info("no Docker network is made", {{"reason", subnet.status().message()}});
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(subnet.status());
  absl::Status made = CreateDockerNetwork(daemon, {.name = kNetworkName,
                                                   .driver = driver_,
                                                   .ipam_driver = driver_,
                                                   .subnet = subnet->ToString(),
                                                   .options = {{kMulticastOption, "true"}}});
  if (absl::IsAlreadyExists(made)) return absl::OkStatus();
  if (!made.ok()) logger_.Warning("cannot make the Docker network", {{"reason", made.message()}});
  RETURN_IF_ERROR(made);
  logger_.Info("made the Docker network", {{"network", kNetworkName}, {"subnet", subnet->ToString()}});
  return absl::OkStatus();
}

absl::Status NetworkKeeper::Remove() {
  ASSIGN_OR_RETURN(const DockerDaemon daemon, NegotiateDocker(docker_));
  ASSIGN_OR_RETURN(const std::optional<DockerNetwork> there, FindDockerNetwork(daemon, kNetworkName));
  if (!there || there->driver != driver_) return absl::OkStatus();
  return RemoveDockerNetwork(daemon, kNetworkName);
}

}  // namespace weave
