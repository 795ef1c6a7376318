#include "cli/launch_plan.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr char kDefaultHttpAddress[] = "127.0.0.1:6784";  // spec/control.md section 1
constexpr char kDefaultIpallocRange[] = "10.32.0.0/12";   // section 6
constexpr char kDefaultStatusAddress[] = "127.0.0.1:6782";

// A view of the command line that finds flags by name, as weaver reads them: `--x v` or `--x=v`, until `--`.
class FlagReader {
 public:
  explicit FlagReader(absl::Span<const std::string> args) : args_(args) {}

  // The value of each `--name`, in order; one without a value at the end of the line counts as empty.
  std::vector<std::string> All(absl::string_view flag) const {
    std::vector<std::string> values;
    for (std::size_t i = 0; i < args_.size() && args_[i] != "--"; ++i) {
      absl::string_view rest = args_[i];
      if (!absl::ConsumePrefix(&rest, flag)) continue;
      if (rest.empty()) {
        values.push_back(i + 1 < args_.size() ? args_[i + 1] : "");
      } else if (absl::ConsumePrefix(&rest, "=")) {
        values.emplace_back(Unquoted(rest));
      }
    }
    return values;
  }

  // A switch: its value stands behind `=` or not at all. Nothing when it is not given; what is no boolean is weaver's
  // to refuse.
  std::optional<bool> Switch(absl::string_view flag) const {
    std::optional<bool> on;
    for (std::size_t i = 0; i < args_.size() && args_[i] != "--"; ++i) {
      absl::string_view rest = args_[i];
      if (!absl::ConsumePrefix(&rest, flag)) continue;
      if (rest.empty()) on = true;
      if (absl::ConsumePrefix(&rest, "=")) on = !IsFalse(Unquoted(rest));
    }
    return on;
  }

  // The last counts.
  std::string Value(absl::string_view flag, absl::string_view otherwise) const {
    const std::vector<std::string> values = All(flag);
    return values.empty() ? std::string(otherwise) : values.back();
  }

 private:
  static bool IsFalse(absl::string_view text) {
    return text == "0" || absl::EqualsIgnoreCase(text, "f") || absl::EqualsIgnoreCase(text, "false");
  }

  static absl::string_view Unquoted(absl::string_view text) {
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.front() == text.back())
      return text.substr(1, text.size() - 2);
    return text;
  }

  absl::Span<const std::string> args_;
};

bool IsSet(const Environment& environment, const char* name) { return !ValueOf(environment, name).empty(); }

// What the environment asks for, as flags (contract A.4).
std::vector<std::string> FlagsOfEnvironment(const Environment& environment, const LinkExists& link_exists) {
  std::vector<std::string> flags;
  if (IsSet(environment, "WEAVE_PORT")) flags.push_back("--port=" + ValueOf(environment, "WEAVE_PORT"));
  const std::string http = ValueOf(environment, "WEAVE_HTTP_ADDR");
  flags.push_back(absl::StrCat("--http-addr=", http.empty() ? kDefaultHttpAddress : http));
  const std::string status = ValueOf(environment, "WEAVE_STATUS_ADDR", kDefaultStatusAddress);
  if (!status.empty()) flags.push_back("--status-addr=" + status);
  std::string docker_bridge = ValueOf(environment, "DOCKER_BRIDGE");
  if (docker_bridge.empty()) docker_bridge = "docker0";
  if (link_exists(docker_bridge)) flags.push_back("--docker-bridge=" + docker_bridge);
  if (IsSet(environment, "WEAVE_NO_FASTDP")) flags.emplace_back("--no-fastdp");
  if (IsSet(environment, "WEAVE_NO_BRIDGED_FASTDP")) flags.emplace_back("--no-bridged-fastdp");
  if (IsSet(environment, "AWSVPC")) flags.emplace_back("--awsvpc");
  return flags;
}

absl::Status CheckPath(absl::string_view flag, absl::string_view path) {
  if (!absl::StartsWith(path, "/") || absl::StrContains(path, '\n'))
    return absl::InvalidArgumentError(absl::StrCat(flag, " \"", path, "\": want an absolute path"));
  return absl::OkStatus();
}

