#include "io/tcp_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

// As Go's runtime sets it for 2.8: a probe after 15 s of silence, another each 15 s. The count is the kernel's (9).
constexpr int kKeepaliveSeconds = 15;

// Bytes the kernel takes beyond what is on its way. A peer that stops reading costs this much, not the megabytes to
// which a send buffer grows, and what it gets later is newer.
constexpr int kMaxUnsentSize = 128 * 1024;

void SetOption(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

// Failures are harmless and cannot happen for TCP sockets of this kernel.
void SetConnectionOptions(int fd) {
  const linger reset_on_close = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kMaxUnsentSize);
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveSeconds);
}

absl::StatusOr<Fd> OpenTcp(int family, absl::string_view what) {
  Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, what);
  return fd;
}

// `dual`: an IPv6 socket that takes IPv4 too.
absl::StatusOr<Fd> ListenAt(const SocketAddress& address, bool dual) {
  const std::string what = absl::StrCat("listen on ", address.ToString());
  ASSIGN_OR_RETURN(Fd fd, OpenTcp(FamilyOf(address.ip), what));
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!address.ip.IsV4()) SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, dual ? 0 : 1);
  const KernelAddress kernel(address);
  if (bind(fd.get(), kernel.get(), kernel.size()) != 0 || listen(fd.get(), kListenBacklog) != 0)
    return ErrnoError(errno, what);
  return fd;
}

}  // namespace

absl::StatusOr<Fd> ListenTcp(const std::optional<IpAddress>& host, std::uint16_t port) {
  if (host && !IsUnspecified(*host)) return ListenAt({*host, port}, false);
  absl::StatusOr<Fd> fd = ListenAt({IpAddress::V6(0), port}, true);
  if (fd.ok() || absl::IsAlreadyExists(fd.status())) return fd;
  return ListenAt({IpAddress::V4(0), port}, false);  // a host without IPv6
}

absl::StatusOr<Fd> StartConnect(const std::optional<IpAddress>& host, const SocketAddress& remote) {
  ASSIGN_OR_RETURN(Fd fd, OpenTcp(FamilyOf(remote.ip), "open a socket"));
  SetConnectionOptions(fd.get());
  if (host && !IsUnspecified(*host)) {
    if (host->family() != remote.ip.family())
      return absl::FailedPreconditionError(absl::StrCat("connect from ", host->ToString(),
                                                        ": not of the same address family as ", remote.ip.ToString()));
    // The port is chosen when connecting: it needs to be free for this remote only.
    SetOption(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const KernelAddress local({*host, 0});
    if (bind(fd.get(), local.get(), local.size()) != 0)
      return ErrnoError(errno, absl::StrCat("connect from ", host->ToString()));
  }
  const KernelAddress kernel(remote);
  if (connect(fd.get(), kernel.get(), kernel.size()) != 0 && errno != EINPROGRESS) return ConnectionError(errno);
  return fd;
}

AcceptedSocket AcceptTcp(int listening_fd) {
  AcceptedSocket result;
  sockaddr_storage remote = {};
  socklen_t size = sizeof remote;
  result.fd.reset(accept4(listening_fd, reinterpret_cast<sockaddr*>(&remote), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!result.fd.valid()) {
    result.error = errno;
    return result;
  }
  SetConnectionOptions(result.fd.get());
  result.remote = FromKernel(remote);
  return result;
}

absl::Status TakeSocketError(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  return error == 0 ? absl::OkStatus() : ConnectionError(error);
}

absl::Status ConnectionError(int err) {
  if (err == EPIPE) return absl::UnavailableError("closed by the other side");
  std::string text = std::generic_category().message(err);
  if (!text.empty()) text[0] = absl::ascii_tolower(static_cast<unsigned char>(text[0]));
  return absl::Status(ErrnoError(err, "").code(), text);
}

}  // namespace weave
