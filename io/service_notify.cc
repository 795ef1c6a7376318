#include "io/service_notify.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "io/clock.h"
#include "io/file.h"

namespace weave {
namespace {

struct UnixAddress {
  sockaddr_un address = {};
  socklen_t size = 0;
};

// '@' first stands for the zero byte of the abstract name space.
absl::StatusOr<UnixAddress> ToUnixAddress(absl::string_view name) {
  UnixAddress result;
  if (name.empty() || name.size() >= sizeof result.address.sun_path)
    return absl::InvalidArgumentError(absl::StrCat("socket path \"", name, "\" has ", name.size(), " bytes, want 1 to ",
                                                   sizeof result.address.sun_path - 1));
  result.address.sun_family = AF_UNIX;
  std::memcpy(result.address.sun_path, name.data(), name.size());
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (name[0] == '@') {
    result.address.sun_path[0] = '\0';
  } else {
    ++result.size;
  }
  return result;
}

absl::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string OneLine(absl::string_view text) { return absl::StrReplaceAll(text, {{"\n", " "}, {"\r", " "}}); }

}  // namespace

ServiceNotifier ServiceNotifier::FromEnvironment() {
  ServiceNotifier notifier;
  notifier.manager_ = std::string(Variable("NOTIFY_SOCKET"));
  notifier.launcher_ = std::string(Variable(kLaunchSocketVariable));
  if (!notifier.manager_.empty() || !notifier.launcher_.empty())
    notifier.socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

  // sd_watchdog_enabled(3): for us if WATCHDOG_PID is absent or ours.
  std::int64_t microseconds = 0, pid = 0;
  const absl::string_view watched = Variable("WATCHDOG_PID");
  const bool ours = watched.empty() || (absl::SimpleAtoi(watched, &pid) && pid == ::getpid());
  if (ours && absl::SimpleAtoi(Variable("WATCHDOG_USEC"), &microseconds) && microseconds > 0)
    notifier.watchdog_interval_ = absl::Microseconds(microseconds) / 2;
  return notifier;
}

void ServiceNotifier::Ready() {
  SendTo(launcher_.empty() ? manager_ : launcher_, absl::StrCat("READY=1\nMAINPID=", ::getpid()));
}
void ServiceNotifier::Stopping() { Send("STOPPING=1"); }
void ServiceNotifier::Status(absl::string_view text) { Send(absl::StrCat("STATUS=", OneLine(text))); }
void ServiceNotifier::Watchdog() { Send("WATCHDOG=1"); }
void ServiceNotifier::Warning(absl::string_view text) { Send(absl::StrCat("WEAVE_WARNING=", OneLine(text))); }

void ServiceNotifier::Failed(absl::string_view error, int exit_status) {
  const std::string line = OneLine(error);
  Send(absl::StrCat("STATUS=", line, "\nWEAVE_ERROR=", line, "\nEXIT_STATUS=", exit_status));
}

void ServiceNotifier::Send(absl::string_view datagram) const {
  for (const std::string& receiver : {manager_, launcher_}) SendTo(receiver, datagram);
}

void ServiceNotifier::SendTo(const std::string& receiver, absl::string_view datagram) const {
  const absl::StatusOr<UnixAddress> to = ToUnixAddress(receiver);
  if (!to.ok()) return;
  ::sendto(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&to->address), to->size);
}

absl::StatusOr<LaunchSocket> LaunchSocket::Bind(absl::string_view directory) {
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "socket");
  for (int attempt = 0;; ++attempt) {
    const std::string path = absl::StrCat(directory, "/launch-", ::getpid(), "-", attempt, ".sock");
    ASSIGN_OR_RETURN(const UnixAddress address, ToUnixAddress(path));
    // The mode of the socket's file is that of the descriptor, and nobody can send before we look.
    if (::fchmod(fd.get(), 0600) != 0) return ErrnoError(errno, absl::StrCat("chmod ", path));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.address), address.size) == 0)
      return LaunchSocket(path, std::move(fd));
    if (errno != EADDRINUSE || attempt == 100) return ErrnoError(errno, absl::StrCat("bind ", path));
  }
}

LaunchSocket::LaunchSocket(LaunchSocket&& other) noexcept
    : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}

LaunchSocket::~LaunchSocket() {
  if (!path_.empty()) (void)RemoveIfExists(path_);
}

absl::StatusOr<std::map<std::string, std::string>> LaunchSocket::Receive(Duration timeout) {
  const MonotonicTime start = MonotonicNow();
  while (true) {
    const Duration left = timeout - (MonotonicNow() - start);
    pollfd ready = {fd_.get(), POLLIN, 0};
    const int count = ::poll(&ready, 1, PollTimeout(left));
    if (count < 0 && errno != EINTR) return ErrnoError(errno, absl::StrCat("wait on ", path_));
    if (count > 0) break;
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError(absl::StrCat("no message on ", path_));
  }
  char buffer[8192];
  const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  if (size < 0) return ErrnoError(errno, absl::StrCat("receive on ", path_));
  std::map<std::string, std::string> message;
  for (absl::string_view line : absl::StrSplit(absl::string_view(buffer, static_cast<std::size_t>(size)), '\n'))
    if (const std::size_t equals = line.find('='); equals != absl::string_view::npos && equals > 0)
      message.emplace(line.substr(0, equals), line.substr(equals + 1));
  return message;
}

}  // namespace weave