absl::Status CheckProxyAddresses(const std::vector<std::string>& addresses) {
  for (absl::string_view address : addresses) {
    absl::string_view path = address;
    if (absl::ConsumePrefix(&path, "unix://") && !absl::StartsWith(path, "/"))
      return absl::InvalidArgumentError(absl::StrCat(
          "-H \"", address, "\": the path of a unix socket must be absolute, as in unix:///run/weave.sock"));
  }
  return absl::OkStatus();
}

// The plugin's flags are the peer's by the same names. Empty: there is nothing for a plugin to do.
std::vector<std::string> PluginArgs(const FlagReader& flags, const Instance& instance, const LaunchState& state) {
  const bool managed = flags.Switch("--plugin-v2").value_or(false);
  if (!managed && !flags.Switch("--plugin").value_or(false)) return {};
  const std::string socket = flags.Value("--plugin-socket", "/run/docker/plugins/weave.sock");
  const std::string mesh_socket = flags.Value("--plugin-mesh-socket", "/run/docker/plugins/weavemesh.sock");
  if (socket.empty() && mesh_socket.empty()) return {};
  std::vector<std::string> args = {"--api-socket=" + instance.api_socket, "--plugin-socket=" + socket,
                                   "--plugin-mesh-socket=" + mesh_socket, "--weave-bridge=" + state.bridge,
                                   "--state-file=" + state.plugin_state_path()};
  if (managed) args.emplace_back("--plugin-v2");
  if (flags.Switch("--plugin-v2-multicast").value_or(false)) args.emplace_back("--plugin-v2-multicast");
  for (const char* flag : {"--docker-api", "--proc-path", "--log-level"})
    for (const std::string& value : flags.All(flag)) args.push_back(absl::StrCat(flag, "=", value));
  return args;
}

}  // namespace

absl::StatusOr<LaunchPlan> PlanLaunch(absl::Span<const std::string> args, const Instance& instance,
                                      const Environment& environment, const LinkExists& link_exists,
                                      const std::string& dns_address) {
  LaunchPlan plan;
  plan.weaver_args = FlagsOfEnvironment(environment, link_exists);
  plan.weaver_args.push_back(absl::StrCat("--ipalloc-range=", kDefaultIpallocRange));
  if (!dns_address.empty()) plan.weaver_args.push_back("--dns-listen-address=" + dns_address);
  plan.weaver_args.push_back("--db-prefix=" + instance.default_db_prefix());
  plan.weaver_args.push_back("--api-socket=" + instance.api_socket);
  plan.plugin_asked = FlagReader(args).Switch("--plugin").value_or(false);
  if (!IsSet(environment, "WEAVE_NO_PLUGIN")) plan.weaver_args.emplace_back(kDefaultPluginFlag);
  bool flags_ended = false;
  for (const std::string& arg : args) {
    flags_ended = flags_ended || arg == "--";
    absl::string_view rest = arg;
    if (!flags_ended && (arg == "--no-restart" || arg == "--no-restart=true")) {
      plan.supervised = false;
    } else if (!flags_ended && arg == "--no-restart=false") {
      plan.supervised = true;
    } else if (!flags_ended && arg == "--no-detect-tls") {
      // Docker's TLS is not looked for anyway.
    } else if (!flags_ended && absl::ConsumePrefix(&rest, "--iprange") && (rest.empty() || rest[0] == '=')) {
      plan.weaver_args.push_back(absl::StrCat("--ipalloc-range", rest));  // its name before Weave Net 1.5
    } else {
      plan.weaver_args.push_back(arg);
    }
  }

  const FlagReader flags(plan.weaver_args);
  RETURN_IF_ERROR(CheckProxyAddresses(flags.All("-H")));
  plan.state = {.db_prefix = flags.Value("--db-prefix", ""),
                .log_path = instance.log_path(),
                .bridge = flags.Value("--weave-bridge", "weave"),
                .datapath = flags.Value("--datapath", ""),
                .docker_bridge = flags.Value("--docker-bridge", ""),
                .port = flags.Value("--port", ""),
                .http_addr = flags.Value("--http-addr", "")};
  RETURN_IF_ERROR(CheckPath("--db-prefix", plan.state.db_prefix));
  plan.plugin_args = PluginArgs(flags, instance, plan.state);
  return plan;
}

}  // namespace weave
