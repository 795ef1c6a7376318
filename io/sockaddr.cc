#include "io/sockaddr.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/numeric/int128.h"
#include "base/check.h"
#include "io/fd.h"

namespace weave {
namespace {

IpAddress FromKernel(const in6_addr& address) {
  absl::uint128 value = 0;
  for (const std::uint8_t byte : address.s6_addr) value = value << 8 | byte;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return IpAddress::V4(static_cast<std::uint32_t>(absl::Uint128Low64(value)));
  return IpAddress::V6(value);
}

}  // namespace

KernelAddress::KernelAddress(const SocketAddress& address) {
  if (address.ip.IsV4()) {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    v4.sin_addr.s_addr = htonl(address.ip.v4());
    std::memcpy(&storage_, &v4, sizeof v4);
    size_ = sizeof v4;
  } else {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    const Bytes bytes = address.ip.ToBytes();
    std::copy(bytes.begin(), bytes.end(), v6.sin6_addr.s6_addr);
    std::memcpy(&storage_, &v6, sizeof v6);
    size_ = sizeof v6;
  }
}

int FamilyOf(const IpAddress& ip) { return ip.IsV4() ? AF_INET : AF_INET6; }

bool IsUnspecified(const IpAddress& ip) { return ip.value() == 0; }

SocketAddress FromKernel(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    return {IpAddress::V4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  CHECK(address.ss_family == AF_INET6) << "address family " << address.ss_family;
  sockaddr_in6 v6;
  std::memcpy(&v6, &address, sizeof v6);
  return {FromKernel(v6.sin6_addr), ntohs(v6.sin6_port)};
}

absl::StatusOr<SocketAddress> LocalAddressOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return ErrnoError(errno, "getsockname");
  return FromKernel(address);
}

absl::StatusOr<SocketAddress> RemoteAddressOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return ErrnoError(errno, "getpeername");
  return FromKernel(address);
}

}  // namespace weave
