#include "host/docker_api.h"

#include <cpprest/json.h>

#include <algorithm>
#include <exception>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "io/http_client.h"

namespace weave {
namespace {

using web::json::value;

// Throws web::json::json_exception when the text is not JSON (or nested deeper than cpprest allows) or a field has
// another type.
DockerContainer Read(const std::string& text) {
  const value root = value::parse(text);
  DockerContainer container;
  container.id = root.at("Id").as_string();
  container.name = std::string(absl::StripPrefix(root.at("Name").as_string(), "/"));
  const value& state = root.at("State");
  container.running = state.at("Running").as_bool();
  const value& pid = state.at("Pid");
  if (!pid.is_integer() || !pid.as_number().is_int32()) throw web::json::json_exception("Pid is not a process id");
  container.pid = pid.as_number().to_int32();
  container.network_mode = root.at("HostConfig").at("NetworkMode").as_string();
  return container;
}

bool IsContainerId(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

bool IsContainerName(absl::string_view text) {
  constexpr std::size_t kMaxSize = 255;
  if (text.empty() || text.size() > kMaxSize || !absl::ascii_isalnum(static_cast<unsigned char>(text[0]))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

absl::StatusOr<DockerContainer> ParseContainerJson(absl::string_view json) {
  try {
    DockerContainer container = Read(std::string(json));
    if (!IsContainerId(container.id))
      return absl::InvalidArgumentError("container description: Id is not 64 lower-case hex digits");
    if (container.running && container.pid <= 0)
      return absl::InvalidArgumentError(absl::StrCat("container description: running as pid ", container.pid));
    return container;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("container description: ", error.what()));
  }
}

absl::StatusOr<DockerContainer> InspectContainer(const DockerApiOptions& options, absl::string_view name_or_id) {
  if (!IsContainerName(name_or_id))
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name_or_id, "\" is not a container name or id (letters, digits, and _.- after the first character)"));
  ASSIGN_OR_RETURN(HttpClient client, HttpClient::Create(options.address));
  absl::StatusOr<HttpResponse> response =
      client.Get(absl::StrCat("/containers/", name_or_id, "/json"), options.timeout);
  if (!response.ok()) return Annotate(response.status(), "Docker daemon");
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
