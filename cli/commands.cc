#include "cli/commands.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace weave {
namespace {

constexpr Command kCommands[] = {
    {"launch", CommandKind::kShown, RunLaunch,
     "[--no-restart] [--name <name>] [--nickname <nickname>]\n"
     "[--host <ip_address>] [--port <port>]\n"
     "[--http-addr <address>] [--status-addr <address>]\n"
     "[--ipalloc-range <cidr> [--ipalloc-default-subnet <cidr>]]\n"
     "[--ipalloc-init consensus[=<count>] | seed=<peer>,... | observer]\n"
     "[--no-fastdp] [--mtu <bytes>] [--weave-bridge <name>]\n"
     "[--log-level=debug|info|warning|error] [--plugin=false]\n"
     "[<any other flag of weaver>] <peer> ..."},
    {"stop", CommandKind::kShown, RunStop},
    {"reset", CommandKind::kShown, RunReset, "[--force]"},
    {"connect", CommandKind::kShown, RunConnect, "[--replace] [<peer> ...]"},
    {"forget", CommandKind::kShown, RunForget, "<peer> ..."},
    {"attach", CommandKind::kShown, RunAttach,
     "[--without-dns] [--no-multicast-route]\n"
     "[<addr> ...] <container>"},
    {"detach", CommandKind::kShown, RunDetach, "[<addr> ...] <container>"},
    {"expose", CommandKind::kShown, RunExpose, "[--without-masquerade] [<addr> ...] [-h <fqdn>]"},
    {"hide", CommandKind::kShown, RunHide, "[<addr> ...]"},
    {"dns-add", CommandKind::kShown, RunDnsAdd,
     "[<ip_address> ...] <container> [-h <fqdn>] |\n"
     "<ip_address> ... -h <fqdn>"},
    {"dns-remove", CommandKind::kShown, RunDnsRemove,
     "[<ip_address> ...] <container> [-h <fqdn>] |\n"
     "<ip_address> ... -h <fqdn>"},
    {"dns-lookup", CommandKind::kShown, RunDnsLookup, "<unqualified_name>"},
    {"prime", CommandKind::kShown, RunPrime},
    {"rmpeer", CommandKind::kShown, RunRmpeer, "[--force] <peer_name_or_nickname> ..."},
    {"ps", CommandKind::kShown, RunPs, "[<container> ...]"},
    {"status", CommandKind::kShown, RunStatus, "[targets | connections | peers | dns | ipam]"},
    {"report", CommandKind::kShown, RunReport, "[-f <template>]"},
    {"doctor", CommandKind::kShown, RunDoctor, "[--json]"},
    {"version", CommandKind::kShown, RunVersion},

    {"bridge-type", CommandKind::kHidden, RunBridgeType},
    {"delete-datapath", CommandKind::kHidden, RunDeleteDatapath, "<datapath>"},
    {"docker-bridge-ip", CommandKind::kHidden, RunDockerBridgeIp},
    {"setup", CommandKind::kHidden, RunSetupCni},  // 2.8 pulled its images, too
    {"setup-cni", CommandKind::kHidden, RunSetupCni},
    {"dns-args", CommandKind::kHidden, RunDnsArgs},

    {"run", CommandKind::kRemoved},
    {"start", CommandKind::kRemoved},
    {"restart", CommandKind::kRemoved},
    {"launch-plugin", CommandKind::kRemoved},
    {"stop-plugin", CommandKind::kRemoved},
    {"launch-proxy", CommandKind::kRemoved},
    {"stop-proxy", CommandKind::kRemoved},
    {"launch-router", CommandKind::kRemoved},
    {"stop-router", CommandKind::kRemoved},

    {"env", CommandKind::kLater},
    {"config", CommandKind::kLater},
    {"attach-bridge", CommandKind::kLater},
};

constexpr char kLegend[] =
    "where <peer>      = <ip_address_or_fqdn>[:<port>]\n"
    "      <cidr>      = <ip_address>/<routing_prefix_length>\n"
    "      <addr>      = [ip:]<cidr> | net:<cidr> | net:default\n"
    "      <container> = a Docker container's name or id, a process id, or the\n"
    "                    path of a network namespace\n"
    "\n"
    "Every command takes --api-socket <path>: which peer of this host is meant.";

constexpr std::size_t kSynopsisColumn = 20;

// `weave launch        [...]`, further lines of the synopsis below the first.
std::string UsageLines(const Command& command) {
  std::string head = absl::StrCat("weave ", command.name);
  const absl::string_view synopsis = command.synopsis;
  if (synopsis.empty()) return head + "\n";
  head.resize(std::max(kSynopsisColumn, head.size() + 1), ' ');
  return absl::StrCat(head, absl::StrReplaceAll(synopsis, {{"\n", "\n" + std::string(kSynopsisColumn, ' ')}}), "\n");
}

// Takes `--api-socket X` and `--api-socket=X` out of `args`, up to `--`. False when X is missing.
bool TakeApiSocket(std::vector<std::string>& args, std::string& socket) {
  for (auto arg = args.begin(); arg != args.end() && *arg != "--";) {
    absl::string_view value = *arg;
    const bool ours = absl::ConsumePrefix(&value, "--api-socket") && (value.empty() || value.front() == '=');
    if (!ours) {
      ++arg;
    } else if (absl::ConsumePrefix(&value, "=")) {
      socket = std::string(value);
      arg = args.erase(arg);
    } else {
      if (arg + 1 == args.end()) return false;
      socket = arg[1];
      arg = args.erase(arg, arg + 2);
    }
    if (arg == args.end()) break;
  }
  return true;
}

int Complain(std::ostream& err, absl::string_view line) {
  err << line << "\n";
  return kExitFailure;
}

int Dispatch(const Command& command, CommandContext context, absl::string_view api_socket) {
  switch (command.kind) {
    case CommandKind::kRemoved:
      return Complain(context.err, absl::StrCat("The 'weave ", command.name,
                                                "' command has been removed as of Weave Net version 2.0"));
    case CommandKind::kLater:
      return Complain(context.err, absl::StrCat("weave: '", command.name, "' is not supported in this build"));
    case CommandKind::kShown:
    case CommandKind::kHidden:
      break;
  }
  if (std::count(context.args.begin(), context.args.end(), "--help") > 0) {
    context.err << UsageOf(command.name) << "\n";
    return kExitSuccess;
  }
  absl::StatusOr<Instance> instance = ResolveInstance(api_socket, context.environment);
  if (!instance.ok()) return Fail(context, instance.status());
  context.instance = *std::move(instance);
  return command.run(context);
}

}  // namespace

