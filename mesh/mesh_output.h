// What the mesh asks of its driver and tells the other cores: the effects of one event.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "mesh/overlay.h"

namespace weave {

// Ids of connections we dial are chosen here and have this bit; those of accepted ones are chosen by the transport and
// have not.
inline constexpr ConnectionId kDialledBit = ConnectionId{1} << 63;

// The driver performs `dials`, `admitted`, `sends`, then `closes`, each in order. The transport answers a dial with
// OnConnected or OnClosed, and what was sent over a connection with one OnWritable when all of it has left.
struct MeshOutput {
  struct Dial {
    ConnectionId connection = 0;
    SocketAddress address;
  };
  struct Send {
    ConnectionId connection = 0;
    Bytes bytes;
  };

  std::vector<Dial> dials;
  std::vector<ConnectionId> admitted;  // introduced: no longer strangers that may have to make room
  std::vector<Send> sends;
  std::vector<ConnectionId> closes;  // at once, dropping what was not sent; no OnClosed follows
  std::vector<ConnectionId> leaves;  // the same once the other end has had what was sent, within reason

  std::vector<PeerName> removed_peers;  // gone from the network, as far as we can see
  bool routes_changed = false;          // next hops and fan-outs may differ
  bool short_ids_changed = false;       // see TopologyChange
  bool direct_peers_changed = false;    // the user's list differs: it is to be recorded

  bool empty() const {
    return dials.empty() && admitted.empty() && sends.empty() && closes.empty() && leaves.empty() &&
           removed_peers.empty() && !routes_changed && !short_ids_changed && !direct_peers_changed;
  }
};

}  // namespace weave
