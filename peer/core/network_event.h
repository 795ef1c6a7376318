// The vocabulary between the network part of PeerCore and its drivers: what happens on sockets, and what shall.
#pragma once

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/socket_address.h"
#include "fastdp/fastdp_command.h"
#include "fastdp/ipsec_command.h"
#include "mesh/mesh_output.h"
#include "overlay/forwarding.h"
#include "sleeve/sleeve_command.h"

namespace weave {

// ---- TCP: a dial ends in Connected or Closed ----

struct ConnectionOpened {
  ConnectionId connection = 0;  // of one of our dials
  SocketAddress local;
};
struct ConnectionAccepted {
  ConnectionId connection = 0;  // without kDialledBit, never used before
  SocketAddress local;
  SocketAddress remote;
};
struct BytesReceived {
  ConnectionId connection = 0;
  ByteView bytes;  // valid during the call
};
// Everything that was to be sent so far has left: once after one or more sends.
struct ConnectionWritable {
  ConnectionId connection = 0;
};
struct ConnectionClosed {
  ConnectionId connection = 0;
  absl::Status reason;
};

// ---- the data path: SpecialFrameReceived (sleeve/sleeve_command.h), FastdpHeartbeatReceived, FastdpPathMtu,
// FastdpTunnelPort and, of the host, FastdpInterfaces (fastdp/fastdp_command.h), IpsecNotice
// (fastdp/ipsec_command.h), and ----

// A datagram with DF set was too large for the path.
struct DatagramTooBig {
  SocketAddress remote;
  std::size_t path_mtu_bytes = 0;  // of IPv4 packets, headers included
};

using NetworkEvent = std::variant<ConnectionOpened, ConnectionAccepted, BytesReceived, ConnectionWritable,
                                  ConnectionClosed, SpecialFrameReceived, DatagramTooBig, FastdpHeartbeatReceived,
                                  FastdpPathMtu, FastdpTunnelPort, IpsecNotice, FastdpInterfaces>;

// Effects on sockets. They tell of nothing that is recorded, so they wait for no disk: the driver performs them at
// once, `mesh` first.
struct NetworkOutput {
  MeshOutput mesh;
  ForwardingSnapshotPtr forwarding;   // for whoever forwards frames; null: as before
  std::vector<SleeveCommand> sleeve;  // in order, behind `forwarding`
  std::vector<FastdpCommand> fastdp;  // the same
  std::vector<IpsecCommand> ipsec;    // for whoever keeps the kernel's keys, in order
  // Bytes that containers' interfaces shall have, where nothing stands against it; none: as before.
  std::optional<std::size_t> interface_mtu;

  bool empty() const {
    return mesh.empty() && forwarding == nullptr && sleeve.empty() && fastdp.empty() && ipsec.empty() &&
           !interface_mtu.has_value();
  }
};

}  // namespace weave
