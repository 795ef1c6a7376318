// Between SocketAddress and what the kernel takes. Private to the sockets of io/.
#pragma once

#include <sys/socket.h>

#include "absl/status/statusor.h"
#include "base/socket_address.h"

namespace weave {

// An IPv4 or IPv6 address as bind, connect and sendmsg want it.
class KernelAddress {
 public:
  explicit KernelAddress(const SocketAddress& address);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }

 private:
  sockaddr_storage storage_ = {};
  socklen_t size_ = 0;
};

// AF_INET or AF_INET6.
int FamilyOf(const IpAddress& ip);

// 0.0.0.0 or ::
bool IsUnspecified(const IpAddress& ip);

// An IPv6 address that stands for an IPv4 one (::ffff:1.2.3.4) comes as the latter; a scope is dropped. Another family
// than AF_INET and AF_INET6 is a CHECK: the caller made the socket.
SocketAddress FromKernel(const sockaddr_storage& address);

// The two ends of a socket; an error when it has none (yet), or, for the remote one, no more.
absl::StatusOr<SocketAddress> LocalAddressOf(int fd);
absl::StatusOr<SocketAddress> RemoteAddressOf(int fd);

}  // namespace weave
