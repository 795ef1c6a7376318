#include "host/docker_network.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "host/json_walk.h"
#include "io/http_client.h"

namespace weave {
namespace {

// Docker may ask us, its network driver, several things before it has an answer for us.
constexpr Duration kNetworkChangePatience = absl::Seconds(8);

const std::string* TextOf(const JsonScalar& value) { return std::get_if<std::string>(&value); }

absl::StatusOr<HttpResponse> AskDocker(const DockerDaemon& daemon, absl::string_view target,
                                       const HttpRequest* change) {
  ASSIGN_OR_RETURN(const HttpClient client, HttpClient::Create(daemon.options.address));
  absl::StatusOr<HttpResponse> response =
      change != nullptr ? client.Call(*change, kNetworkChangePatience) : client.Get(target, daemon.options.timeout);
  if (!response.ok()) return Annotate(response.status(), "the Docker daemon does not answer");
  return response;
}

absl::StatusOr<HttpResponse> GetFromDocker(const DockerDaemon& daemon, absl::string_view path) {
  return AskDocker(daemon, daemon.Target(path), nullptr);
}

// Docker's errors are {"message":"..."}.
std::string MessageOf(const HttpResponse& response) {
  std::string message;
  (void)WalkJson(response.body, [&](const JsonPath& path, const JsonScalar& value) {
    if (const std::string* text = TextOf(value); text != nullptr && PathIs(path, {"message"})) message = *text;
  });
  return message.empty() ? absl::StrCat("HTTP status ", response.status) : message;
}

absl::Status DockerRefuses(const HttpResponse& response, absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("the Docker daemon refuses to ", what, ": ", MessageOf(response)));
}

absl::Status NotUnderstood(absl::string_view what, const absl::Status& why) {
  return absl::UnavailableError(absl::StrCat("the Docker daemon's ", what, ": ", why.message()));
}

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename Value>
const absl::Status& StatusOf(const absl::StatusOr<Value>& result) {
  return result.status();
}

// What `read` makes of the list of `what` (networks, containers) that Docker has at `path`.
template <typename Read>
auto ReadList(const DockerDaemon& daemon, absl::string_view path, absl::string_view what, Read read)
    -> decltype(read(std::string())) {
  ASSIGN_OR_RETURN(const HttpResponse response, GetFromDocker(daemon, path));
  if (response.status != 200) return DockerRefuses(response, absl::StrCat("list ", what));
  auto list = read(response.body);
  if (!list.ok()) return NotUnderstood(absl::StrCat("list of ", what), StatusOf(list));
  return list;
}

absl::Status WalkContainers(const DockerDaemon& daemon, absl::string_view path,
                            const std::function<void(const JsonPath&, const JsonScalar&)>& visit) {
  return ReadList(daemon, path, "containers", [&](const std::string& body) { return WalkJson(body, visit); });
}

absl::StatusOr<nlohmann::json> ParseArray(absl::string_view json) {
  nlohmann::json list = nlohmann::json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return absl::InvalidArgumentError("want an array");
  return list;
}

// Empty: there is no such member, or it is no string.
std::string MemberText(const nlohmann::json& object, const char* name) {
  const auto member = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

nlohmann::json Member(const nlohmann::json& object, const char* name) {
  const auto member = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && member != object.end() ? *member : nlohmann::json();
}

DockerPool ReadPool(const nlohmann::json& network) {
  const nlohmann::json ipam = Member(network, "IPAM");
  DockerPool pool{MemberText(ipam, "Driver"), MemberText(network, "Scope") == "local", {}, {}};
  for (const nlohmann::json& config : Member(ipam, "Config")) {
    const absl::StatusOr<Cidr> subnet = Cidr::Parse(MemberText(config, "Subnet"));
    if (!subnet.ok() || !subnet->address().IsV4()) continue;
    pool.subnets.push_back(*subnet);
    if (const std::string gateway = MemberText(config, "Gateway"); !gateway.empty()) pool.reserved.insert(gateway);
    for (const nlohmann::json& auxiliary : Member(config, "AuxiliaryAddresses"))
      if (auxiliary.is_string()) pool.reserved.insert(auxiliary.get<std::string>());
  }
  return pool;
}

// 41 of "1.41".
std::optional<int> MinorOf(const std::string& version) {
  absl::string_view text = version;
  int minor = 0;
  if (!absl::ConsumePrefix(&text, "1.") || !absl::SimpleAtoi(text, &minor) || minor < 0) return std::nullopt;
  return minor;
}

}  // namespace

std::string DockerDaemon::Target(absl::string_view path) const { return absl::StrCat("/v1.", api_minor, path); }

absl::StatusOr<int> ChooseDockerApi(absl::string_view version_json) {
  std::string newest;
  std::string oldest;
  RETURN_IF_ERROR(WalkJson(version_json, [&](const JsonPath& path, const JsonScalar& value) {
    const std::string* text = TextOf(value);
    if (text == nullptr) return;
    if (PathIs(path, {"ApiVersion"})) newest = *text;
    if (PathIs(path, {"MinAPIVersion"})) oldest = *text;
  }));
  const std::optional<int> max = MinorOf(newest);
  const std::optional<int> min = oldest.empty() ? 0 : MinorOf(oldest);
  if (!max || !min || *min > *max)
    return absl::InvalidArgumentError(absl::StrCat("API versions \"", oldest, "\" to \"", newest, "\": want some 1.x"));
  return std::clamp(kDockerApiMinor, *min, *max);
}

absl::StatusOr<DockerDaemon> NegotiateDocker(const DockerApiOptions& options) {
  DockerDaemon daemon{options};
  ASSIGN_OR_RETURN(const HttpResponse response, AskDocker(daemon, "/version", nullptr));
  if (response.status != 200) return DockerRefuses(response, "tell its version");
  const absl::StatusOr<int> minor = ChooseDockerApi(response.body);
  if (!minor.ok()) return NotUnderstood("version", minor.status());
  daemon.api_minor = *minor;
  return daemon;
}

absl::StatusOr<DockerNetwork> ParseDockerNetwork(absl::string_view json) {
  DockerNetwork network;
  RETURN_IF_ERROR(WalkJson(json, [&](const JsonPath& path, const JsonScalar& value) {
    const std::string* text = TextOf(value);
    if (text == nullptr) return;
    if (PathIs(path, {"Id"})) network.id = *text;
    if (PathIs(path, {"Driver"})) network.driver = *text;
    if (PathIs(path, {"Options", "*"})) network.options[path[1]] = *text;
    if (!PathIs(path, {"IPAM", "Config", "", "Subnet"})) return;
    const absl::StatusOr<Cidr> subnet = Cidr::Parse(*text);
    if (subnet.ok() && subnet->address().IsV4()) network.subnets.push_back(subnet->Network());
  }));
  if (network.id.empty() || network.driver.empty())
    return absl::InvalidArgumentError("network description: Id or Driver is missing or no string");
  return network;
}

absl::StatusOr<std::optional<DockerNetwork>> FindDockerNetwork(const DockerDaemon& daemon,
                                                               absl::string_view name_or_id) {
  if (!IsContainerName(name_or_id))  // the same grammar
    return absl::InvalidArgumentError(absl::StrCat("\"", name_or_id, "\" is not a Docker network's name or id"));
  ASSIGN_OR_RETURN(const HttpResponse response, GetFromDocker(daemon, absl::StrCat("/networks/", name_or_id)));
  if (response.status == 404) return std::nullopt;
  if (response.status != 200) return DockerRefuses(response, absl::StrCat("describe network ", name_or_id));
  absl::StatusOr<DockerNetwork> network = ParseDockerNetwork(response.body);
  if (!network.ok()) return NotUnderstood("network", network.status());
  return *std::move(network);
}

absl::Status CreateDockerNetwork(const DockerDaemon& daemon, const DockerNetworkSpec& spec) {
  const nlohmann::json body = {
      {"Name", spec.name},
      {"Driver", spec.driver},
      {"CheckDuplicate", true},  // daemons before API 1.44 would make a second one of the name
      {"IPAM", {{"Driver", spec.ipam_driver}, {"Config", nlohmann::json::array({{{"Subnet", spec.subnet}}})}}},
      {"Options", spec.options},
  };
  HttpRequest request;
  request.method = "POST";
  request.path = daemon.Target("/networks/create");
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = body.dump();
  ASSIGN_OR_RETURN(const HttpResponse response, AskDocker(daemon, "", &request));
  if (response.status == 409) return absl::AlreadyExistsError(MessageOf(response));
  if (response.status != 201) return DockerRefuses(response, absl::StrCat("create network ", spec.name));
  return absl::OkStatus();
}

absl::Status RemoveDockerNetwork(const DockerDaemon& daemon, absl::string_view name) {
  HttpRequest request;
  request.method = "DELETE";
  request.path = daemon.Target(absl::StrCat("/networks/", name));
  ASSIGN_OR_RETURN(const HttpResponse response, AskDocker(daemon, "", &request));
  if (response.status == 204 || response.status == 404) return absl::OkStatus();
  if (response.status == 403) return absl::FailedPreconditionError(MessageOf(response));
  return DockerRefuses(response, absl::StrCat("remove network ", name));
}

absl::StatusOr<DockerContainerNetworks> ParseContainerNetworks(absl::string_view json) {
  DockerContainerNetworks container;
  std::map<std::string, std::pair<std::string, DockerContainerNetwork>> networks;  // by name, with the id
  RETURN_IF_ERROR(WalkJson(json, [&](const JsonPath& path, const JsonScalar& value) {
    if (const auto* number = std::get_if<std::uint64_t>(&value)) {
      if (PathIs(path, {"State", "Pid"}) && *number <= std::uint64_t{std::numeric_limits<pid_t>::max()})
        container.pid = static_cast<pid_t>(*number);
      return;
    }
    const std::string* text = TextOf(value);
    if (text == nullptr) return;
    if (PathIs(path, {"Name"})) container.name = std::string(absl::StripPrefix(*text, "/"));
    if (PathIs(path, {"Config", "Hostname"})) container.hostname = *text;
    if (PathIs(path, {"Config", "Domainname"})) container.domainname = *text;
    if (PathIs(path, {"NetworkSettings", "Networks", "*", "NetworkID"})) networks[path[2]].first = *text;
    if (PathIs(path, {"NetworkSettings", "Networks", "*", "IPAddress"})) networks[path[2]].second.address = *text;
    if (PathIs(path, {"NetworkSettings", "Networks", "*", "Aliases", ""}))
      networks[path[2]].second.aliases.push_back(*text);
  }));
  for (auto& [name, network] : networks)
    if (!network.first.empty() && !network.second.address.empty()) container.networks.insert(std::move(network));
  return container;
}

absl::StatusOr<DockerContainerNetworks> InspectContainerNetworks(const DockerDaemon& daemon,
                                                                 absl::string_view container_id) {
  if (!IsContainerName(container_id))
    return absl::InvalidArgumentError(absl::StrCat("\"", container_id, "\" is not a container's id"));
  ASSIGN_OR_RETURN(const HttpResponse response,
                   GetFromDocker(daemon, absl::StrCat("/containers/", container_id, "/json")));
  if (response.status == 404) return absl::NotFoundError(absl::StrCat("no such container \"", container_id, "\""));
  if (response.status != 200) return DockerRefuses(response, absl::StrCat("describe container ", container_id));
  absl::StatusOr<DockerContainerNetworks> container = ParseContainerNetworks(response.body);
  if (!container.ok()) return NotUnderstood("container", container.status());
  return container;
}

absl::StatusOr<std::vector<std::string>> ListRunningContainers(const DockerDaemon& daemon) {
  std::vector<std::string> ids;
  RETURN_IF_ERROR(WalkContainers(daemon, "/containers/json", [&](const JsonPath& path, const JsonScalar& value) {
    const std::string* text = TextOf(value);
    if (text != nullptr && PathIs(path, {"", "Id"}) && IsContainerName(*text)) ids.push_back(*text);
  }));
  return ids;
}

absl::StatusOr<std::vector<DockerPool>> ParseDockerPools(absl::string_view json) {
  ASSIGN_OR_RETURN(const nlohmann::json networks, ParseArray(json));
  std::vector<DockerPool> pools;
  for (const nlohmann::json& network : networks) pools.push_back(ReadPool(network));
  return pools;
}

absl::StatusOr<std::vector<DockerPool>> ListDockerPools(const DockerDaemon& daemon) {
  return ReadList(daemon, "/networks", "networks", ParseDockerPools);
}

absl::StatusOr<std::set<std::string>> ListContainerAddresses(const DockerDaemon& daemon) {
  std::set<std::string> addresses;
  RETURN_IF_ERROR(WalkContainers(daemon, "/containers/json?all=1", [&](const JsonPath& path, const JsonScalar& value) {
    const std::string* text = TextOf(value);
    if (text != nullptr && PathIs(path, {"", "NetworkSettings", "Networks", "*", "IPAddress"}) && !text->empty())
      addresses.insert(*text);
  }));
  return addresses;
}

absl::StatusOr<std::map<std::string, std::string>> ParseDockerEndpoints(absl::string_view json) {
  ASSIGN_OR_RETURN(const nlohmann::json containers, ParseArray(json));
  std::map<std::string, std::string> endpoints;
  for (const nlohmann::json& container : containers) {
    const std::string id = MemberText(container, "Id");
    for (const nlohmann::json& network : Member(Member(container, "NetworkSettings"), "Networks"))
      if (const std::string endpoint = MemberText(network, "EndpointID"); !endpoint.empty() && IsContainerId(id))
        endpoints.emplace(endpoint, id);
  }
  return endpoints;
}

absl::StatusOr<std::map<std::string, std::string>> ListDockerEndpoints(const DockerDaemon& daemon) {
  return ReadList(daemon, "/containers/json", "containers", ParseDockerEndpoints);
}

absl::StatusOr<std::vector<std::string>> ParseSwarmManagers(absl::string_view json) {
  std::vector<std::string> managers;
  std::string own;
  RETURN_IF_ERROR(WalkJson(json, [&](const JsonPath& path, const JsonScalar& value) {
    const std::string* text = TextOf(value);
    if (text != nullptr && PathIs(path, {"Swarm", "NodeAddr"})) own = *text;
    if (text == nullptr || !PathIs(path, {"Swarm", "RemoteManagers", "", "Addr"})) return;
    // "10.0.0.1:2377", "[fd00::1]:2377"
    absl::string_view host = absl::string_view(*text).substr(0, text->rfind(':'));
    if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
    if (!host.empty()) managers.emplace_back(host);
  }));
  std::erase(managers, own);
  return managers;
}

absl::StatusOr<std::vector<std::string>> ListSwarmManagers(const DockerDaemon& daemon) {
  ASSIGN_OR_RETURN(const HttpResponse response, GetFromDocker(daemon, "/info"));
  if (response.status != 200) return DockerRefuses(response, "describe itself");
  absl::StatusOr<std::vector<std::string>> managers = ParseSwarmManagers(response.body);
  if (!managers.ok()) return NotUnderstood("description", managers.status());
  return managers;
}

}  // namespace weave
