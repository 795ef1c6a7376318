// A process of someone else: watched and signalled through a descriptor, so that a pid used anew is never hit.
#pragma once

#include <sys/types.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/time.h"
#include "cli/instance.h"
#include "io/fd.h"

namespace weave {

class Process {
 public:
  // Nothing when there is no such process, which then has ended.
  static std::optional<Process> Open(pid_t pid);

  // The process that holds the lock file; nothing when nobody does or its pid cannot be seen from here.
  static std::optional<Process> HolderOf(absl::string_view lock_path);

  pid_t pid() const { return pid_; }

  // Whether it has ended within `timeout`; at least looks once.
  bool EndsWithin(Duration timeout) const;

  // A process that has ended is none of our concern: no error.
  void Signal(int signal) const;

 private:
  Process(pid_t pid, Fd fd) : pid_(pid), fd_(std::move(fd)) {}

  pid_t pid_;
  Fd fd_;
};

// Who lives of an instance, by the locks they hold: the kernel's word, not a file's.
struct Presence {
  std::optional<pid_t> supervisor;
  std::optional<pid_t> weaver;
  std::optional<pid_t> plugin;

  bool any() const { return supervisor || weaver || plugin; }
};

// Locks that cannot be looked at (not root) count as free.
Presence LookAt(const Instance& instance);

// Removes what a dead peer could not take away itself; a file of another kind at that path is not ours and stays.
absl::Status RemoveApiSocket(const Instance& instance);

}  // namespace weave
