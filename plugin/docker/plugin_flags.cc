#include "plugin/docker/plugin_flags.h"

#include <sys/un.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/netlink.h"
#include "io/http_client.h"

namespace weave {
namespace {

using Options = PluginOptions;

struct PluginFlag {
  const char* name;
  const char* hint;  // null: a switch
  const char* help;
  absl::Status (*set)(const std::string& text, Options& options);
  const char* variable = nullptr;
};

absl::Status Want(absl::string_view what, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("\"", absl::Utf8SafeCHexEscape(text), "\": want ", what));
}

absl::Status SetPath(const std::string& text, std::string& value) {
  if (!absl::StartsWith(text, "/") || absl::StrContains(text, '\n')) return Want("an absolute path", text);
  value = text;
  return absl::OkStatus();
}

absl::Status SetSocket(const std::string& text, std::string& value) {
  RETURN_IF_ERROR(SetPath(text, value));
  if (text.size() >= sizeof(sockaddr_un::sun_path))
    return Want(absl::StrCat("at most ", sizeof(sockaddr_un::sun_path) - 1, " bytes"), text);
  return absl::OkStatus();
}

template <auto kField>
absl::Status PathOf(const std::string& text, Options& options) {
  return SetPath(text, options.*kField);
}

template <auto kField>
absl::Status OptionalPath(const std::string& text, Options& options) {
  if (!text.empty()) return SetPath(text, options.*kField);
  (options.*kField).clear();
  return absl::OkStatus();
}

template <auto kField>
absl::Status SocketOf(const std::string& text, Options& options) {
  return SetSocket(text, options.*kField);
}

template <auto kField>
absl::Status OptionalSocket(const std::string& text, Options& options) {
  if (!text.empty()) return SetSocket(text, options.*kField);
  (options.*kField).clear();
  return absl::OkStatus();
}

template <auto kField>
absl::Status SwitchOf(const std::string& text, Options& options) {
  if (text != "true" && text != "false") return Want("true or false", text);
  options.*kField = text == "true";
  return absl::OkStatus();
}

template <PluginAction kAction>
absl::Status Action(const std::string&, Options& options) {
  options.action = kAction;
  return absl::OkStatus();
}

absl::Status SetDockerApi(const std::string& text, Options& options) {
  if (!text.empty()) RETURN_IF_ERROR(HttpClient::Create(text).status());
  options.docker_api = text;
  return absl::OkStatus();
}

absl::Status SetBridge(const std::string& text, Options& options) {
  if (!IsLinkName(text)) return Want("the name of an interface, 1 to 15 characters", text);
  options.weave_bridge = text;
  return absl::OkStatus();
}

absl::Status SetLogLevel(const std::string& text, Options& options) {
  const std::optional<LogLevel> level = ParseLogLevel(text);
  if (!level) return Want("debug, info, warning or error", text);
  options.log_level = *level;
  return absl::OkStatus();
}

constexpr PluginFlag kPluginFlags[] = {
    {"help", nullptr, "print this and exit", &Action<PluginAction::kPrintHelp>},
    {"version", nullptr, "print the version and exit", &Action<PluginAction::kPrintVersion>},
    {"print-swarm-managers", nullptr, "print the managers of Docker's swarm and exit",
     &Action<PluginAction::kPrintSwarmManagers>},
    {"api-socket", "PATH", "socket of the peer", &SocketOf<&Options::api_socket>, "WEAVE_API_SOCKET"},
    {"docker-api", "ENDPOINT", "Docker's API; blank: Docker is not asked", &SetDockerApi, "DOCKER_HOST"},
    {"plugin-socket", "PATH", "socket of driver weave; blank: off", &OptionalSocket<&Options::plugin_socket>},
    {"plugin-mesh-socket", "PATH", "socket of driver weavemesh; blank: off",
     &OptionalSocket<&Options::plugin_mesh_socket>},
    {"plugin-v2", nullptr, "run as a managed Docker plugin", &SwitchOf<&Options::plugin_v2>},
    {"plugin-v2-multicast", nullptr, "multicast route in all networks", &SwitchOf<&Options::plugin_v2_multicast>},
    {"weave-bridge", "NAME", "name of the bridge", &SetBridge},
    {"proc-path", "DIR", "where the host's /proc is", &PathOf<&Options::proc_path>},
    {"state-file", "FILE", "where networks' options are kept; blank: nowhere", &OptionalPath<&Options::state_file>},
    {"log-level", "LEVEL", "debug, info, warning or error", &SetLogLevel},
};

const PluginFlag* FindPluginFlag(absl::string_view name) {
  const auto* found = std::find_if(std::begin(kPluginFlags), std::end(kPluginFlags),
                                   [&](const PluginFlag& flag) { return name == flag.name; });
  return found == std::end(kPluginFlags) ? nullptr : found;
}

}  // namespace

absl::StatusOr<PluginOptions> ParsePluginOptions(absl::Span<const std::string> args,
                                                 const std::function<const char*(const char*)>& environment) {
  PluginOptions options;
  for (const PluginFlag& flag : kPluginFlags) {
    const char* text = flag.variable == nullptr ? nullptr : environment(flag.variable);
    if (text != nullptr && *text != '\0') RETURN_IF_ERROR(Annotate(flag.set(text, options), flag.variable));
  }
  for (std::size_t i = 0; i < args.size(); ++i) {
    const absl::string_view arg = args[i];
    const std::size_t equals = arg.find('=');
    const PluginFlag* flag = absl::StartsWith(arg, "--") ? FindPluginFlag(arg.substr(2, equals - 2)) : nullptr;
    if (flag == nullptr)
      return absl::InvalidArgumentError(absl::StrCat("unknown argument \"", absl::Utf8SafeCHexEscape(arg),
                                                     "\"; weave-plugin --help lists those there are"));
    std::string text = "true";
    if (equals != absl::string_view::npos) {
      text = std::string(arg.substr(equals + 1));
    } else if (flag->hint != nullptr) {
      if (i + 1 == args.size())
        return absl::InvalidArgumentError(absl::StrCat("--", flag->name, ": wants a value, ", flag->hint));
      text = args[++i];
    }
    RETURN_IF_ERROR(Annotate(flag->set(text, options), absl::StrCat("--", flag->name)));
  }
  return options;
}

std::string PluginHelp() {
  constexpr std::size_t kColumn = 32;
  std::string text =
      "usage: weave-plugin [flag...]\n"
      "\n"
      "Runs the Docker plugin of Weave Net; weave launch starts it.\n"
      "In [brackets]: the environment variable that counts when the flag is not given.\n\n";
  for (const PluginFlag& flag : kPluginFlags) {
    std::string line =
        absl::StrCat("  --", flag.name, flag.hint == nullptr ? "" : " ", flag.hint == nullptr ? "" : flag.hint);
    line.resize(std::max(kColumn, line.size() + 1), ' ');
    absl::StrAppend(&text, line, flag.help, flag.variable == nullptr ? "" : absl::StrCat(" [", flag.variable, "]"),
                    "\n");
  }
  return text;
}

}  // namespace weave
