// The effects of a call to the data path: what PeerCore takes from the overlays after each event and passes on to the
// mesh (events), to the driver (datagrams) and to the packet router (frames).
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "mesh/overlay.h"

namespace weave {

// UDP over IPv4 from the peer's own port to another peer.
struct OverlayDatagram {
  std::optional<IpAddress> local;  // the address of ours to send from; none: the kernel chooses
  SocketAddress remote;
  Bytes payload;  // at most 65507 bytes
  bool dont_fragment =
      false;  // false: DF is never set. true: always, and the driver reports what is refused as too big
};

// An Ethernet frame (without FCS) that arrived from a neighbour. `frame` is a view into the bytes of the event or into
// the overlay's buffer: valid until the next event.
struct OverlayFrame {
  ConnectionId connection = 0;
  PeerName source;       // the peer where the frame entered the network; any name, unchecked
  PeerName destination;  // the peer it is for; another than us: it is to be relayed
  ByteView frame;        // at least an Ethernet header
};

using OverlayEvent = std::variant<OverlayEstablished, OverlayFailed, OverlayControl>;

// Each list in order; between the lists no order is promised or needed.
struct OverlayOutput {
  std::vector<OverlayEvent> events;
  std::vector<OverlayDatagram> datagrams;
  std::vector<OverlayFrame> frames;

  bool empty() const { return events.empty() && datagrams.empty() && frames.empty(); }
};

}  // namespace weave
