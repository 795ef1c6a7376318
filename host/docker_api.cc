#include "host/docker_api.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "io/http_client.h"

namespace weave {
namespace {

// Characters of a refused name that an error repeats.
constexpr std::size_t kShownSize = 80;

// Docker's own documents nest five deep.
constexpr std::size_t kMaxDepth = 64;

// Picks the fields of a DockerContainer out of a document as it is parsed and keeps nothing else of it. Of a field that
// is given twice, the last one of the right type counts.
class ContainerReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  // OK, or why the document is no container's description.
  absl::Status Read(absl::string_view json) {
    if (!nlohmann::json::sax_parse(json.begin(), json.end(), this)) return Error(error_);
    if (!id_) return Error("Id is missing or no string");
    if (!name_) return Error("Name is missing or no string");
    if (!running_) return Error("State.Running is missing or neither true nor false");
    if (!pid_) return Error("State.Pid is missing or no process id");
    if (!network_mode_) return Error("HostConfig.NetworkMode is missing or no string");
    return absl::OkStatus();
  }

  // After Read() returned OK, once.
  DockerContainer Take() {
    std::string hostname =
        hostname_.empty() || domainname_.empty() ? hostname_ : absl::StrCat(hostname_, ".", domainname_);
    return {*std::move(id_),     std::string(absl::StripPrefix(*name_, "/")),
            *running_,           *pid_,
            std::move(hostname), *std::move(network_mode_)};
  }

  static absl::Status Error(absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("container description: ", what));
  }

  // What the parser calls; a false ends it.
  bool null() override { return true; }
  bool boolean(bool value) override {
    if (At("State", "Running")) running_ = value;
    return true;
  }
  bool number_integer(std::int64_t) override { return true; }  // the parser's word for a negative one
  bool number_unsigned(std::uint64_t value) override {
    if (At("State", "Pid") && value <= std::uint64_t{std::numeric_limits<pid_t>::max()})
      pid_ = static_cast<pid_t>(value);
    return true;
  }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string& value) override {
    if (At("Id"))
      id_ = std::move(value);
    else if (At("Name"))
      name_ = std::move(value);
    else if (At("Config", "Hostname"))
      hostname_ = std::move(value);
    else if (At("Config", "Domainname"))
      domainname_ = std::move(value);
    else if (At("HostConfig", "NetworkMode"))
      network_mode_ = std::move(value);
    return true;
  }
  bool binary(nlohmann::json::binary_t&) override { return true; }  // not in text

  bool start_object(std::size_t) override { return Enter(); }
  bool key(std::string& name) override {
    path_.back() = std::move(name);
    return true;
  }
  bool end_object() override { return Leave(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error_ = absl::StrCat("not JSON at byte ", position);
    return false;
  }

 private:
  bool Enter() {
    if (path_.size() == kMaxDepth) {
      error_ = absl::StrCat("nested deeper than ", kMaxDepth);
      return false;
    }
    path_.emplace_back();
    return true;
  }
  bool Leave() {
    path_.pop_back();
    return true;
  }

  bool At(absl::string_view key) const { return path_.size() == 1 && path_[0] == key; }
  bool At(absl::string_view outer, absl::string_view inner) const {
    return path_.size() == 2 && path_[0] == outer && path_[1] == inner;
  }

  std::vector<std::string> path_;  // per open object its current key, per open array ""
  std::string error_;
  std::optional<std::string> id_, name_, network_mode_;
  std::string hostname_, domainname_;
  std::optional<bool> running_;
  std::optional<pid_t> pid_;
};

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
  ContainerReader reader;
  RETURN_IF_ERROR(reader.Read(json));
  DockerContainer container = reader.Take();
  if (!IsContainerId(container.id)) return ContainerReader::Error("Id is not 64 lower-case hex digits");
  if (container.running && container.pid == 0) return ContainerReader::Error("running as pid 0");
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
