// The listening side of TCP on the loop: accepts at a limited rate and survives running out of descriptors. Private to
// io/tcp_transport.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/socket_address.h"
#include "io/event_loop.h"
#include "io/fd.h"
#include "io/token_bucket.h"

namespace weave {

// Accepting costs a token; without one, connections wait in the kernel's backlog. Without a free descriptor (EMFILE,
// ENFILE), a connection is taken by giving up a descriptor held in reserve, and reset, so that the other side learns of
// it and the loop does not spin. On the loop's thread.
class TcpAcceptor {
 public:
  struct Options {
    std::optional<IpAddress> host;  // as ListenTcp
    std::uint16_t port = 0;
    int burst = 20;                              // tokens when nobody came for long
    Duration interval = absl::Milliseconds(50);  // per token; both: spec/mesh.md section 1
  };

  // `on_accept` gets a connected socket and its remote end. It must not destroy the acceptor.
  using OnAccept = absl::AnyInvocable<void(Fd, const SocketAddress&)>;

  // Errors as ListenTcp.
  static absl::StatusOr<std::unique_ptr<TcpAcceptor>> Listen(EventLoop& loop, Logger& log, const Options& options,
                                                             OnAccept on_accept);

  TcpAcceptor(const TcpAcceptor&) = delete;
  TcpAcceptor& operator=(const TcpAcceptor&) = delete;

  // With the real port.
  const SocketAddress& address() const { return address_; }

  // Connections reset for want of a descriptor.
  std::uint64_t refused_count() const { return refused_count_; }

 private:
  TcpAcceptor(EventLoop& loop, Logger& log, const Options& options, OnAccept on_accept, Fd listener,
              const SocketAddress& address);

  void Resume();
  void PauseUntil(MonotonicTime time);
  void OnReadable();
  bool OnError(int error);  // true: there may be more to accept
  bool RefuseOne(int error);

  EventLoop& loop_;
  Logger& log_;
  OnAccept on_accept_;
  const Fd listener_;
  const SocketAddress address_;
  Fd reserve_;
  TokenBucket bucket_;
  std::unique_ptr<FdWatch> watch_;  // null while paused
  std::unique_ptr<Timer> resume_;
  std::uint64_t refused_count_ = 0;
  bool short_of_descriptors_ = false;
};

}  // namespace weave
