#include "host/docker_api.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "host/json_walk.h"
#include "io/http_client.h"

namespace weave {
namespace {

// Characters of a refused name that an error repeats.
constexpr std::size_t kShownSize = 80;

absl::Status BadContainer(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("container description: ", what));
}

// The fields of a DockerContainer; of one that is given twice, the last of the right type counts.
struct ContainerFields {
  std::optional<std::string> id, name, network_mode;
  std::string hostname, domainname;
  std::optional<bool> running;
  std::optional<pid_t> pid;

  void Take(const JsonPath& path, const JsonScalar& value) {
    if (const std::string* text = std::get_if<std::string>(&value)) {
      if (PathIs(path, {"Id"})) id = *text;
      if (PathIs(path, {"Name"})) name = *text;
      if (PathIs(path, {"Config", "Hostname"})) hostname = *text;
      if (PathIs(path, {"Config", "Domainname"})) domainname = *text;
      if (PathIs(path, {"HostConfig", "NetworkMode"})) network_mode = *text;
    } else if (const bool* truth = std::get_if<bool>(&value)) {
      if (PathIs(path, {"State", "Running"})) running = *truth;
    } else if (const std::uint64_t* number = std::get_if<std::uint64_t>(&value)) {
      if (PathIs(path, {"State", "Pid"}) && *number <= std::uint64_t{std::numeric_limits<pid_t>::max()})
        pid = static_cast<pid_t>(*number);
    }
  }

  // OK, or why the document is no container's description.
  absl::Status Check() const {
    if (!id) return BadContainer("Id is missing or no string");
    if (!name) return BadContainer("Name is missing or no string");
    if (!running) return BadContainer("State.Running is missing or neither true nor false");
    if (!pid) return BadContainer("State.Pid is missing or no process id");
    if (!network_mode) return BadContainer("HostConfig.NetworkMode is missing or no string");
    return absl::OkStatus();
  }
};

}  // namespace

bool IsContainerName(absl::string_view text) {
  constexpr std::size_t kMaxSize = 255;
  if (text.empty() || text.size() > kMaxSize || !absl::ascii_isalnum(static_cast<unsigned char>(text[0]))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

bool IsContainerId(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<DockerContainer> ParseContainerJson(absl::string_view json) {
  ContainerFields fields;
  const absl::Status walked =
      WalkJson(json, [&](const JsonPath& path, const JsonScalar& value) { fields.Take(path, value); });
  if (!walked.ok()) return BadContainer(walked.message());
  RETURN_IF_ERROR(fields.Check());
  DockerContainer container = {*std::move(fields.id),
                               std::string(absl::StripPrefix(*fields.name, "/")),
                               *fields.running,
                               *fields.pid,
                               std::move(fields.hostname),
                               *std::move(fields.network_mode)};
  if (!container.hostname.empty() && !fields.domainname.empty())
    absl::StrAppend(&container.hostname, ".", fields.domainname);
  if (!IsContainerId(container.id)) return BadContainer("Id is not 64 lower-case hex digits");
  if (container.running && container.pid == 0) return BadContainer("running as pid 0");
  return container;
}

absl::StatusOr<DockerContainer> InspectContainer(const DockerApiOptions& options, absl::string_view name_or_id) {
  if (!IsContainerName(name_or_id))
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::Utf8SafeCHexEscape(name_or_id.substr(0, kShownSize)),
                     "\" is not a container name or id (letters, digits, and _.- after the first character)"));
  ASSIGN_OR_RETURN(HttpClient client, HttpClient::Create(options.address));
  absl::StatusOr<HttpResponse> response =
      client.Get(absl::StrCat("/containers/", name_or_id, "/json"), options.timeout);
  if (!response.ok()) return Annotate(response.status(), "the Docker daemon does not answer");
  if (response->status == 404) return absl::NotFoundError(absl::StrCat("no such container \"", name_or_id, "\""));
  if (response->status != 200)
    return absl::UnavailableError(absl::StrCat("Docker daemon at ", options.address, " answered with HTTP status ",
                                               response->status, " when asked for container \"", name_or_id, "\""));
  absl::StatusOr<DockerContainer> container = ParseContainerJson(response->body);
  if (!container.ok())
    return absl::UnavailableError(
        absl::StrCat("Docker daemon at ", options.address, ": ", container.status().message()));
  return container;
}

}  // namespace weave