absl::Span<const Command> Commands() { return kCommands; }

const Command* FindCommand(absl::string_view name) {
  const Command* found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                      [&](const Command& command) { return name == command.name; });
  return found == std::end(kCommands) ? nullptr : found;
}

std::string UsageText() {
  std::string text = "Usage:\n\nweave --help | help\n\n";
  for (const Command& command : kCommands)
    if (command.kind == CommandKind::kShown) absl::StrAppend(&text, UsageLines(command));
  return absl::StrCat(text, "\n", kLegend);
}

std::string UsageOf(absl::string_view command) {
  const Command* found = FindCommand(command);
  if (found == nullptr || found->run == nullptr) return UsageText();
  return absl::StrCat("Usage:\n\n", UsageLines(*found), "\n", kLegend);
}

int RunWeave(absl::Span<const std::string> args, const Environment& environment, std::ostream& out, std::ostream& err) {
  std::vector<std::string> rest(args.begin(), args.end());
  if (!rest.empty() && rest.front() == "--local") rest.erase(rest.begin());  // where we always run (contract A1-02)
  std::string api_socket;
  if (!TakeApiSocket(rest, api_socket)) return Complain(err, "weave: --api-socket: want the path of a socket");
  if (rest.empty()) return Complain(err, UsageText());

  const std::string name = rest.front();
  rest.erase(rest.begin());
  if (name == "help" || name == "--help") {
    err << UsageText() << "\n";
    return kExitSuccess;
  }
  const Command* command = FindCommand(name);
  if (command == nullptr) return Complain(err, absl::StrCat("Unknown weave command '", name, "'\n", UsageText()));
  return Dispatch(*command, CommandContext{name, std::move(rest), {}, environment, out, err}, api_socket);
}

}  // namespace weave
