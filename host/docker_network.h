// What the plugin asks a Docker daemon: its API's version, networks, a started container's networks, the swarm's
// managers. Each call is a connection of its own and blocks for at most the options' time.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "host/docker_api.h"

namespace weave {

// The newest version of Docker's API that we were written for; that of Docker 20.10.
inline constexpr int kDockerApiMinor = 41;

// A daemon with the version of its API that both sides know.
struct DockerDaemon {
  DockerApiOptions options;
  int api_minor = kDockerApiMinor;  // of 1.x

  // "/v1.41/networks".
  std::string Target(absl::string_view path) const;
};

// Asks which versions there are and chooses: ours, else the nearest. Unavailable and DeadlineExceeded: no daemon.
absl::StatusOr<DockerDaemon> NegotiateDocker(const DockerApiOptions& options);

// The body of GET /version. Unavailable: no version of ours and of it.
absl::StatusOr<int> ChooseDockerApi(absl::string_view version_json);

struct DockerNetwork {
  std::string id;
  std::string driver;
  std::map<std::string, std::string> options;
  std::vector<Cidr> subnets;  // IPv4
};

// nullopt: there is none of that name or id.
absl::StatusOr<std::optional<DockerNetwork>> FindDockerNetwork(const DockerDaemon& daemon,
                                                               absl::string_view name_or_id);
absl::StatusOr<DockerNetwork> ParseDockerNetwork(absl::string_view json);

struct DockerNetworkSpec {
  std::string name;
  std::string driver;
  std::string ipam_driver;
  std::string subnet;  // "10.32.0.0/12"
  std::map<std::string, std::string> options;
};

// AlreadyExists: a network of that name is there.
absl::Status CreateDockerNetwork(const DockerDaemon& daemon, const DockerNetworkSpec& spec);

// OK too when there is none. FailedPrecondition: containers are on it.
absl::Status RemoveDockerNetwork(const DockerDaemon& daemon, absl::string_view name);

// A container in one network.
struct DockerContainerNetwork {
  std::string address;  // without a prefix length
  std::vector<std::string> aliases;

  friend bool operator==(const DockerContainerNetwork&, const DockerContainerNetwork&) = default;
};

struct DockerContainerNetworks {
  pid_t pid = 0;     // 0: not running
  std::string name;  // without the leading slash
  std::string hostname;
  std::string domainname;
  std::map<std::string, DockerContainerNetwork> networks;  // in which it has an address, by the network's id
};

absl::StatusOr<DockerContainerNetworks> InspectContainerNetworks(const DockerDaemon& daemon,
                                                                 absl::string_view container_id);
absl::StatusOr<DockerContainerNetworks> ParseContainerNetworks(absl::string_view json);

// Where a network's addresses come from.
struct DockerPool {
  std::string ipam_driver;
  bool local = false;              // of this daemon alone, not of a swarm
  std::vector<Cidr> subnets;       // IPv4
  std::set<std::string> reserved;  // by the network itself: gateways and the like

  friend bool operator==(const DockerPool&, const DockerPool&) = default;
};

// Of all networks.
absl::StatusOr<std::vector<DockerPool>> ListDockerPools(const DockerDaemon& daemon);
absl::StatusOr<std::vector<DockerPool>> ParseDockerPools(absl::string_view json);

// IPv4 addresses of containers, in whatever network and state; one that does not run has none.
absl::StatusOr<std::set<std::string>> ListContainerAddresses(const DockerDaemon& daemon);

// Of containers that run: the container's id by that of each of its endpoints.
absl::StatusOr<std::map<std::string, std::string>> ListDockerEndpoints(const DockerDaemon& daemon);
absl::StatusOr<std::map<std::string, std::string>> ParseDockerEndpoints(absl::string_view json);

// Ids of the containers that run.
absl::StatusOr<std::vector<std::string>> ListRunningContainers(const DockerDaemon& daemon);

// Addresses of the other managers of the swarm that the daemon is in, without ports; none when it is in none.
absl::StatusOr<std::vector<std::string>> ListSwarmManagers(const DockerDaemon& daemon);
absl::StatusOr<std::vector<std::string>> ParseSwarmManagers(absl::string_view json);

}  // namespace weave
