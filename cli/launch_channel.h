// What `weave launch` and the supervisor it started tell each other until the peer is ready: short messages over a
// socket pair, whose closing is a message too.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/time.h"
#include "io/fd.h"

namespace weave {

// Supervisor to launch:  "started PID"   the peer's process exists
//                        "ended STATUS"  it ended, with an exit status (128 + N: by signal N)
//                        "failed TEXT"   it could not be started, or the supervisor could not
//                        "kept"          answers "keep"; the supervisor is on its own from now on
// Launch to supervisor:  "keep"          the peer is ready
// The supervisor ends the peer when launch closes its end without "keep": nobody waits any more.
class LaunchChannel {
 public:
  LaunchChannel() = default;
  explicit LaunchChannel(Fd fd) : fd_(std::move(fd)) {}

  // Both ends.
  static absl::StatusOr<std::pair<LaunchChannel, LaunchChannel>> Open();

  int fd() const { return fd_.get(); }
  int Release() { return fd_.release(); }
  void Close() { fd_.reset(); }

  // Dropped when the other end is gone.
  void Send(absl::string_view word, absl::string_view text = "") const;

  struct Message {
    std::string word;
    std::string text;
  };

  // Waits for one; nothing when the other end is closed.
  std::optional<Message> Receive() const;

 private:
  Fd fd_;
};

}  // namespace weave
