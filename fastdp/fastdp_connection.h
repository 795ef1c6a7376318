// The fast path of one connection: how it gets established, rests when nothing is heard, and comes back
// (spec/overlay.md section 3.2); and before that, how its two ends agree on keys if it has one (section 4.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "fastdp/fastdp_command.h"
#include "fastdp/ipsec_command.h"
#include "fastdp/tunnel_mtu.h"
#include "mesh/overlay.h"
#include "overlay/sub_overlay.h"

namespace weave {

// Of the whole overlay since its start. What is counted was dropped without another effect.
struct FastdpControlCounters {
  std::uint64_t bad_offers = 0;          // of keys: malformed, or on a connection without
  std::uint64_t foreign_heartbeats = 0;  // of no connection of ours, or not from its peer
};

// Effects, collected: events for the switch, commands for the datapath and for whoever keeps the kernel's keys.
struct FastdpOutput {
  std::vector<SubOverlayEvent> events;
  std::vector<FastdpCommand> commands;
  std::vector<IpsecCommand> ipsec;
};

struct FastdpConfig {
  PeerName self;
  std::uint16_t vxlan_port = 0;  // UDP, ours
  std::size_t mtu = 0;           // bytes of the frames' payload that every tunnel must carry
  bool search = false;           // for more, path by path
};

class FastdpConnection {
 public:
  static constexpr Duration kFastHeartbeat = absl::Milliseconds(500);  // until acknowledged
  static constexpr Duration kSlowHeartbeat = absl::Seconds(10);
  static constexpr Duration kHeartbeatTimeout = absl::Seconds(60);

  // Both addresses must be IPv4. References outlive the connection.
  FastdpConnection(const FastdpConfig& config, const OverlayConnection& connection, const FastdpInterfaces& interfaces,
                   EntropySource& entropy, FastdpControlCounters& counters, Logger& logger);
  FastdpConnection(const FastdpConnection&) = delete;
  FastdpConnection& operator=(const FastdpConnection&) = delete;

  void Confirm(FastdpOutput& out);
  void OnControl(Now now, std::uint8_t tag, ByteView data, FastdpOutput& out);
  // With this connection's UID; anybody may have sent it.
  void OnHeartbeat(Now now, const FastdpHeartbeatReceived& heartbeat, FastdpOutput& out);
  // What came of the commands about keys.
  void OnInboundReady(const InboundReady& ready, FastdpOutput& out);
  void OnOutboundReady(Now now, const OutboundReady& ready, FastdpOutput& out);
  void OnClearReady(Now now, const ClearReady& ready, FastdpOutput& out);
  void OnPathMtu(Now now, const FastdpPathMtu& path_mtu, FastdpOutput& out);
  // This host's; told to the other end.
  void SetInterfaces(const FastdpInterfaces& interfaces, FastdpOutput& out);
  // Not OK: the kernel has no port for the tunnel, and nothing passes until it has.
  void OnTunnelPort(const absl::Status& status, FastdpOutput& out);
  void Stop(FastdpOutput& out);

  std::optional<MonotonicTime> NextDeadline() const;
  void OnTimer(Now now, FastdpOutput& out);

  std::uint64_t uid() const { return uid_; }
  PeerName remote() const { return tunnel_.remote_peer; }
  bool established() const { return established_; }
  bool healthy() const { return hears_ && is_heard_ && fits_ && has_port_; }
  // What frames to this neighbour may have: that which passes, and which the interfaces there take.
  std::size_t mtu() const;
  // What interfaces here could have for this neighbour's sake, if those there grow as well where they may.
  std::size_t possible_mtu() const;
  bool searching_mtu() const { return finder_.searching(); }

 private:
  void SetHealth(bool FastdpConnection::*what, bool value, FastdpOutput& out);
  void OnOffer(ByteView data, FastdpOutput& out);
  void OnAcknowledged(Now now, FastdpOutput& out);
  void Open(Now now, FastdpOutput& out);
  bool MayBeFrom(const FastdpHeartbeatReceived& heartbeat) const;
  void FollowAddress(const FastdpHeartbeatReceived& heartbeat, FastdpOutput& out);
  void Fail(const absl::Status& status, FastdpOutput& out);
  void TellHearing(FastdpOutput& out) const;
  void SendHeartbeat(Now now, FastdpOutput& out);
  void OnInterfaces(Now now, ByteView data, FastdpOutput& out);
  void OnTestArrived(Now now, ByteView data, FastdpOutput& out);
  void AnswerTest(const FastdpHeartbeatReceived& test, FastdpOutput& out) const;
  void BeginSearch(Now now, FastdpOutput& out);
  void SendTest(std::optional<std::size_t> mtu, FastdpOutput& out);
  void TellInterfaces(FastdpOutput& out) const;
  void UpdateTunnel(FastdpOutput& out);
  void Tell(decltype(SubOverlayEvent::what) what, FastdpOutput& out) const;

  const PeerName self_;
  const std::uint16_t vxlan_port_;
  const std::size_t frame_size_;  // of heartbeats
  const bool search_;
  const ConnectionId id_;
  const std::uint64_t uid_;
  const std::optional<SessionKey> key_;  // none: in clear
  IpsecNonce nonce_ = {};                // of our offer
  FastdpControlCounters& counters_;
  Logger& logger_;

  SetFastdpTunnel tunnel_;
  bool keyed_ = false;  // the kernel may have something for us
  bool open_ = false;   // the datapath knows the tunnel
  bool failed_ = false;
  bool heartbeat_seen_ = false;  // and acknowledged
  bool established_ = false;
  bool hears_ = true;           // the other end's heartbeats
  bool is_heard_ = true;        // by its own word; a peer of Weave Net 2.8 never says otherwise
  bool fits_ = true;            // a heartbeat, into the path's MTU
  bool has_port_ = true;        // the tunnel, in the kernel
  bool path_mtu_told_ = false;  // by the kernel
  TunnelMtuFinder finder_;
  FastdpInterfaces interfaces_;  // ours
  FastdpInterfaces theirs_;      // what their heartbeats say, until they say it themselves
  bool speaks_of_mtu_ = false;   // theirs are by its own word: it is a peer of ours, and answers tests
  Duration interval_ = kFastHeartbeat;
  std::optional<MonotonicTime> heartbeat_at_;
  std::optional<MonotonicTime> timeout_at_;
};

}  // namespace weave
