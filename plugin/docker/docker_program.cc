#include "plugin/docker/docker_program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "host/docker_network.h"
#include "io/log_sink.h"
#include "io/service_notify.h"
#include "plugin/docker/plugin_daemon.h"
#include "plugin/docker/plugin_flags.h"

namespace weave {
namespace {

int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int Fail(const absl::Status& status) {
  const std::string line = absl::StrCat("weave-plugin: ", status.message());
  std::fprintf(stderr, "%s\n", line.c_str());
  ServiceNotifier::FromEnvironment().Failed(line, 1);
  return 1;
}

int PrintSwarmManagers(const PluginOptions& options) {
  const absl::StatusOr<DockerDaemon> daemon = NegotiateDocker({.address = options.docker_api});
  if (!daemon.ok()) return Fail(daemon.status());
  const absl::StatusOr<std::vector<std::string>> managers = ListSwarmManagers(*daemon);
  if (!managers.ok()) return Fail(managers.status());
  std::string text;
  for (const std::string& manager : *managers) absl::StrAppend(&text, manager, "\n");
  return Print(text);
}

}  // namespace

int RunDockerProgram(const std::vector<std::string>& args) {
  const absl::StatusOr<PluginOptions> options = ParsePluginOptions(args, ::getenv);
  if (!options.ok()) return Fail(options.status());
  switch (options->action) {
    case PluginAction::kPrintHelp:
      return Print(PluginHelp());
    case PluginAction::kPrintVersion:
      return Print(absl::StrCat("weave ", kVersion, "\n"));
    case PluginAction::kPrintSwarmManagers:
      return PrintSwarmManagers(*options);
    case PluginAction::kRun:
      break;
  }
  if (::geteuid() != 0) return Fail(absl::PermissionDeniedError("weave-plugin must be run as 'root'"));
  ::umask(0022);                                                          // what is private says so itself
  Logger* const logger = MakeStderrLogger(options->log_level).release();  // threads that outlive this call write to it
  ServiceNotifier notifier = ServiceNotifier::FromEnvironment();
  const absl::Status ran = RunPluginDaemon(*options, *logger, notifier);
  return ran.ok() ? 0 : Fail(ran);
}

}  // namespace weave
