#include "fastdp/fastdp_overlay.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {

absl::Status FastdpOverlay::Prepare(Now, const OverlayConnection& connection) {
  if (!connection.local_tcp.ip.IsV4() || !connection.remote_tcp.ip.IsV4())
    return absl::FailedPreconditionError(absl::StrCat("the connection to ", connection.remote_tcp.ToString(),
                                                      " is not over IPv4, which is all that the tunnels carry"));
  if (!connection.remote_short_id.has_value())
    return absl::FailedPreconditionError("the peer has no short id, by which tunnels name peers");
  CHECK(connections_.Find(connection.connection) == nullptr) << connection.connection;
  connections_.Add(connection.connection,
                   std::make_unique<FastdpConnection>(config_, connection, interfaces_, entropy_, counters_, logger_));
  by_uid_[connection.uid] = connection.connection;
  return absl::OkStatus();
}

void FastdpOverlay::Confirm(Now, ConnectionId connection) {
  Touch(connection, [&](FastdpConnection& fastdp) { fastdp.Confirm(output_); });
}

void FastdpOverlay::OnControl(Now now, ConnectionId connection, std::uint8_t tag, ByteView data) {
  Touch(connection, [&](FastdpConnection& fastdp) { fastdp.OnControl(now, tag, data, output_); });
}

void FastdpOverlay::Stop(Now, ConnectionId connection) {
  const std::unique_ptr<FastdpConnection> fastdp = connections_.Take(connection);
  if (fastdp == nullptr) return;
  fastdp->Stop(output_);
  const auto by_uid = by_uid_.find(fastdp->uid());
  if (by_uid != by_uid_.end() && by_uid->second == connection) by_uid_.erase(by_uid);
}

absl::btree_map<std::string, std::string> FastdpOverlay::Attributes(ConnectionId connection) const {
  const FastdpConnection* fastdp = Find(connection);
  return {{"mtu", absl::StrCat(fastdp == nullptr ? config_.mtu : fastdp->mtu())}};
}

void FastdpOverlay::OnTimer(Now now) {
  connections_.WithDue(now.monotonic, [&](FastdpConnection& fastdp) {
    touched_ = true;
    fastdp.OnTimer(now, output_);
  });
}

void FastdpOverlay::OnIpsec(Now now, const IpsecNotice& notice) {
  const ConnectionId id = std::visit([](const auto& ready) { return ready.connection; }, notice);
  Touch(id, [&](FastdpConnection& fastdp) {
    if (const auto* inbound = std::get_if<InboundReady>(&notice))
      fastdp.OnInboundReady(*inbound, output_);
    else if (const auto* outbound = std::get_if<OutboundReady>(&notice))
      fastdp.OnOutboundReady(now, *outbound, output_);
    else
      fastdp.OnClearReady(now, std::get<ClearReady>(notice), output_);
  });
}

void FastdpOverlay::OnHeartbeat(Now now, const FastdpHeartbeatReceived& heartbeat) {
  const auto found = by_uid_.find(heartbeat.uid);
  if (found == by_uid_.end()) {
    ++counters_.foreign_heartbeats;
    return;
  }
  Touch(found->second, [&](FastdpConnection& fastdp) { fastdp.OnHeartbeat(now, heartbeat, output_); });
}

void FastdpOverlay::OnPathMtu(Now now, const FastdpPathMtu& path_mtu) {
  Touch(path_mtu.connection, [&](FastdpConnection& fastdp) { fastdp.OnPathMtu(now, path_mtu, output_); });
}

void FastdpOverlay::OnInterfaces(const FastdpInterfaces& interfaces) {
  output_.commands.emplace_back(SetFastdpInterfaceMtu{interfaces.mtu});
  if (std::exchange(interfaces_, interfaces) == interfaces) return;
  connections_.WithAll([&](FastdpConnection& fastdp) { fastdp.SetInterfaces(interfaces, output_); });
}

void FastdpOverlay::OnTunnelPort(Now, const FastdpTunnelPort& port) {
  Touch(port.connection, [&](FastdpConnection& fastdp) { fastdp.OnTunnelPort(port.status, output_); });
}

}  // namespace weave
