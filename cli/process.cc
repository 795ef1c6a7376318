#include "cli/process.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "io/clock.h"
#include "io/file.h"
#include "io/lock_file.h"

namespace weave {
namespace {

std::optional<pid_t> LockHolder(absl::string_view path) { return weave::HolderOf(path).value_or(std::nullopt); }

}  // namespace

std::optional<Process> Process::Open(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return std::nullopt;
  return Process(pid, std::move(fd));
}

std::optional<Process> Process::HolderOf(absl::string_view lock_path) {
  const std::optional<pid_t> pid = LockHolder(lock_path);
  if (!pid) return std::nullopt;
  std::optional<Process> process = Open(*pid);
  // Asked again: between the first answer and the descriptor the pid could have changed hands.
  return LockHolder(lock_path) == pid ? std::move(process) : std::nullopt;
}

bool Process::EndsWithin(Duration timeout) const {
  const MonotonicTime start = MonotonicNow();
  while (true) {
    const Duration left = timeout - (MonotonicNow() - start);
    pollfd ended = {fd_.get(), POLLIN, 0};
    if (::poll(&ended, 1, PollTimeout(left)) > 0) return true;
    if (left <= absl::ZeroDuration()) return false;
  }
}

void Process::Signal(int signal) const { ::syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0); }

Presence LookAt(const Instance& instance) {
  return {.supervisor = LockHolder(instance.supervisor_lock()),
          .weaver = LockHolder(instance.weaver_lock()),
          .plugin = LockHolder(instance.plugin_lock())};
}

absl::Status RemoveApiSocket(const Instance& instance) {
  struct stat found;
  if (::lstat(instance.api_socket.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return absl::OkStatus();
  return RemoveIfExists(instance.api_socket);
}

}  // namespace weave
