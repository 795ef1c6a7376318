#include "fastdp/fastdp_connection.h"

#include <algorithm>
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
// The same for two more. FastdpInterfaces: the MTU, 2 bytes, and one byte, 1 if it may grow; more may follow one day.
// Who says that also says that a test of a size (fastdp/heartbeat.h) that arrived is told of: its MTU, 2 bytes. Said
// again, whatever it says, it is a reason to look at the path anew.
constexpr std::uint8_t kInterfacesTag = 17;
constexpr std::uint8_t kTestArrivedTag = 18;

Bytes EncodeMtu(std::size_t mtu) { return {static_cast<std::uint8_t>(mtu >> 8), static_cast<std::uint8_t>(mtu)}; }
std::size_t DecodeMtu(ByteView data) { return ReadBigEndian(data.first(2)); }

// The dialler knows which port the other end listens on, and the tunnels' is the next one; an acceptor assumes its own.
std::uint16_t VxlanPortOf(const OverlayConnection& connection, std::uint16_t ours) {
  return connection.outbound ? static_cast<std::uint16_t>(connection.remote_tcp.port + 1) : ours;
}

}  // namespace

FastdpConnection::FastdpConnection(const FastdpConfig& config, const OverlayConnection& connection,
                                   const FastdpInterfaces& interfaces, EntropySource& entropy,
                                   FastdpControlCounters& counters, Logger& logger)
    : self_(config.self),
      vxlan_port_(config.vxlan_port),
      frame_size_(config.mtu + kEthernetHeaderSize),
      search_(config.search),
      id_(connection.connection),
      uid_(connection.uid),
      key_(connection.key),
      counters_(counters),
      logger_(logger),
      tunnel_{connection.connection,
              connection.remote,
              connection.local_tcp.ip,
              connection.remote_tcp.ip,
              VxlanPortOf(connection, config.vxlan_port),
              config.mtu},
      finder_(config.mtu),
      interfaces_(interfaces),
      theirs_{config.mtu, false} {
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
  out.ipsec.emplace_back(SetUpOutbound{id_, tunnel_.local, tunnel_.remote, tunnel_.udp_port, offer->spi,
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
  tunnel_.mtu = mtu();
  out.commands.emplace_back(tunnel_);
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  TellInterfaces(out);
  SendHeartbeat(now, out);
}

// ---- heartbeats ----

void FastdpConnection::OnControl(Now now, std::uint8_t tag, ByteView data, FastdpOutput& out) {
  if (failed_) return;
  if (tag == kHeartbeatArrivedTag) OnAcknowledged(now, out);
  if (tag == kIpsecOfferTag) OnOffer(data, out);
  if (tag == kHearingTag && data.size() == 1) SetHealth(&FastdpConnection::is_heard_, data[0] != 0, out);
  if (tag == kInterfacesTag && data.size() >= 3) OnInterfaces(now, data, out);
  if (tag == kTestArrivedTag && data.size() >= 2) OnTestArrived(now, data, out);
}

void FastdpConnection::OnAcknowledged(Now now, FastdpOutput& out) {
  if (!open_ || std::exchange(established_, true)) return;
  interval_ = kSlowHeartbeat;
  heartbeat_at_ = now.monotonic + interval_;
  Tell(SubOverlayEstablished{}, out);
  BeginSearch(now, out);
}

// With keys, an end is where its keys are: what comes from elsewhere came in clear.
bool FastdpConnection::MayBeFrom(const FastdpHeartbeatReceived& heartbeat) const {
  if (heartbeat.sender != tunnel_.remote_peer) return false;
  return !key_.has_value() || (heartbeat.local == tunnel_.local && heartbeat.remote == tunnel_.remote);
}

void FastdpConnection::OnHeartbeat(Now now, const FastdpHeartbeatReceived& heartbeat, FastdpOutput& out) {
  if (!open_ || failed_ || !MayBeFrom(heartbeat)) {
    ++counters_.foreign_heartbeats;
    return;
  }
  if (heartbeat.test) return AnswerTest(heartbeat, out);
  FollowAddress(heartbeat, out);
  if (!speaks_of_mtu_) {  // as large as what hangs on the other end sends
    theirs_.mtu = heartbeat.frame_size - kEthernetHeaderSize;
    UpdateTunnel(out);
  }
  if (!std::exchange(heartbeat_seen_, true)) Tell(SubOverlayControl{kHeartbeatArrivedTag, {}}, out);
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  if (hears_) return;
  SetHealth(&FastdpConnection::hears_, true, out);
  TellHearing(out);
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

void FastdpConnection::OnTunnelPort(const absl::Status& status, FastdpOutput& out) {
  if (!open_ || failed_ || status.ok() == has_port_) return;
  if (status.ok())
    logger_.Info("the kernel has a port for the fast datapath's tunnel again",
                 {{"peer", tunnel_.remote_peer.ToString()}});
  else
    logger_.Warning("the kernel has no port for the fast datapath's tunnel",
                    {{"peer", tunnel_.remote_peer.ToString()}, {"reason", status.message()}});
  SetHealth(&FastdpConnection::has_port_, status.ok(), out);
  TellHearing(out);
}

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

std::optional<MonotonicTime> FastdpConnection::NextDeadline() const {
  if (failed_) return std::nullopt;
  return Earliest({heartbeat_at_, timeout_at_, finder_.NextDeadline()});
}

void FastdpConnection::OnTimer(Now now, FastdpOutput& out) {
  if (timeout_at_.has_value() && now.monotonic >= *timeout_at_) {
    // Not an error: heartbeats go on, slowly, and the next one that arrives brings the path back.
    timeout_at_.reset();
    interval_ = kSlowHeartbeat;
    SetHealth(&FastdpConnection::hears_, false, out);
    TellHearing(out);
  }
  if (const auto deadline = finder_.NextDeadline(); deadline.has_value() && now.monotonic >= *deadline)
    SendTest(finder_.OnTimer(now), out);
  if (heartbeat_at_.has_value() && now.monotonic >= *heartbeat_at_) SendHeartbeat(now, out);
}

// ---- what fits ----

std::size_t FastdpConnection::mtu() const { return std::max(std::min(finder_.mtu(), theirs_.mtu), MtuSearch::kLeast); }

std::size_t FastdpConnection::possible_mtu() const { return theirs_.may_grow ? finder_.mtu() : mtu(); }

void FastdpConnection::OnPathMtu(Now now, const FastdpPathMtu& path_mtu, FastdpOutput& out) {
  if (!open_ || failed_) return;
  const std::size_t ceiling = TunnelMtu(path_mtu.bytes, key_.has_value());
  const bool fits = ceiling + kEthernetHeaderSize >= frame_size_;
  if (fits != fits_)
    logger_.Info(fits ? "the path carries the fast datapath's packets again"
                      : "the path is too narrow for the fast datapath's packets",
                 {{"peer", tunnel_.remote_peer.ToString()},
                  {"path_mtu", path_mtu.bytes},
                  {"wanted", frame_size_ - kEthernetHeaderSize + path_mtu.bytes - ceiling}});
  SetHealth(&FastdpConnection::fits_, fits, out);
  SendTest(finder_.OnCeiling(now, ceiling), out);
  // So that the other end, whose kernel may have nothing to say, looks again as well.
  if (std::exchange(path_mtu_told_, true)) TellInterfaces(out);
}

void FastdpConnection::BeginSearch(Now now, FastdpOutput& out) {
  if (search_ && established_ && speaks_of_mtu_) SendTest(finder_.Begin(now), out);
}

void FastdpConnection::SendTest(std::optional<std::size_t> mtu, FastdpOutput& out) {
  UpdateTunnel(out);
  if (mtu.has_value() && open_)
    out.commands.emplace_back(SendFastdpHeartbeat{id_, uid_, *mtu + kEthernetHeaderSize, true});
}

void FastdpConnection::AnswerTest(const FastdpHeartbeatReceived& test, FastdpOutput& out) const {
  Tell(SubOverlayControl{kTestArrivedTag, EncodeMtu(test.frame_size - kEthernetHeaderSize)}, out);
}

void FastdpConnection::OnTestArrived(Now now, ByteView data, FastdpOutput& out) {
  SendTest(finder_.OnVerified(now, DecodeMtu(data)), out);
}

void FastdpConnection::OnInterfaces(Now now, ByteView data, FastdpOutput& out) {
  theirs_ = {DecodeMtu(data), data[2] == 1};
  if (!std::exchange(speaks_of_mtu_, true)) return BeginSearch(now, out);
  SendTest(finder_.Retry(now), out);
}

void FastdpConnection::SetInterfaces(const FastdpInterfaces& interfaces, FastdpOutput& out) {
  interfaces_ = interfaces;
  if (open_) TellInterfaces(out);
}

void FastdpConnection::TellInterfaces(FastdpOutput& out) const {
  Bytes data = EncodeMtu(interfaces_.mtu);
  data.push_back(interfaces_.may_grow ? 1 : 0);
  Tell(SubOverlayControl{kInterfacesTag, std::move(data)}, out);
}

void FastdpConnection::UpdateTunnel(FastdpOutput& out) {
  if (std::exchange(tunnel_.mtu, mtu()) == mtu()) return;
  logger_.Info("the fast datapath carries packets of another size to a peer",
               {{"peer", tunnel_.remote_peer.ToString()}, {"mtu", tunnel_.mtu}});
  if (open_) out.commands.emplace_back(tunnel_);
}

void FastdpConnection::SetHealth(bool FastdpConnection::*what, bool value, FastdpOutput& out) {
  const bool before = healthy();
  this->*what = value;
  if (healthy() != before) Tell(SubOverlayHealth{healthy()}, out);
}

// Without a port nothing comes out of the tunnel, whatever came a moment ago.
void FastdpConnection::TellHearing(FastdpOutput& out) const {
  Tell(SubOverlayControl{kHearingTag, {static_cast<std::uint8_t>(hears_ && has_port_)}}, out);
}

void FastdpConnection::SendHeartbeat(Now now, FastdpOutput& out) {
  out.commands.emplace_back(SendFastdpHeartbeat{id_, uid_, frame_size_});
  heartbeat_at_ = now.monotonic + interval_;
  SendTest(finder_.Verify(now), out);
}

void FastdpConnection::Tell(decltype(SubOverlayEvent::what) what, FastdpOutput& out) const {
  out.events.push_back({id_, std::move(what)});
}

}  // namespace weave
