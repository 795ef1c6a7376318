// A file descriptor with one owner, and the canonical status of an errno. Everything in io/ and host/ that opens
// something holds it in an Fd.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace weave {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }

  // -1 when nothing is held.
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Hands the descriptor to the caller, who now closes it.
  int release() { return std::exchange(fd_, -1); }

  // Closes what is held and holds `fd` instead.
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// `what` names the operation and its object: ErrnoError(ENOENT, "open /run/x") is NotFound "open /run/x: No such file
// or directory". Codes a caller can act on: ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM are ResourceExhausted;
// EACCES, EPERM, EROFS PermissionDenied; ENOENT, ENODEV, ENXIO, ESRCH NotFound; EEXIST, EADDRINUSE AlreadyExists;
// EAGAIN, EBUSY, ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT, ENETDOWN, ENETUNREACH, EHOSTUNREACH, EINTR Unavailable;
// EINVAL, ENAMETOOLONG, ELOOP InvalidArgument; EISDIR, ENOTDIR, ENOTEMPTY, EADDRNOTAVAIL FailedPrecondition; ENOSYS,
// EOPNOTSUPP, EAFNOSUPPORT, EPROTONOSUPPORT Unimplemented; ECANCELED Cancelled; the rest Internal.
absl::Status ErrnoError(int err, absl::string_view what);

}  // namespace weave
