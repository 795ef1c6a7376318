#include "host/docker_events.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "host/json_walk.h"
#include "io/clock.h"
#include "io/http_client.h"

namespace weave {
namespace {

constexpr Duration kFirstPause = absl::Seconds(1);
constexpr Duration kLongestPause = absl::Seconds(30);

// {"type":["container"],"event":["start","die","destroy"]}
constexpr char kEventsTarget[] =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%2C%22die%22%2C%22destroy%22%"
    "5D%7D";

std::optional<DockerEvent::Action> ActionOf(absl::string_view word) {
  if (word == "start") return DockerEvent::Action::kStart;
  if (word == "die") return DockerEvent::Action::kDie;
  if (word == "destroy") return DockerEvent::Action::kDestroy;
  return std::nullopt;
}

absl::StatusOr<std::optional<DockerEvent>> ParseEvent(absl::string_view json) {
  std::string type, action, id;
  RETURN_IF_ERROR(WalkJson(json, [&](const JsonPath& path, const JsonScalar& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return;
    if (PathIs(path, {"Type"})) type = *text;
    if (PathIs(path, {"Action"})) action = *text;
    if (PathIs(path, {"Actor", "ID"})) id = *text;
  }));
  const std::optional<DockerEvent::Action> known = ActionOf(action);
  if (type != "container" || !known || !IsContainerName(id)) return std::nullopt;
  return DockerEvent{*known, id};
}

}  // namespace

absl::Status DockerEventParser::Feed(absl::string_view piece, const std::function<void(const DockerEvent&)>& take) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const absl::string_view part = piece.substr(0, end);
    if (pending_.size() + part.size() > kMaxEventSize)
      return absl::InvalidArgumentError(absl::StrCat("Docker event of more than ", kMaxEventSize, " bytes"));
    absl::StrAppend(&pending_, part);
    if (end == absl::string_view::npos) return absl::OkStatus();
    piece.remove_prefix(end + 1);
    const std::string document = std::exchange(pending_, std::string());
    if (document.find_first_not_of(" \t\r") == std::string::npos) continue;
    const absl::StatusOr<std::optional<DockerEvent>> event = ParseEvent(document);
    if (!event.ok()) return Annotate(event.status(), "Docker event");
    if (event->has_value()) take(**event);
  }
  return absl::OkStatus();
}

DockerEventWatch::DockerEventWatch(DockerApiOptions options, Listener listener, Logger& logger)
    : options_(std::move(options)),
      listener_(std::move(listener)),
      logger_(logger),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(stop_.valid());
  thread_ = std::thread([this] { Run(); });
}

DockerEventWatch::~DockerEventWatch() {
  CHECK(::eventfd_write(stop_.get(), 1) == 0);
  thread_.join();
}

void DockerEventWatch::Run() {
  Duration pause = kFirstPause;
  do {
    pause = WatchOnce() ? kFirstPause : std::min(pause * 2, kLongestPause);
  } while (Rest(pause));
}

// Whether there was a daemon.
bool DockerEventWatch::WatchOnce() {
  const absl::StatusOr<DockerDaemon> daemon = NegotiateDocker(options_);
  if (!daemon.ok()) {
    logger_.Debug("no Docker daemon yet", {{"reason", daemon.status().message()}});
    return false;
  }
  const absl::StatusOr<HttpClient> client = HttpClient::Create(options_.address);
  if (!client.ok()) return false;
  // What happens while the listener looks for itself is told, too; some of it twice.
  const std::string target =
      daemon->Target(absl::StrCat(kEventsTarget, "&since=", absl::ToUnixSeconds(SampleClocks().wall)));
  logger_.Info("watching Docker", {{"address", options_.address}, {"api", absl::StrCat("1.", daemon->api_minor)}});
  listener_.on_connected(*daemon);
  DockerEventParser parser;
  absl::Status broken;
  const absl::Status ended = client->Stream(target, options_.timeout, stop_.get(), [&](absl::string_view piece) {
    broken = parser.Feed(piece, [&](const DockerEvent& event) { listener_.on_event(*daemon, event); });
    return broken.ok();
  });
  const absl::Status& reason = broken.ok() ? ended : broken;
  if (!reason.ok()) logger_.Info("Docker's events ended", {{"reason", reason.message()}});
  return broken.ok();
}

// False: it is time to end.
bool DockerEventWatch::Rest(Duration duration) const {
  pollfd stop = {stop_.get(), POLLIN, 0};
  return ::poll(&stop, 1, PollTimeout(duration)) == 0;
}

}  // namespace weave
