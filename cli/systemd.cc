#include "cli/systemd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/fd.h"

namespace weave {
namespace {

constexpr int kPatienceMilliseconds = 5000;

// One datagram, with `attached` (unless -1) in it.
absl::Status Send(const std::string& receiver, absl::string_view text, int attached) {
  sockaddr_un address = {};
  if (receiver.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError(absl::StrCat("NOTIFY_SOCKET \"", receiver, "\": too long"));
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, receiver.data(), receiver.size());
  if (receiver[0] == '@') address.sun_path[0] = '\0';

  std::string payload(text);
  iovec part = {payload.data(), payload.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + receiver.size());
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (attached >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &attached, sizeof attached);
  }
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::sendmsg(fd.get(), &message, MSG_NOSIGNAL) < 0)
    return ErrnoError(errno, absl::StrCat("notify systemd at ", receiver));
  return absl::OkStatus();
}

}  // namespace

absl::Status NotifySystemd(const Environment& environment, pid_t main_pid) {
  const std::string receiver = ValueOf(environment, "NOTIFY_SOCKET");
  if (receiver.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(Send(receiver, absl::StrCat("READY=1\nMAINPID=", main_pid), -1));

  // sd_notify_barrier(3): systemd closes the attached end once it has read what came before.
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  RETURN_IF_ERROR(Send(receiver, "BARRIER=1", write_end.get()));
  write_end.reset();
  pollfd closed = {read_end.get(), 0, 0};
  ::poll(&closed, 1, kPatienceMilliseconds);
  return absl::OkStatus();
}

}  // namespace weave
