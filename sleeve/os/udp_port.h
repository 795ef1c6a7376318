// The UDP socket of the sleeve data path, on the peer's own port: many datagrams a system call, and where the kernel
// can (UDP_SEGMENT, UDP_GRO), many in one piece through the network stack (spec/overlay.md section 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "base/socket_address.h"
#include "io/fd.h"
#include "sleeve/datagram_batch.h"

namespace weave {

// One thread at a time.
class UdpPort {
 public:
  // Datagrams the kernel refused or had no room for.
  struct Stats {
    std::uint64_t send_failures = 0;
  };

  using OnDatagram = absl::FunctionRef<void(const IpAddress& local, const SocketAddress& remote, ByteView bytes)>;
  // `path_mtu_bytes`: of IPv4 packets, headers included.
  using OnTooBig = absl::FunctionRef<void(const SocketAddress& remote, std::size_t path_mtu_bytes)>;

  // `host`: nothing is every address. Port 0: any free one. Errors name the address: AlreadyExists when the port is
  // taken, FailedPrecondition when `host` is not an address of this host, InvalidArgument when it is not IPv4.
  static absl::StatusOr<std::unique_ptr<UdpPort>> Open(const std::optional<IpAddress>& host, std::uint16_t port);

  UdpPort(const UdpPort&) = delete;
  UdpPort& operator=(const UdpPort&) = delete;
  ~UdpPort();

  int fd() const { return fd_.get(); }
  // With the real port.
  const SocketAddress& address() const { return address_; }

  // What has arrived, up to a batch; false: nothing. Only datagrams to an address of one host.
  bool Receive(OnDatagram on_datagram);

  // Hands the datagrams to the kernel. What cannot be sent is lost, and counted; of those with DF that are larger than
  // the path, each remote is told once.
  void Send(DatagramBatch& batch, OnTooBig on_too_big);

  // The largest IPv4 packet, headers included, that the kernel believes to reach `to` whole: what routers told (RFC
  // 1191), or else the interface's MTU.
  absl::StatusOr<std::size_t> PathMtu(const DatagramRoute& to) const;

  const Stats& stats() const { return stats_; }

 private:
  class Inbox;
  class Outbox;

  UdpPort(Fd fd, const SocketAddress& address);
  void SendRange(DatagramBatch& batch, std::size_t first, std::size_t end, OnTooBig on_too_big);
  bool SetDontFragment(bool on);

  const Fd fd_;
  const SocketAddress address_;
  const std::unique_ptr<Inbox> inbox_;
  const std::unique_ptr<Outbox> outbox_;
  bool sets_df_ = false;
  bool segments_ = true;  // UDP_SEGMENT works here
  Stats stats_;
};

}  // namespace weave
