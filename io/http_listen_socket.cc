#include "io/http_listen_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr int kBacklog = 128;

absl::Status BadListenAddress(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("HTTP address \"", absl::CHexEscape(text),
                   "\": want HOST:PORT (an IPv4 address, [an IPv6 address], localhost or nothing, and a port from 0 to "
                   "65535) or the absolute path of a unix socket"));
}

absl::StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path) || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("unix socket path \"", absl::CHexEscape(path), "\": want at most ",
                                                   sizeof(address.sun_path) - 1, " bytes without NUL"));
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

template <typename Address>
int Connect(int fd, const Address& address) {
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

template <typename Address>
int Bind(int fd, const Address& address) {
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

// Makes room for a socket at `path`: removes that of a dead process, refuses everything else.
absl::Status RemoveStaleSocket(const std::string& path, const sockaddr_un& address) {
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("listen on ", path));
  }
  if (!S_ISSOCK(found.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("listen on ", path, ": exists and is not a socket; remove it or choose another path"));
  }
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return ErrnoError(errno, "socket");
  if (Connect(probe.get(), address) == 0 || errno == EAGAIN || errno == EPROTOTYPE) {
    return absl::AlreadyExistsError(absl::StrCat("listen on ", path, ": another process answers on this socket"));
  }
  if (errno == ENOENT) return absl::OkStatus();
  if (errno != ECONNREFUSED) return ErrnoError(errno, absl::StrCat("listen on ", path, ": asking who is there"));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, absl::StrCat("remove stale ", path));
  return absl::OkStatus();
}

sockaddr_in V4Address(const HttpAddress& address) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  v4.sin_addr.s_addr = htonl(address.ip ? address.ip->v4() : INADDR_ANY);
  return v4;
}

sockaddr_in6 V6Address(const HttpAddress& address) {
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  if (address.ip) {
    const Bytes bytes = address.ip->ToBytes();
    std::copy(bytes.begin(), bytes.end(), v6.sin6_addr.s6_addr);
  }
  return v6;
}

// A bound socket of `family`. AF_INET6 without an address takes IPv4 too.
absl::StatusOr<Fd> BindTcp(absl::string_view text, const HttpAddress& address, int family) {
  const std::string what = absl::StrCat("listen on ", text);
  Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, what);
  const int on = 1;
  const int off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, address.ip ? &on : &off, sizeof(on));
  const int result = family == AF_INET6 ? Bind(fd.get(), V6Address(address)) : Bind(fd.get(), V4Address(address));
  // Linux lets two sockets with SO_REUSEADDR bind one port; the second listen() is what fails.
  if (result != 0 || listen(fd.get(), kBacklog) != 0) {
    if (errno == EADDRINUSE)
      return absl::AlreadyExistsError(absl::StrCat(what, ": the port is in use by another process"));
    return ErrnoError(errno, what);
  }
  return fd;
}

}  // namespace

absl::StatusOr<HttpAddress> ParseHttpAddress(absl::string_view text) {
  HttpAddress address;
  if (absl::StartsWith(text, "/")) {
    address.unix_path = std::string(text);
    RETURN_IF_ERROR(UnixAddress(address.unix_path).status());
    return address;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return BadListenAddress(text);
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port = text.substr(colon + 1);
  std::uint32_t number = 0;
  if (port.empty() || port.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(port, &number) || number > 65535) {
    return BadListenAddress(text);
  }
  address.port = static_cast<std::uint16_t>(number);
  if (host.empty()) return address;
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  const absl::StatusOr<IpAddress> ip = IpAddress::Parse(host == "localhost" && !brackets ? "127.0.0.1" : host);
  if (!ip.ok() || ip->IsV4() == brackets) return BadListenAddress(text);
  address.ip = *ip;
  return address;
}

absl::StatusOr<HttpListenSocket> HttpListenSocket::Open(absl::string_view text, mode_t mode) {
  ASSIGN_OR_RETURN(const HttpAddress address, ParseHttpAddress(text));
  return address.unix_path.empty() ? OpenTcp(text, address) : OpenUnix(address.unix_path, mode);
}

absl::StatusOr<HttpListenSocket> HttpListenSocket::OpenUnix(const std::string& path, mode_t mode) {
  const std::string what = absl::StrCat("listen on ", path);
  ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  RETURN_IF_ERROR(RemoveStaleSocket(path, address));

  HttpListenSocket result;
  result.family_ = AF_UNIX;
  result.address_ = path;
  result.fd_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!result.fd_.valid()) return ErrnoError(errno, what);
  if (Bind(result.fd_.get(), address) != 0) return ErrnoError(errno, what);
  struct stat made = {};
  if (lstat(path.c_str(), &made) != 0) return ErrnoError(errno, what);
  result.path_ = path;
  result.device_ = made.st_dev;
  result.inode_ = made.st_ino;
  // Nobody can connect before listen(), so nobody gets in by the mode that the umask left.
  if (chmod(path.c_str(), mode) != 0 || listen(result.fd_.get(), kBacklog) != 0) return ErrnoError(errno, what);
  return result;
}

absl::StatusOr<HttpListenSocket> HttpListenSocket::OpenTcp(absl::string_view text, const HttpAddress& address) {
  HttpListenSocket result;
  result.family_ = address.ip && address.ip->IsV4() ? AF_INET : AF_INET6;
  absl::StatusOr<Fd> fd = BindTcp(text, address, result.family_);
  if (!fd.ok() && !address.ip && fd.status().code() != absl::StatusCode::kAlreadyExists) {  // a host without IPv6
    result.family_ = AF_INET;
    fd = BindTcp(text, address, AF_INET);
  }
  if (!fd.ok()) return std::move(fd).status();
  result.fd_ = *std::move(fd);

  sockaddr_in6 bound = {};  // the port is at the same place in sockaddr_in
  socklen_t size = sizeof(bound);
  if (getsockname(result.fd_.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return ErrnoError(errno, absl::StrCat("listen on ", text));
  }
  result.address_ = absl::StrCat(text.substr(0, text.rfind(':')), ":", ntohs(bound.sin6_port));
  return result;
}

HttpListenSocket::HttpListenSocket(HttpListenSocket&& other) noexcept
    : fd_(std::move(other.fd_)),
      family_(other.family_),
      address_(std::move(other.address_)),
      path_(std::exchange(other.path_, std::string())),
      device_(other.device_),
      inode_(other.inode_) {}

HttpListenSocket::~HttpListenSocket() {
  struct stat found = {};
  if (path_.empty() || lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) unlink(path_.c_str());
}

}  // namespace weave
