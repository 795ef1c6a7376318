#include "cli/launch_channel.h"

#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weave {

absl::StatusOr<std::pair<LaunchChannel, LaunchChannel>> LaunchChannel::Open() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return ErrnoError(errno, "socketpair");
  return std::pair(LaunchChannel(Fd(ends[0])), LaunchChannel(Fd(ends[1])));
}

void LaunchChannel::Send(absl::string_view word, absl::string_view text) const {
  const std::string message = absl::StrCat(word, " ", text);
  ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL);
}

std::optional<LaunchChannel::Message> LaunchChannel::Receive() const {
  char buffer[4096];
  ssize_t size;
  do {
    size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(absl::string_view(buffer, static_cast<std::size_t>(size)), absl::MaxSplits(' ', 1));
  return Message{parts.first, parts.second};
}

}  // namespace weave
