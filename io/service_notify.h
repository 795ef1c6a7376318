// Telling whoever started a daemon that it is ready or why it is not: systemd (NOTIFY_SOCKET, sd_notify(3)) and `weave
// launch` (WEAVE_LAUNCH_SOCKET), which get the same datagrams but for READY. And the receiving end for `weave launch`.
#pragma once

#include <signal.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/time.h"
#include "io/fd.h"

namespace weave {

inline constexpr char kLaunchSocketVariable[] = "WEAVE_LAUNCH_SOCKET";  // path of a unix datagram socket

// Set, to "1", when a daemon is started again because it crashed: what its user changed since the first start counts,
// and not what that start's command line said of it.
inline constexpr char kRestartVariable[] = "WEAVE_RESTARTED";

// Sent to a daemon when nobody waits for its start any more: it ends, as on SIGTERM, and undoes what this start made.
inline constexpr int kTakeBackSignal = SIGUSR1;

// Any thread. Nothing blocks; a receiver that is absent, gone or full is ignored.
class ServiceNotifier {
 public:
  // Reads NOTIFY_SOCKET, WEAVE_LAUNCH_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  static ServiceNotifier FromEnvironment();

  // To `weave launch` alone while that waits: it tells systemd once it has decided that the daemon may stay.
  void Ready();
  void Stopping();
  void Status(absl::string_view text);
  void Watchdog();

  // The daemon runs, but something on this host needs a person: `weave launch` prints `text` (made one line) when the
  // daemon is ready, so this comes before Ready().
  void Warning(absl::string_view text);

  // The daemon cannot start: `error` (made one line) is what `weave launch` prints before it exits with `exit_status`.
  void Failed(absl::string_view error, int exit_status);

  // How often Watchdog() should be called: half of what systemd waits. Nothing when it does not ask.
  std::optional<Duration> watchdog_interval() const { return watchdog_interval_; }

 private:
  void Send(absl::string_view datagram) const;
  void SendTo(const std::string& receiver, absl::string_view datagram) const;

  // Socket names; '@' first: abstract; empty: none.
  std::string manager_;
  std::string launcher_;
  Fd socket_;
  std::optional<Duration> watchdog_interval_;
};

// A unix datagram socket in a directory, removed with the object.
class LaunchSocket {
 public:
  // The name is unique to this process and object; mode 0600. `directory` must exist.
  static absl::StatusOr<LaunchSocket> Bind(absl::string_view directory);

  LaunchSocket(LaunchSocket&& other) noexcept;
  LaunchSocket& operator=(LaunchSocket&&) = delete;
  ~LaunchSocket();

  // The value for WEAVE_LAUNCH_SOCKET.
  const std::string& path() const { return path_; }

  // Readable when a message waits.
  int fd() const { return fd_.get(); }

  // The next message as its `NAME=value` lines; lines without '=' are dropped. DeadlineExceeded when none comes within
  // `timeout`.
  absl::StatusOr<std::map<std::string, std::string>> Receive(Duration timeout);

 private:
  LaunchSocket(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  Fd fd_;
};

}  // namespace weave
