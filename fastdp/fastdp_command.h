// What the fast overlay, which decides on the peer's loop, and the datapath, which lives on the data path's thread,
// tell each other. Plain values: they cross between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "mesh/overlay.h"

namespace weave {

// ---- to the datapath, in order ----

// Frames for the neighbour of this connection go from `local` to `remote`, to this UDP port of it; also when it was
// said before, then from now on so.
struct SetFastdpTunnel {
  ConnectionId connection = 0;
  PeerName remote_peer;
  IpAddress local;
  IpAddress remote;
  std::uint16_t udp_port = 0;

  friend bool operator==(const SetFastdpTunnel&, const SetFastdpTunnel&) = default;
};

struct CloseFastdpTunnel {
  ConnectionId connection = 0;
};

// Through a tunnel that was set. `frame_size`: bytes, at least kFastdpHeartbeatHeaderSize (fastdp/heartbeat.h).
struct SendFastdpHeartbeat {
  ConnectionId connection = 0;
  std::uint64_t uid = 0;
  std::size_t frame_size = 0;
};

using FastdpCommand = std::variant<SetFastdpTunnel, CloseFastdpTunnel, SendFastdpHeartbeat>;

// ---- to the overlay ----

// As a tunnel brought it. Whoever can send UDP can send one.
struct FastdpHeartbeatReceived {
  PeerName sender;   // by the short id in the tunnel's header
  IpAddress local;   // the address of ours it was sent to
  IpAddress remote;  // where it came from
  std::uint64_t uid = 0;
  std::size_t frame_size = 0;
};

// The kernel refuses what the tunnel needs.
struct FastdpTunnelFailed {
  ConnectionId connection = 0;
  absl::Status status;
};

}  // namespace weave
