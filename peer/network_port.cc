#include "peer/network_port.h"

#include <utility>
#include <variant>

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

DataPathOptions MakeDataPathOptions(const NetworkPortOptions& options) {
  return {options.name, options.host, options.port, options.packet_debug};
}

}  // namespace

NetworkPort::NetworkPort(EventLoop& loop, const NetworkPortOptions& options, OnEvent on_event,
                         OnBridgePortLost on_bridge_port_lost, Logger& logger)
    : options_(options),
      on_event_(std::move(on_event)),
      on_bridge_port_lost_(std::move(on_bridge_port_lost)),
      tcp_(loop, logger, *this, TcpOptions(options_)),
      data_path_(
          loop, MakeDataPathOptions(options_),
          [this](const DataPathThread::Notice& notice) {
            if (const auto* event = std::get_if<NetworkEvent>(&notice)) return on_event_(*event);
            on_bridge_port_lost_();
          },
          logger) {}

absl::Status NetworkPort::Open() {
  RETURN_IF_ERROR(data_path_.Open());
  return tcp_.Listen();
}

void NetworkPort::Perform(NetworkOutput output) {
  for (const MeshOutput::Dial& dial : output.mesh.dials) tcp_.Connect(dial.connection, dial.address);
  for (const ConnectionId id : output.mesh.admitted) tcp_.Admit(id);
  for (MeshOutput::Send& send : output.mesh.sends) tcp_.Send(send.connection, std::move(send.bytes));
  for (const ConnectionId id : output.mesh.closes) tcp_.Close(id);
  for (const ConnectionId id : output.mesh.leaves) tcp_.Leave(id);
  if (keeper_ != nullptr) keeper_->Perform(std::move(output.ipsec));
  data_path_.Perform(std::move(output.forwarding), output.sleeve, output.fastdp);
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

DataPathView MakeDataPathView(const DataPathStats& stats, const Topology& topology, Now now) {
  DataPathView view;
  view.interface = stats.interface;
  view.frames_received = stats.tap.received;
  view.frames_dropped = stats.tap.dropped;
  view.macs.reserve(stats.macs.size());
  for (const MacCache::Entry& entry : stats.macs) {
    const PeerSummary* peer = topology.Find(entry.peer);
    view.macs.push_back(
        {entry.mac, entry.peer, peer == nullptr ? "" : peer->nickname, now.wall - (now.monotonic - entry.seen)});
  }
  return view;
}

}  // namespace weave
