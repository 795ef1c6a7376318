// Lives of Docker containers as the daemon tells them: GET /events, for as long as there is a daemon, and again when it
// has come back.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "base/time.h"
#include "host/docker_api.h"
#include "host/docker_network.h"
#include "io/fd.h"

namespace weave {

struct DockerEvent {
  enum class Action { kStart, kDie, kDestroy };

  Action action = Action::kStart;
  std::string container_id;

  friend bool operator==(const DockerEvent&, const DockerEvent&) = default;
};

// Cuts the stream of events, JSON documents with a newline behind each, and reads them. What is not about a container's
// life is skipped.
class DockerEventParser {
 public:
  static constexpr std::size_t kMaxEventSize = 256 * 1024;  // bytes; events carry all labels of a container

  // Calls `take` for each event that is complete now. InvalidArgument: this is no stream of events, or one of them is
  // too large; there is no going on.
  absl::Status Feed(absl::string_view piece, const std::function<void(const DockerEvent&)>& take);

 private:
  std::string pending_;  // the beginning of an event
};

// Watches a daemon from a thread of its own. A daemon that is absent is looked for at growing intervals, quietly; what
// happens meanwhile is not told, so whoever listens looks for himself when told that the daemon is there.
class DockerEventWatch {
 public:
  struct Listener {
    // Events follow from now on. Here and below: on the watch's thread, which may be kept waiting.
    std::function<void(const DockerDaemon&)> on_connected;
    std::function<void(const DockerDaemon&, const DockerEvent&)> on_event;
  };

  // `logger` outlives the watch.
  DockerEventWatch(DockerApiOptions options, Listener listener, Logger& logger);
  DockerEventWatch(const DockerEventWatch&) = delete;
  DockerEventWatch& operator=(const DockerEventWatch&) = delete;

  // Waits for a listener that is at work.
  ~DockerEventWatch();

 private:
  void Run();
  bool WatchOnce();
  bool Rest(Duration duration) const;

  const DockerApiOptions options_;
  const Listener listener_;
  Logger& logger_;
  Fd stop_;  // an eventfd, readable: end
  std::thread thread_;
};

}  // namespace weave
