#include "fastdp/fastdp_connection.h"

#include <utility>

#include "overlay/frame.h"

namespace weave {
namespace {

// spec/overlay.md section 1.1
constexpr std::uint8_t kHeartbeatArrivedTag = 0;
constexpr std::uint8_t kIpsecOfferTag = 1;
// Between peers of ours; one of 2.8 ignores it. One byte: 0, I hear your heartbeats no more; 1, I do again. What passes
// in one direction alone would otherwise look healthy to the end whose frames are lost.
constexpr std::uint8_t kHearingTag = 16;

// The dialler knows which port the other end listens on, and the tunnels' is the next one; an acceptor assumes its own.
std::uint16_t VxlanPortOf(const OverlayConnection& connection, std::uint16_t ours) {
  return connection.outbound ? static_cast<std::uint16_t>(connection.remote_tcp.port + 1) : ours;
}

}  // namespace

FastdpConnection::FastdpConnection(const FastdpConfig& config, const OverlayConnection& connection,
                                   EntropySource& entropy, FastdpControlCounters& counters, Logger& logger)
    : self_(config.self),
      vxlan_port_(config.vxlan_port),
      frame_size_(config.mtu + kEthernetHeaderSize),
      id_(connection.connection),
      uid_(connection.uid),
      key_(connection.key),
      counters_(counters),
      logger_(logger),
      tunnel_{connection.connection, connection.remote, connection.local_tcp.ip, connection.remote_tcp.ip,
              VxlanPortOf(connection, config.vxlan_port)} {
  if (key_.has_value()) entropy.Fill(absl::MakeSpan(nonce_));
}

// ---- keys ----

void FastdpConnection::Confirm(FastdpOutput& out) {
  keyed_ = true;
  if (!key_.has_value()) {
    out.ipsec.emplace_back(PassInClear{id_, tunnel_.local, tunnel_.remote});
    return;
  }
  out.ipsec.emplace_back(SetUpInbound{id_, tunnel_.local, tunnel_.remote, vxlan_port_, tunnel_.udp_port,
                                      DeriveEspKey(*key_, nonce_, self_)});
}

void FastdpConnection::OnInboundReady(const InboundReady& ready, FastdpOutput& out) {
  if (!ready.status.ok()) return Fail(ready.status, out);
  Tell(SubOverlayControl{kIpsecOfferTag, EncodeIpsecOffer({nonce_, ready.spi})}, out);
}

// May come before we are confirmed.
void FastdpConnection::OnOffer(ByteView data, FastdpOutput& out) {
  const absl::StatusOr<IpsecOffer> offer = DecodeIpsecOffer(data);
  if (!offer.ok() || !key_.has_value()) {
    ++counters_.bad_offers;
    return;
  }
  keyed_ = true;
  out.ipsec.emplace_back(SetUpOutbound{id_, tunnel_.local, tunnel_.remote, offer->spi,
                                       DeriveEspKey(*key_, offer->nonce, tunnel_.remote_peer)});
}

void FastdpConnection::OnOutboundReady(Now now, const OutboundReady& ready, FastdpOutput& out) {
  if (!ready.status.ok()) return Fail(ready.status, out);
  Open(now, out);
}

void FastdpConnection::OnClearReady(Now now, const ClearReady& ready, FastdpOutput& out) {
  if (!ready.status.ok()) return Fail(ready.status, out);
  Open(now, out);
}

void FastdpConnection::Open(Now now, FastdpOutput& out) {
  if (failed_ || std::exchange(open_, true)) return;
  out.commands.emplace_back(tunnel_);
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  SendHeartbeat(now, out);
}

// ---- heartbeats ----

void FastdpConnection::OnControl(Now now, std::uint8_t tag, ByteView data, FastdpOutput& out) {
  if (failed_) return;
  if (tag == kHeartbeatArrivedTag) OnAcknowledged(now, out);
  if (tag == kIpsecOfferTag) OnOffer(data, out);
  if (tag == kHearingTag && data.size() == 1) SetHealth(&FastdpConnection::is_heard_, data[0] != 0, out);
}

void FastdpConnection::OnAcknowledged(Now now, FastdpOutput& out) {
  if (!open_ || std::exchange(established_, true)) return;
  interval_ = kSlowHeartbeat;
  heartbeat_at_ = now.monotonic + interval_;
  Tell(SubOverlayEstablished{}, out);
}

// With keys, an end is where its keys are: what comes from elsewhere came in clear.
bool FastdpConnection::MayBeFrom(const FastdpHeartbeatReceived& heartbeat) const {
  if (heartbeat.sender != tunnel_.remote_peer || heartbeat.frame_size != frame_size_) return false;
  return !key_.has_value() || (heartbeat.local == tunnel_.local && heartbeat.remote == tunnel_.remote);
}

void FastdpConnection::OnHeartbeat(Now now, const FastdpHeartbeatReceived& heartbeat, FastdpOutput& out) {
  if (!open_ || failed_ || !MayBeFrom(heartbeat)) {
    ++counters_.foreign_heartbeats;
    return;
  }
  FollowAddress(heartbeat, out);
  if (!std::exchange(heartbeat_seen_, true)) Tell(SubOverlayControl{kHeartbeatArrivedTag, {}}, out);
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  if (hears_) return;
  SetHealth(&FastdpConnection::hears_, true, out);
  Tell(SubOverlayControl{kHearingTag, {1}}, out);
}

// The other end may have another address by now, or stand behind one that is translated.
void FastdpConnection::FollowAddress(const FastdpHeartbeatReceived& heartbeat, FastdpOutput& out) {
  if (tunnel_.local == heartbeat.local && tunnel_.remote == heartbeat.remote) return;
  logger_.Info("the fast datapath's tunnel has another end", {{"peer", tunnel_.remote_peer.ToString()},
                                                              {"from", tunnel_.remote.ToString()},
                                                              {"to", heartbeat.remote.ToString()}});
  tunnel_.local = heartbeat.local;
  tunnel_.remote = heartbeat.remote;
  out.commands.emplace_back(tunnel_);
}

void FastdpConnection::OnTunnelFailed(const absl::Status& status, FastdpOutput& out) { Fail(status, out); }

void FastdpConnection::Fail(const absl::Status& status, FastdpOutput& out) {
  if (std::exchange(failed_, true)) return;
  heartbeat_at_.reset();
  timeout_at_.reset();
  Tell(SubOverlayFailed{status}, out);
}

void FastdpConnection::Stop(FastdpOutput& out) {
  if (std::exchange(open_, false)) out.commands.emplace_back(CloseFastdpTunnel{id_});
  if (std::exchange(keyed_, false)) out.ipsec.emplace_back(TearDownIpsec{id_});
}

std::optional<MonotonicTime> FastdpConnection::NextDeadline() const { return Earliest({heartbeat_at_, timeout_at_}); }

void FastdpConnection::OnTimer(Now now, FastdpOutput& out) {
  if (timeout_at_.has_value() && now.monotonic >= *timeout_at_) {
    // Not an error: heartbeats go on, slowly, and the next one that arrives brings the path back.
    timeout_at_.reset();
    interval_ = kSlowHeartbeat;
    SetHealth(&FastdpConnection::hears_, false, out);
    Tell(SubOverlayControl{kHearingTag, {0}}, out);
  }
  if (heartbeat_at_.has_value() && now.monotonic >= *heartbeat_at_) SendHeartbeat(now, out);
}

void FastdpConnection::SetHealth(bool FastdpConnection::*what, bool value, FastdpOutput& out) {
  const bool before = healthy();
  this->*what = value;
  if (healthy() != before) Tell(SubOverlayHealth{healthy()}, out);
}

void FastdpConnection::SendHeartbeat(Now now, FastdpOutput& out) {
  out.commands.emplace_back(SendFastdpHeartbeat{id_, uid_, frame_size_});
  heartbeat_at_ = now.monotonic + interval_;
}

void FastdpConnection::Tell(decltype(SubOverlayEvent::what) what, FastdpOutput& out) const {
  out.events.push_back({id_, std::move(what)});
}

}  // namespace weave
