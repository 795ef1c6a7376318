// TCP sockets as the mesh wants them (spec/mesh.md section 1): all non-blocking, close-on-exec and with SO_LINGER 0, so
// that closing one resets the connection. Private to io/tcp_acceptor.cc and io/tcp_transport.cc.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "base/socket_address.h"
#include "io/fd.h"

namespace weave {

// Connections the kernel completes for us before we accept them. What the accept limit lets in while a peer waits 10 s
// for our header (spec/mesh.md section 2.1): those further back would give up before their turn.
inline constexpr int kListenBacklog = 128;

// Listens at `host`; none, 0.0.0.0 or ::: on every address, IPv4 and, if this host has it, IPv6. Port 0: any free one.
// Errors name the address: AlreadyExists when the port is taken, FailedPrecondition when `host` is not an address of
// this host.
absl::StatusOr<Fd> ListenTcp(const std::optional<IpAddress>& host, std::uint16_t port);

// Starts to connect, from `host` (none or unspecified: the kernel's choice) and a port of the kernel's. The socket
// becomes writable when that ended; TakeSocketError says how.
absl::StatusOr<Fd> StartConnect(const std::optional<IpAddress>& host, const SocketAddress& remote);

// The next connection of a listening socket, ready for use. `error` is the errno of a failure.
struct AcceptedSocket {
  Fd fd;
  SocketAddress remote;
  int error = 0;
};
AcceptedSocket AcceptTcp(int listening_fd);

// OK, or why the socket failed; the error is the socket's no more.
absl::Status TakeSocketError(int fd);

// An errno as the reason of a connection's end: ECONNREFUSED is Unavailable "connection refused", EPIPE "closed by the
// other side".
absl::Status ConnectionError(int err);

}  // namespace weave
