#include "plugin/docker/network_driver.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/docker_api.h"
#include "host/plugin_endpoint.h"

namespace weave {
namespace {

constexpr char kGenericOptions[] = "com.docker.network.generic";
constexpr char kMulticastRange[] = "224.0.0.0/4";
constexpr int kDirectlyConnected = 1;

absl::Status CheckNetworkId(absl::string_view id) {
  if (IsContainerName(id)) return absl::OkStatus();  // the same grammar
  return absl::InvalidArgumentError(
      absl::StrCat("NetworkID \"", absl::Utf8SafeCHexEscape(id.substr(0, 80)), "\": want letters, digits, _ . and -"));
}

absl::Status CheckEndpointId(absl::string_view id) {
  if (IsEndpointId(id)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("EndpointID \"", absl::Utf8SafeCHexEscape(id.substr(0, 80)),
                                                 "\": want at least ", kEndpointIdShown,
                                                 " letters, digits, _ . and -"));
}

template <typename Reply>
Reply MakeJoin(absl::string_view endpoint_id) {
  Reply reply;
  reply.mutable_interface_name()->set_source(PluginContainerIfname(endpoint_id));
  reply.mutable_interface_name()->set_destination_prefix("ethwe");
  return reply;
}

}  // namespace

NetworkDriver::NetworkDriver(NetworkDriverConfig config, NetworkOptions& options, Logger& logger)
    : config_(std::move(config)), options_(options), logger_(logger) {}

absl::Status NetworkDriver::CreateNetwork(const v1::libnetwork::NetworkRequest& request) {
  RETURN_IF_ERROR(CheckNetworkId(request.network_id()));
  std::map<std::string, std::string> options;
  const auto generic = request.options().find(kGenericOptions);
  if (generic != request.options().end()) {
    for (const auto& [name, value] : generic->second.struct_value().fields()) {
      if (name != kMulticastOption && name != kIsolatedOption) {
        logger_.Warning("unknown option of a Docker network", {{"network", request.network_id()}, {"option", name}});
        continue;
      }
      if (!value.has_string_value())
        return absl::InvalidArgumentError(absl::StrCat("option ", name, ": want a text, true or false"));
      options[name] = value.string_value();
    }
  }
  std::vector<Cidr> subnets;
  for (const v1::libnetwork::AddressPool& pool : request.ipv4_pools()) {
    const absl::StatusOr<Cidr> subnet = Cidr::Parse(pool.subnet());
    if (subnet.ok()) subnets.push_back(subnet->Network());
  }
  ASSIGN_OR_RETURN(NetworkSettings settings, ReadNetworkSettings(options, subnets));
  return options_.Set(request.network_id(), std::move(settings));
}

absl::Status NetworkDriver::DeleteNetwork(const v1::libnetwork::NetworkRequest& request) {
  RETURN_IF_ERROR(CheckNetworkId(request.network_id()));
  return options_.Remove(request.network_id());
}

absl::StatusOr<v1::libnetwork::CreateEndpointReply> NetworkDriver::CreateEndpoint(
    const v1::libnetwork::EndpointRequest& request) {
  if (!request.has_interface())
    return absl::InvalidArgumentError("Not supported: creating an interface from within CreateEndpoint");
  RETURN_IF_ERROR(CheckEndpointId(request.endpoint_id()));
  PluginEndpointSpec spec;
  spec.endpoint_id = request.endpoint_id();
  spec.bridge = config_.bridge;
  spec.proc_path = config_.proc_path;
  if (!request.interface().mac_address().empty()) {
    ASSIGN_OR_RETURN(spec.mac, MacAddress::Parse(request.interface().mac_address()));
  }
  spec.isolated_to = SettingsOf(request.network_id()).isolated_to;
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  absl::StatusOr<PluginEndpoint> endpoint = CreatePluginEndpoint(netlink, spec);
  if (absl::IsAlreadyExists(endpoint.status())) {
    // Docker asks again when an answer got lost, and gives the address then, too.
    if (!request.interface().address().empty()) endpoint = AdoptPluginEndpoint(netlink, spec);
    if (!endpoint.ok())
      return absl::AlreadyExistsError(absl::StrCat("could not create veth pair ", PluginHostIfname(spec.endpoint_id),
                                                   "-", PluginContainerIfname(spec.endpoint_id), ": file exists"));
  }
  RETURN_IF_ERROR(endpoint.status());
  v1::libnetwork::CreateEndpointReply reply;
  // An address that Docker chose must not be repeated.
  reply.mutable_interface()->set_mac_address(spec.mac ? "" : endpoint->mac.ToString());
  return reply;
}

absl::Status NetworkDriver::DeleteEndpoint(const v1::libnetwork::EndpointRequest& request) {
  RETURN_IF_ERROR(CheckEndpointId(request.endpoint_id()));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> link, FindPluginHostEnd(netlink, request.endpoint_id()));
  if (!link || config_.remove_interface(link->index, link->name).ok()) return absl::OkStatus();
  return netlink.DeleteLink(link->index);
}

NetworkSettings NetworkDriver::SettingsOf(absl::string_view network_id) {
  if (const std::optional<NetworkSettings> known = options_.Find(network_id)) return *known;
  const absl::StatusOr<NetworkSettings> asked = config_.ask_settings(network_id);
  if (!asked.ok()) {
    logger_.Warning("a container's network is unknown: no multicast route, no isolation",
                    {{"network", network_id}, {"reason", asked.status().message()}});
    return {};
  }
  if (const absl::Status saved = options_.Set(network_id, *asked); !saved.ok())
    logger_.Warning("cannot remember a network", {{"reason", saved.message()}});
  return *asked;
}

absl::StatusOr<NetworkDriver::Join> NetworkDriver::JoinEndpoint(const v1::libnetwork::EndpointRequest& request) {
  RETURN_IF_ERROR(CheckEndpointId(request.endpoint_id()));
  RETURN_IF_ERROR(CheckNetworkId(request.network_id()));
  if (!config_.multicast_for_all && !SettingsOf(request.network_id()).multicast) {
    auto reply = MakeJoin<v1::libnetwork::JoinReply>(request.endpoint_id());
    reply.mutable_no_static_routes()->set_null_value(google::protobuf::NULL_VALUE);
    return reply;
  }
  auto reply = MakeJoin<v1::libnetwork::JoinReplyWithRoutes>(request.endpoint_id());
  v1::libnetwork::StaticRoute& route = *reply.add_static_routes();
  route.set_destination(kMulticastRange);
  route.set_route_type(kDirectlyConnected);
  return reply;
}

}  // namespace weave
