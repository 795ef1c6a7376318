// weaver: the peer of this host. This file is the map: read the command line, then run one of its actions.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <sodium/core.h>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "fastdp/os/ovs_datapath.h"
#include "io/log_sink.h"
#include "io/service_notify.h"
#include "peer/bridge_plan.h"
#include "peer/daemon.h"
#include "peer/flags.h"
#include "peer/host_setup.h"

namespace {

using weave::WeaverAction;

constexpr int kFailure = 1;

int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : kFailure;
}

int Fail(weave::ServiceNotifier& notifier, const absl::Status& status) {
  const std::string line(status.message());
  std::fprintf(stderr, "weaver: %s\n", line.c_str());
  notifier.Failed(line, kFailure);
  return kFailure;
}

int PrintPeerName(weave::ServiceNotifier& notifier, const weave::WeaverOptions& options) {
  const absl::StatusOr<weave::PeerName> name = weave::PeerNameWithoutStore(options);
  return name.ok() ? Print(name->ToString() + "\n") : Fail(notifier, name.status());
}

int RunAsRoot(weave::ServiceNotifier& notifier, const weave::WeaverOptions& options) {
  if (::geteuid() != 0) return Fail(notifier, absl::PermissionDeniedError("weaver must be run as 'root'"));
  ::umask(0077);  // sockets and the store are root's
  if (options.action == WeaverAction::kCleanup) {
    const absl::Status cleaned = weave::CleanUpHost(options);
    return cleaned.ok() ? 0 : Fail(notifier, cleaned);
  }
  if (options.action == WeaverAction::kDeleteDatapath) {
    const absl::Status deleted = weave::DeleteOvsDatapath(weave::DatapathName(options));
    return deleted.ok() ? 0 : Fail(notifier, deleted);
  }
  const std::unique_ptr<weave::Logger> logger = weave::MakeStderrLogger(options.log_level);
  const absl::Status ran = weave::RunDaemon(options, *logger, notifier);
  return ran.ok() ? 0 : Fail(notifier, ran);
}

int Run(weave::ServiceNotifier& notifier, const std::vector<std::string>& args) {
  const absl::StatusOr<weave::WeaverOptions> options =
      weave::ParseWeaverOptions(args, ::getenv, weave::CheckRangeOverlap);
  if (!options.ok()) return Fail(notifier, options.status());
  switch (options->action) {
    case WeaverAction::kPrintHelp:
      return Print(weave::WeaverHelp());
    case WeaverAction::kPrintVersion:
      return Print(absl::StrCat("weave ", weave::kVersion, "\n"));
    case WeaverAction::kPrintPeerName:
      return PrintPeerName(notifier, *options);
    case WeaverAction::kCleanup:
    case WeaverAction::kDeleteDatapath:
    case WeaverAction::kRun:
      return RunAsRoot(notifier, *options);
  }
  return kFailure;
}

}  // namespace

int main(int argc, char** argv) {
  // Chooses the code for this processor; without it libsodium takes the portable one, several times slower.
  if (sodium_init() < 0) return 1;
  weave::ServiceNotifier notifier = weave::ServiceNotifier::FromEnvironment();
  const int status = Run(notifier, std::vector<std::string>(argv + 1, argv + argc));
  // Not exit(): threads of ours or of gRPC may still run and must not see destroyed objects.
  std::fflush(stderr);
  std::_Exit(status);
}
