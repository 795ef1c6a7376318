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

// Frames for the neighbour of this connection go from `local` to `remote`, to this UDP port of it, if they are not too
// large; also when it was said before, then from now on so.
struct SetFastdpTunnel {
  ConnectionId connection = 0;
  PeerName remote_peer;
  IpAddress local;
  IpAddress remote;
  std::uint16_t udp_port = 0;
  std::size_t mtu = 0;  // bytes of frames' payload that reach what hangs on the other end

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
  bool test = false;  // of its size alone
};

// What containers' interfaces have on this host: what is larger they lose without a word.
struct SetFastdpInterfaceMtu {
  std::size_t bytes = 0;
};

using FastdpCommand = std::variant<SetFastdpTunnel, CloseFastdpTunnel, SendFastdpHeartbeat, SetFastdpInterfaceMtu>;

// ---- to the overlay ----

// As a tunnel brought it. Whoever can send UDP can send one.
struct FastdpHeartbeatReceived {
  PeerName sender;   // by the short id in the tunnel's header
  IpAddress local;   // the address of ours it was sent to
  IpAddress remote;  // where it came from
  std::uint64_t uid = 0;
  std::size_t frame_size = 0;
  bool test = false;
};

// The kernel's word for the path of a tunnel, first and whenever it is another. Told only where the kernel can keep
// larger frames out of the tunnel.
struct FastdpPathMtu {
  ConnectionId connection = 0;
  std::size_t bytes = 0;  // of IPv4 packets, headers included
};

// The kernel refuses the port that the tunnel needs; OK: it has one again.
struct FastdpTunnelPort {
  ConnectionId connection = 0;
  absl::Status status;
};

// What hangs on this host's end of the tunnels.
struct FastdpInterfaces {
  std::size_t mtu = 0;    // bytes, of containers' interfaces
  bool may_grow = false;  // there are none yet, so that the first may have more

  friend bool operator==(const FastdpInterfaces&, const FastdpInterfaces&) = default;
};

}  // namespace weave
