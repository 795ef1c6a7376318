#include "cli/running_check.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/process.h"
#include "io/http_client.h"

namespace weave {
namespace {

constexpr Duration kControlPatience = absl::Seconds(1);

int SayRunning(CommandContext& context, PeerClient& peer) {
  const absl::StatusOr<v1::PeerInfo> info = peer.GetInfo();
  if (!info.ok()) return Fail(context, info.status());
  context.err << "weave is already running (pid " << info->pid() << ")\n";
  return kExitAlreadyRunning;
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
  absl::StatusOr<PeerClient> peer = PeerClient::Connect(context.instance.api_socket);
  if (peer.ok()) return SayRunning(context, *peer);
  const Presence presence = LookAt(context.instance);
  if (presence.weaver || absl::IsDeadlineExceeded(peer.status()))
    return Fail(context, absl::StrCat("weave is already running (pid ", presence.weaver.value_or(0),
                                      ") but does not answer: ", peer.status().message()));
  if (presence.supervisor)
    return Fail(context, absl::StrCat("weave is already running: its supervisor (pid ", *presence.supervisor,
                                      ") is about to start the peer again"));
  if (!absl::IsNotFound(peer.status()) && !absl::IsUnavailable(peer.status())) return Fail(context, peer.status());
  if (PeerAnswersAt(planned.http_addr))
    return Fail(context,
                absl::StrCat("Weave Net is already running: it answers on ", planned.http_addr, " (WEAVE_HTTP_ADDR)"));
  return std::nullopt;
}

}  // namespace weave
