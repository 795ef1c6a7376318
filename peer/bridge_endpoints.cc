#include "peer/bridge_endpoints.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "base/attachment.h"
#include "base/status.h"
#include "host/docker_network.h"
#include "host/endpoint.h"
#include "host/netlink.h"
#include "host/plugin_endpoint.h"
#include "host/sandbox.h"

namespace weave {
namespace {

// Of an answer that people wait for.
constexpr Duration kDockerPatience = absl::Seconds(1);

// Ids of containers by the host's ends of their interfaces. Nothing where Docker does not tell.
std::map<std::string, std::string> AskDocker(const DockerApiOptions& options) {
  std::map<std::string, std::string> containers;
  if (options.address.empty()) return containers;
  const absl::StatusOr<DockerDaemon> daemon = NegotiateDocker({options.address, kDockerPatience});
  if (!daemon.ok()) return containers;
  const absl::StatusOr<std::map<std::string, std::string>> endpoints = ListDockerEndpoints(*daemon);
  if (!endpoints.ok()) return containers;
  for (const auto& [endpoint, container] : *endpoints)
    if (IsEndpointId(endpoint)) containers.emplace(PluginHostIfname(endpoint), container);
  return containers;
}

}  // namespace

absl::StatusOr<std::vector<BridgeEndpoint>> ListBridgeEndpoints(absl::string_view bridge,
                                                                const SandboxOptions& options) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::vector<HostEnd> ends, ListEndpoints(netlink, bridge));
  const std::vector<absl::StatusOr<ContainerEnd>> containers = FindContainerEnds(netlink, ends, options.proc_path);
  std::vector<BridgeEndpoint> endpoints;
  std::optional<std::map<std::string, std::string>> dockers;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (!containers[i].ok()) continue;  // it is being made, or went just now
    BridgeEndpoint endpoint{NetNsIdent(containers[i]->netns_inode), ends[i].host_ifname, containers[i]->netns_inode,
                            containers[i]->mac, containers[i]->addresses};
    if (const auto attachment = NetworkAttachment::Parse(ends[i].alias)) {
      endpoint.id = attachment->container_id;
    } else if (!absl::StartsWith(endpoint.host_ifname, kHostIfnamePrefix)) {
      if (!dockers.has_value()) dockers = AskDocker(options.docker);
      if (const auto known = dockers->find(endpoint.host_ifname); known != dockers->end()) endpoint.id = known->second;
    }
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

}  // namespace weave
