#include "cli/instance.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weave {
namespace {

absl::StatusOr<Instance> InstanceOfSocket(absl::string_view source, absl::string_view text) {
  std::error_code error;
  const std::filesystem::path socket = std::filesystem::absolute(std::string(text), error).lexically_normal();
  const std::filesystem::path directory = socket.parent_path();
  if (error || !socket.has_filename() || directory.filename().empty() || absl::StrContains(text, '\n'))
    return absl::InvalidArgumentError(
        absl::StrCat(source, " \"", text, "\": want the path of a socket in a directory of its own"));
  return Instance{.api_socket = socket, .run_directory = directory, .name = directory.filename()};
}

}  // namespace

std::string ValueOf(const Environment& environment, const char* name, absl::string_view otherwise) {
  const char* value = environment(name);
  return value != nullptr ? std::string(value) : std::string(otherwise);
}

absl::StatusOr<Instance> ResolveInstance(absl::string_view api_socket_flag, const Environment& environment) {
  if (!api_socket_flag.empty()) return InstanceOfSocket("--api-socket", api_socket_flag);
  if (const std::string socket = ValueOf(environment, "WEAVE_API_SOCKET"); !socket.empty())
    return InstanceOfSocket("WEAVE_API_SOCKET", socket);
  std::string name = ValueOf(environment, "WEAVE_CONTAINER_NAME");
  if (name.empty()) name = "weave";
  if (absl::StrContains(name, '/') || name == "." || name == "..")
    return absl::InvalidArgumentError(absl::StrCat("WEAVE_CONTAINER_NAME \"", name, "\": want a name without slashes"));
  return InstanceOfSocket("WEAVE_CONTAINER_NAME", absl::StrCat("/run/", name, "/peer.sock"));
}

}  // namespace weave
