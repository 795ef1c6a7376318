// What the sleeve overlay, which decides on the peer's loop, and the forwarder, which carries frames on a thread of its
// own, tell each other. Plain values: they cross between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

#include "base/ip.h"
#include "base/mac.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "mesh/overlay.h"
#include "overlay/forwarding.h"
#include "sleeve/datagram_batch.h"
#include "sleeve/sleeve_codec.h"
#include "wire/session.h"

namespace weave {

// ---- to the forwarder, in order ----

// A connection was confirmed: datagrams with the remote's name are its own from now on. The forwarder numbers and seals
// what is sent, so the id is of one use.
struct OpenSleevePath {
  ConnectionId connection = 0;
  PeerName remote;
  bool outbound = false;          // we dialled
  std::optional<SessionKey> key;  // none: in clear
};

// What the path carries now.
struct UpdateSleevePath {
  ConnectionId connection = 0;
  DatagramRoute route;
  std::size_t mtu = 0;               // of the overlay (overlay/mtu_search.h)
  std::size_t max_payload_size = 0;  // of a datagram that reaches the other end whole
  bool fragments_pass = false;       // IP fragments reach the other end

  friend bool operator==(const UpdateSleevePath&, const UpdateSleevePath&) = default;
};

struct CloseSleevePath {
  ConnectionId connection = 0;
};

// Sends a special frame, alone in its datagram, over a path that was updated.
struct SendSpecialFrame {
  ConnectionId connection = 0;
  std::size_t frame_size = 0;  // kHeartbeatSize: a heartbeat
  std::uint64_t uid = 0;       // in a heartbeat
  bool dont_fragment = false;
};

using SleeveCommand = std::variant<OpenSleevePath, UpdateSleevePath, CloseSleevePath, SendSpecialFrame>;

// ---- to the overlay ----

// A special frame between the two ends of an open path.
struct SpecialFrameReceived {
  ConnectionId connection = 0;
  IpAddress local;  // the address of ours it was sent to
  SocketAddress remote;
  SpecialFrame kind = SpecialFrame::kNone;
  std::uint64_t uid = 0;       // in a heartbeat
  std::size_t frame_size = 0;  // of a test
};

}  // namespace weave
