// UDP over IPv4 on the event loop, for what is seldom and small: the heartbeats of sleeve (spec/overlay.md section 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/socket_address.h"
#include "io/event_loop.h"
#include "io/fd.h"

namespace weave {

// What the kernel does about datagrams larger than the path (ip(7), IP_MTU_DISCOVER).
enum class MtuDiscover {
  kDont,   // never sets DF; fragments
  kWant,   // sets DF unless the datagram is too large, then fragments
  kDo,     // always sets DF; refuses what is larger than the path MTU it knows
  kProbe,  // always sets DF; refuses only what is larger than the interface's MTU
};

struct UdpDatagram {
  SocketAddress source;
  IpAddress destination;  // an address of ours, or the broadcast or multicast group the datagram was sent to
  ByteView bytes;         // whole; valid during the callback
};

// On the loop's thread, destroyed before the loop.
class UdpSocket {
 public:
  static constexpr std::size_t kMaxDatagramSize = 65535;  // bytes; more than IPv4 can carry
  static constexpr int kBatchCount = 64;                  // datagrams a turn

  // Gets what arrived in a turn, at least one datagram, oldest first. It must not destroy the socket.
  using OnReceived = absl::AnyInvocable<void(absl::Span<const UdpDatagram>)>;

  // Binds; starts as MtuDiscover::kDont. `host`: nothing is every address. Port 0: any free one. Errors name the
  // address: AlreadyExists when the port is taken, FailedPrecondition when `host` is not an address of this host,
  // InvalidArgument when it is not IPv4.
  static absl::StatusOr<std::unique_ptr<UdpSocket>> Bind(EventLoop& loop, const std::optional<IpAddress>& host,
                                                         std::uint16_t port, OnReceived on_received);

  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket();

  // With the real port.
  const SocketAddress& address() const { return address_; }

  absl::Status SetMtuDiscover(MtuDiscover mode);

  // Hands a datagram to the kernel, from `source` if given, which must be an address of this host. Errors name the
  // destination; the caller may act on
  //   OutOfRange          larger than the path or the protocol can carry; PathMtu tells the limit
  //   ResourceExhausted   the socket's buffer is full, now
  //   Unavailable         no route, or an unreachable network
  absl::Status Send(const SocketAddress& to, ByteView bytes, const std::optional<IpAddress>& source = std::nullopt);

  // The largest IPv4 packet, headers included, that the kernel believes to reach `to` whole: what routers told (RFC
  // 1191), or else the interface's MTU. Costs a few system calls.
  absl::StatusOr<std::size_t> PathMtu(const SocketAddress& to) const;

 private:
  class Batch;

  UdpSocket(Fd fd, const SocketAddress& address, OnReceived on_received);
  void OnReadable();

  const Fd fd_;
  const SocketAddress address_;
  OnReceived on_received_;
  const std::unique_ptr<Batch> batch_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace weave
