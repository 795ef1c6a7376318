#include "fastdp/fastdp_connection.h"

#include <utility>

#include "base/check.h"

namespace weave {
namespace {

constexpr std::uint8_t kHeartbeatArrivedTag = 0;  // spec/overlay.md section 1.1

}  // namespace

// The dialler knows which port the other end listens on, and the tunnels' is the next one; an acceptor assumes its own.
FastdpConnection::FastdpConnection(const OverlayConnection& connection, std::uint16_t vxlan_port,
                                   std::size_t frame_size, FastdpControlCounters& counters, Logger& logger)
    : id_(connection.connection),
      uid_(connection.uid),
      frame_size_(frame_size),
      counters_(counters),
      logger_(logger),
      tunnel_{connection.connection, connection.remote, connection.local_tcp.ip, connection.remote_tcp.ip,
              connection.outbound ? static_cast<std::uint16_t>(connection.remote_tcp.port + 1) : vxlan_port} {}

void FastdpConnection::Confirm(Now now, FastdpOutput& out) {
  open_ = true;
  out.commands.emplace_back(tunnel_);
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  SendHeartbeat(now, out);
}

void FastdpConnection::OnControl(Now now, std::uint8_t tag, ByteView, FastdpOutput& out) {
  if (failed_) return;
  if (tag == kHeartbeatArrivedTag) OnAcknowledged(now, out);
}

void FastdpConnection::OnAcknowledged(Now now, FastdpOutput& out) {
  if (!open_ || std::exchange(established_, true)) return;
  interval_ = kSlowHeartbeat;
  heartbeat_at_ = now.monotonic + interval_;
  Tell(SubOverlayEstablished{}, out);
}

void FastdpConnection::OnHeartbeat(Now now, const FastdpHeartbeatReceived& heartbeat, FastdpOutput& out) {
  if (!open_ || failed_ || heartbeat.sender != tunnel_.remote_peer || heartbeat.frame_size != frame_size_) {
    ++counters_.foreign_heartbeats;
    return;
  }
  // The other end may have another address by now, or stand behind one that is translated.
  if (tunnel_.local != heartbeat.local || tunnel_.remote != heartbeat.remote) {
    logger_.Info("the fast datapath's tunnel has another end", {{"peer", tunnel_.remote_peer.ToString()},
                                                                {"from", tunnel_.remote.ToString()},
                                                                {"to", heartbeat.remote.ToString()}});
    tunnel_.local = heartbeat.local;
    tunnel_.remote = heartbeat.remote;
    out.commands.emplace_back(tunnel_);
  }
  if (!std::exchange(heartbeat_seen_, true)) Tell(SubOverlayControl{kHeartbeatArrivedTag, {}}, out);
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  if (std::exchange(healthy_, true)) return;
  Tell(SubOverlayHealth{true}, out);
}

void FastdpConnection::OnTunnelFailed(const absl::Status& status, FastdpOutput& out) {
  if (std::exchange(failed_, true)) return;
  heartbeat_at_.reset();
  timeout_at_.reset();
  Tell(SubOverlayFailed{status}, out);
}

void FastdpConnection::Stop(FastdpOutput& out) {
  if (std::exchange(open_, false)) out.commands.emplace_back(CloseFastdpTunnel{id_});
}

std::optional<MonotonicTime> FastdpConnection::NextDeadline() const { return Earliest({heartbeat_at_, timeout_at_}); }

void FastdpConnection::OnTimer(Now now, FastdpOutput& out) {
  if (timeout_at_.has_value() && now.monotonic >= *timeout_at_) {
    // Not an error: heartbeats go on, slowly, and the next one that arrives brings the path back.
    timeout_at_.reset();
    interval_ = kSlowHeartbeat;
    if (std::exchange(healthy_, false)) Tell(SubOverlayHealth{false}, out);
  }
  if (heartbeat_at_.has_value() && now.monotonic >= *heartbeat_at_) SendHeartbeat(now, out);
}

void FastdpConnection::SendHeartbeat(Now now, FastdpOutput& out) {
  out.commands.emplace_back(SendFastdpHeartbeat{id_, uid_, frame_size_});
  heartbeat_at_ = now.monotonic + interval_;
}

void FastdpConnection::Tell(decltype(SubOverlayEvent::what) what, FastdpOutput& out) const {
  out.events.push_back({id_, std::move(what)});
}

}  // namespace weave
