// Network namespaces: opening one by path or pid, its identity, and doing one thing inside it. Used by everything in
// host/ that reaches into a container.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "io/fd.h"

namespace weave {

// Holds a namespace open: it lives at least as long as this object. Move-only.
class NetNs {
 public:
  // `path` is a namespace file (`/proc/<pid>/ns/net`, `/run/netns/<name>`). Not there: NotFound. There, but not a
  // network namespace: InvalidArgument naming the path.
  static absl::StatusOr<NetNs> Open(absl::string_view path);

  // The namespace of a process. No such process: NotFound.
  static absl::StatusOr<NetNs> OfPid(pid_t pid, absl::string_view proc_path = "/proc");

  // The one the calling thread is in.
  static absl::StatusOr<NetNs> Current();

  int fd() const { return fd_.get(); }

  // The identity of the namespace while somebody holds it open; the kernel reuses the number afterwards.
  std::uint64_t inode() const { return inode_; }
  bool SameAs(const NetNs& other) const { return inode_ == other.inode_ && device_ == other.device_; }

 private:
  NetNs(Fd fd, std::uint64_t inode, std::uint64_t device) : fd_(std::move(fd)), inode_(inode), device_(device) {}

  Fd fd_;
  std::uint64_t inode_ = 0;
  std::uint64_t device_ = 0;
};

// Runs `work` with the calling thread inside `ns` and comes back; returns what `work` returned, or why the namespace
// could not be entered (PermissionDenied without CAP_SYS_ADMIN). For opening sockets and writing /proc/sys only:
// sockets stay in the namespace they were opened in. A thread that cannot come back is a CHECK.
absl::Status RunIn(const NetNs& ns, absl::FunctionRef<absl::Status()> work);

}  // namespace weave
