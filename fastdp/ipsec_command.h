// What the fast data path's overlay, which decides, and the keeper of associations, policies and rules in the kernel
// (fastdp/os/ipsec_keeper.h) tell each other. Plain values.
//
// For a connection with a session key, once it is confirmed:
//
//   SetUpInbound        -> InboundReady    now the offer may go to the other end
//   its offer arrives: SetUpOutbound
//                       -> OutboundReady   now heartbeats may be sent, and flows lead to the tunnel
//   the connection ends, or its overlay gives up: TearDownIpsec
//
// For a connection in clear: PassInClear -> ClearReady, then heartbeats; TearDownIpsec at its end.
#pragma once

#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "base/ip.h"
#include "base/time.h"
#include "fastdp/ipsec.h"
#include "mesh/overlay.h"

namespace weave {

// ---- to the keeper, in order ----

// Once per connection. `key`: DeriveEspKey with our own name.
struct SetUpInbound {
  ConnectionId connection = 0;
  IpAddress local;
  IpAddress remote;
  std::uint16_t local_port = 0;   // UDP of our VXLAN
  std::uint16_t remote_port = 0;  // and of the other end's
  EspKey key = {};
};

// May come before SetUpInbound, and again if the other end makes a new offer. `key`: DeriveEspKey with the remote's
// name.
struct SetUpOutbound {
  ConnectionId connection = 0;
  IpAddress local;
  IpAddress remote;
  std::uint16_t remote_port = 0;  // UDP of the other end's VXLAN
  Spi spi = 0;
  EspKey key = {};
};

// Rules that an encrypted connection of the pair left refuse clear VXLAN; they go at once.
struct PassInClear {
  ConnectionId connection = 0;
  IpAddress local;
  IpAddress remote;
};

// Nothing more is told of the connection. Harmless for one that is unknown. What was set up goes on working for a while
// (ipsec_keeper.h), so flows to the tunnel may outlive the connection for kIpsecLinger but not longer.
struct TearDownIpsec {
  ConnectionId connection = 0;
};

using IpsecCommand = std::variant<SetUpInbound, SetUpOutbound, PassInClear, TearDownIpsec>;

// How long associations and rules outlive their connection, or their successor's completion.
inline constexpr Duration kIpsecLinger = absl::Minutes(1);

// ---- to the overlay ----

// What arrives under the index is taken, and clear packets of the pair are refused both ways. Or why not.
struct InboundReady {
  ConnectionId connection = 0;
  absl::Status status;
  Spi spi = 0;
};

// What is sent leaves in ESP and only so. Or why not. Comes after InboundReady.
struct OutboundReady {
  ConnectionId connection = 0;
  absl::Status status;
};

// Nothing of ours stands in the way of clear packets. Or why it may.
struct ClearReady {
  ConnectionId connection = 0;
  absl::Status status;
};

using IpsecNotice = std::variant<InboundReady, OutboundReady, ClearReady>;

}  // namespace weave
