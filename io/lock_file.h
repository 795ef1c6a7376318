// A file that at most one process holds. The kernel keeps the lock, so a dead holder never blocks anyone and a stale
// file never lies about who runs.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "io/fd.h"

namespace weave {

// Released on destruction or when the process dies. The file stays: removing it is only safe for the holder.
class LockFile {
 public:
  // Creates the file (mode 0600) if need be; its directory must exist. Held elsewhere: AlreadyExists, naming the path
  // and the holder's pid. Held by this very process: AlreadyExists too.
  static absl::StatusOr<LockFile> Acquire(absl::string_view path);

  LockFile(LockFile&&) noexcept = default;
  LockFile& operator=(LockFile&&) noexcept = default;

  const std::string& path() const { return path_; }

  // Removes the file while still holding it, then releases; OK when it was gone.
  absl::Status ReleaseAndRemove();

 private:
  LockFile(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  Fd fd_;
};

// The process that holds the lock; nothing when it is free or the file is absent. 0 is a holder whose pid cannot be
// seen from here (another pid namespace). Creates nothing. A process that holds the lock itself is told 0.
absl::StatusOr<std::optional<pid_t>> HolderOf(absl::string_view path);

}  // namespace weave
