// The sockets of the mesh and of sleeve: carries what the core wants sent, and tells it what arrives
// (peer/core/network_event.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/ip.h"
#include "base/log.h"
#include "io/event_loop.h"
#include "io/tcp_transport.h"
#include "io/udp_socket.h"
#include "peer/core/network_event.h"

namespace weave {

struct NetworkPortOptions {
  std::optional<IpAddress> host;  // where to listen and send from; none: every address
  std::uint16_t port = 6783;      // TCP and UDP
};

// Loop thread only.
class NetworkPort final : public TransportEvents {
 public:
  // Called for everything that happens, never from within a call of this class.
  using OnEvent = absl::AnyInvocable<void(const NetworkEvent&)>;

  // References outlive the port.
  NetworkPort(EventLoop& loop, const NetworkPortOptions& options, OnEvent on_event, Logger& logger);

  // Takes the ports; an error names the address that is taken or not ours.
  absl::Status Open();

  void Perform(NetworkOutput output);

  TcpTransportStats tcp_stats() const { return tcp_.stats(); }

  // ---- TransportEvents ----
  void OnConnected(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) override;
  void OnAccepted(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) override;
  void OnReceived(std::uint64_t id, ByteView bytes) override;
  void OnWritable(std::uint64_t id) override;
  void OnClosed(std::uint64_t id, const absl::Status& reason) override;

 private:
  void Send(const OverlayDatagram& datagram);

  EventLoop& loop_;
  const NetworkPortOptions options_;
  OnEvent on_event_;
  Logger& logger_;
  TcpTransport tcp_;
  std::unique_ptr<UdpSocket> udp_;
  bool sets_df_ = false;  // the mode the socket is in
};

}  // namespace weave
