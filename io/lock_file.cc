#include "io/lock_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "io/file.h"

namespace weave {
namespace {

// Two locks on the same file, fcntl_locking(2). The open-file-description lock excludes: it also excludes a second
// opener in this process, and closing another descriptor of the file does not drop it. The classic lock only makes the
// kernel tell others our pid, which the first kind does not.
struct flock ByteLock(off_t start, short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = 1;
  return lock;
}

constexpr off_t kExcludes = 0;
constexpr off_t kTellsPid = 1;

// The pid behind the classic lock; 0 when it is not to be seen.
pid_t PidOfHolder(int fd) {
  struct flock lock = ByteLock(kTellsPid, F_WRLCK);
  if (::fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid > 0 ? lock.l_pid : 0;
}

absl::Status HeldError(const std::string& path, int fd) {
  if (const pid_t pid = PidOfHolder(fd); pid != 0)
    return absl::AlreadyExistsError(absl::StrCat(path, " is held by process ", pid));
  return absl::AlreadyExistsError(
      absl::StrCat(path, " is held by this process, or by one whose pid cannot be seen from here"));
}

}  // namespace

absl::StatusOr<LockFile> LockFile::Acquire(absl::string_view path) {
  const std::string name(path);
  while (true) {
    Fd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return ErrnoError(errno, absl::StrCat("open ", name));
    struct flock lock = ByteLock(kExcludes, F_WRLCK);
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
      if (errno == EAGAIN || errno == EACCES) return HeldError(name, fd.get());
      return ErrnoError(errno, absl::StrCat("lock ", name));
    }
    lock = ByteLock(kTellsPid, F_WRLCK);
    ::fcntl(fd.get(), F_SETLK, &lock);

    // A holder that removed the file between our open and our lock leaves us with a lock nobody else can see.
    struct stat ours, current;
    if (::fstat(fd.get(), &ours) != 0) return ErrnoError(errno, absl::StrCat("stat ", name));
    if (::stat(name.c_str(), &current) == 0 && ours.st_dev == current.st_dev && ours.st_ino == current.st_ino)
      return LockFile(name, std::move(fd));
  }
}

absl::Status LockFile::ReleaseAndRemove() {
  absl::Status status = RemoveIfExists(path_);
  fd_.reset();
  return status;
}

absl::StatusOr<std::optional<pid_t>> HolderOf(absl::string_view path) {
  const std::string name(path);
  const Fd fd(::open(name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    if (errno == ENOENT) return std::nullopt;
    return ErrnoError(errno, absl::StrCat("open ", name));
  }
  struct flock lock = ByteLock(kExcludes, F_WRLCK);
  if (::fcntl(fd.get(), F_OFD_GETLK, &lock) != 0) return ErrnoError(errno, absl::StrCat("query lock of ", name));
  if (lock.l_type == F_UNLCK) return std::nullopt;
  return std::optional<pid_t>(PidOfHolder(fd.get()));
}

}  // namespace weave
