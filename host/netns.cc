#include "host/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {

absl::StatusOr<NetNs> NetNs::Open(absl::string_view path) {
  // Not blocking: the path may be a fifo.
  Fd fd(::open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR || error == ESRCH)
      return absl::NotFoundError(absl::StrCat("no network namespace at ", path));
    return ErrnoError(error, absl::StrCat("open network namespace ", path));
  }
  if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a network namespace (want a file such as /proc/PID/ns/net or /run/netns/NAME)"));
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  return NetNs(std::move(fd), status.st_ino, status.st_dev);
}

absl::StatusOr<NetNs> NetNs::OfPid(pid_t pid, absl::string_view proc_path) {
  absl::StatusOr<NetNs> ns = Open(absl::StrCat(proc_path, "/", pid, "/ns/net"));
  if (absl::IsNotFound(ns.status())) return absl::NotFoundError(absl::StrCat("no process ", pid));
  return ns;
}

absl::StatusOr<NetNs> NetNs::Current() { return Open("/proc/thread-self/ns/net"); }

absl::Status RunIn(const NetNs& ns, absl::FunctionRef<absl::Status()> work) {
  ASSIGN_OR_RETURN(NetNs home, NetNs::Current());
  if (::setns(ns.fd(), CLONE_NEWNET) != 0) return ErrnoError(errno, "enter network namespace");
  absl::Status status = work();
  CHECK(::setns(home.fd(), CLONE_NEWNET) == 0) << "cannot leave a network namespace: " << std::strerror(errno);
  return status;
}

}  // namespace weave
