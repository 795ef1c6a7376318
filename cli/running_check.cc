#include "cli/running_check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/process.h"
#include "client/peer_client.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/http_client.h"

namespace weave {
namespace {

constexpr Duration kControlPatience = absl::Seconds(1);
// A peer that was killed may keep its socket or its lock a moment longer; one that starts has its lock a moment before
// it listens.
constexpr Duration kBetweenPatience = absl::Seconds(3);
constexpr Duration kBetweenPause = absl::Milliseconds(20);

// What Ask() found, beside the exit statuses of the command.
constexpr int kNobodyListens = 100;
constexpr int kEndedMeanwhile = 101;

int Ask(CommandContext& context) {
  absl::StatusOr<PeerClient> peer = PeerClient::Connect(context.instance.api_socket);
  if (!peer.ok()) return kNobodyListens;
  const absl::StatusOr<v1::PeerInfo> info = peer->GetInfo();
  if (absl::IsUnavailable(info.status())) return kEndedMeanwhile;
  if (!info.ok()) return Fail(context, info.status());
  context.err << "weave is already running (pid " << info->pid() << ")\n";
  return kExitAlreadyRunning;
}

// In a process of its own: gRPC starts threads, and a launch that goes on forks.
int AskInChild(CommandContext& context) {
  const pid_t child = ::fork();
  if (child < 0) return Fail(context, ErrnoError(errno, "start a process"));
  if (child == 0) {
    const int found = Ask(context);
    context.err.flush();
    ::_exit(found);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!WIFEXITED(status)) return Fail(context, "whether a peer runs could not be found out");
  return WEXITSTATUS(status);
}

// A peer of another instance, or of 2.8, has the control address we want. Whatever else listens there is for the peer
// to report: it cannot bind.
bool PeerAnswersAt(absl::string_view http_addr) {
  if (http_addr.empty()) return false;
  const absl::StatusOr<HttpClient> client =
      HttpClient::Create(absl::StrCat(http_addr[0] == '/' ? "unix://" : "tcp://", http_addr));
  if (!client.ok()) return false;
  const absl::StatusOr<HttpResponse> response = client->Get("/status", kControlPatience);
  return response.ok() && absl::StrContains(response->body, "Version:");
}

}  // namespace

std::optional<int> FindRunning(CommandContext& context, const LaunchState& planned) {
  const MonotonicTime start = MonotonicNow();
  int found = AskInChild(context);
  while ((found == kEndedMeanwhile || (found == kNobodyListens && LookAt(context.instance).weaver)) &&
         MonotonicNow() - start < kBetweenPatience) {
    absl::SleepFor(kBetweenPause);
    found = AskInChild(context);
  }
  if (found != kNobodyListens) return found == kEndedMeanwhile ? Fail(context, "peers come and go here") : found;
  const absl::Status connected = PeerClient::Connect(context.instance.api_socket).status();
  const Presence presence = LookAt(context.instance);
  if (presence.weaver || connected.ok() || absl::IsDeadlineExceeded(connected))
    return Fail(context, absl::StrCat("weave is already running (pid ", presence.weaver.value_or(0),
                                      ") but does not answer: ", connected.message()));
  if (presence.supervisor)
    return Fail(context, absl::StrCat("weave is already running: its supervisor (pid ", *presence.supervisor,
                                      ") is about to start the peer again"));
  if (!absl::IsNotFound(connected) && !absl::IsUnavailable(connected)) return Fail(context, connected);
  if (PeerAnswersAt(planned.http_addr))
    return Fail(context,
                absl::StrCat("Weave Net is already running: it answers on ", planned.http_addr, " (WEAVE_HTTP_ADDR)"));
  return std::nullopt;
}

}  // namespace weave
