#include "peer/network_port.h"

#include <utility>

#include "base/status.h"

namespace weave {
namespace {

static_assert(kDialledBit == TcpTransport::kFirstCallersId, "the core's ids of dials are the transport's callers'");

TcpTransportOptions TcpOptions(const NetworkPortOptions& options) {
  TcpTransportOptions tcp;
  tcp.host = options.host;
  tcp.port = options.port;
  return tcp;
}

bool IsUnicast(const IpAddress& address) { return address.IsV4() && address.v4() >> 28 < 0xe; }

}  // namespace

NetworkPort::NetworkPort(EventLoop& loop, const NetworkPortOptions& options, OnEvent on_event, Logger& logger)
    : loop_(loop),
      options_(options),
      on_event_(std::move(on_event)),
      logger_(logger),
      tcp_(loop, logger, *this, TcpOptions(options_)) {}

absl::Status NetworkPort::Open() {
  const auto on_datagrams = [this](absl::Span<const UdpDatagram> datagrams) {
    for (const UdpDatagram& datagram : datagrams)
      if (IsUnicast(datagram.destination))  // it becomes the address we answer from
        on_event_(DatagramReceived{datagram.destination, datagram.source, datagram.bytes});
  };
  ASSIGN_OR_RETURN(udp_, UdpSocket::Bind(loop_, options_.host, options_.port, on_datagrams));
  return tcp_.Listen();
}

void NetworkPort::Perform(NetworkOutput output) {
  for (const MeshOutput::Dial& dial : output.mesh.dials) tcp_.Connect(dial.connection, dial.address);
  for (const ConnectionId id : output.mesh.admitted) tcp_.Admit(id);
  for (MeshOutput::Send& send : output.mesh.sends) tcp_.Send(send.connection, std::move(send.bytes));
  for (const ConnectionId id : output.mesh.closes) tcp_.Close(id);
  for (const OverlayDatagram& datagram : output.datagrams) Send(datagram);
}

// What cannot be sent now is lost, as anything may be on its way; the core repeats what matters.
void NetworkPort::Send(const OverlayDatagram& datagram) {
  if (datagram.dont_fragment != sets_df_) {
    const absl::Status set = udp_->SetMtuDiscover(datagram.dont_fragment ? MtuDiscover::kDo : MtuDiscover::kDont);
    if (!set.ok()) return logger_.Error("cannot send a datagram", {{"reason", set.message()}});
    sets_df_ = datagram.dont_fragment;
  }
  const absl::Status sent = udp_->Send(datagram.remote, datagram.payload, datagram.local);
  if (sent.ok()) return;
  logger_.Debug("datagram not sent", {{"reason", sent.message()}});
  if (!absl::IsOutOfRange(sent) || !datagram.dont_fragment) return;
  const absl::StatusOr<std::size_t> path_mtu = udp_->PathMtu(datagram.remote);
  if (!path_mtu.ok()) return;
  loop_.Post([this, event = DatagramTooBig{datagram.remote, *path_mtu}] { on_event_(event); });
}

void NetworkPort::OnConnected(std::uint64_t id, const SocketAddress& local, const SocketAddress&) {
  on_event_(ConnectionOpened{id, local});
}

void NetworkPort::OnAccepted(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) {
  on_event_(ConnectionAccepted{id, local, remote});
}

void NetworkPort::OnReceived(std::uint64_t id, ByteView bytes) { on_event_(BytesReceived{id, bytes}); }

void NetworkPort::OnWritable(std::uint64_t id) { on_event_(ConnectionWritable{id}); }

void NetworkPort::OnClosed(std::uint64_t id, const absl::Status& reason) { on_event_(ConnectionClosed{id, reason}); }

}  // namespace weave
