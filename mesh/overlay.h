// What the mesh asks of the data path, connection by connection (spec/mesh.md section 2.5, spec/overlay.md section 1).
// Implemented by overlay/; the mesh knows no data path by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "wire/session.h"
#include "wire/topology.h"

namespace weave {

// One end of one TCP connection, chosen by the driver; never reused.
using ConnectionId = std::uint64_t;

// A connection whose handshake is done, as a data path needs it.
struct OverlayConnection {
  ConnectionId connection = 0;
  std::uint64_t uid = 0;  // ConnID of one side xor that of the other: both sides see the same
  PeerName remote;
  std::optional<ShortId> remote_short_id;
  bool outbound = false;          // we dialled
  SocketAddress local_tcp;        // our end
  SocketAddress remote_tcp;       // the other end
  std::optional<SessionKey> key;  // none: frames travel in clear
  // The remote's feature "Overlays"; none: an old peer, which has one overlay and compatibility control messages.
  std::optional<std::string> remote_overlays;
};

// For status pages (spec/control.md section 3.2).
struct OverlayStatus {
  std::string name;                                      // `sleeve`; empty before there is one
  absl::btree_map<std::string, std::string> attributes;  // `mtu` -> `1438`
};

// Called by the mesh in its turn; appends its effects to an output of its own and never calls the mesh back. What it
// has to tell comes as OverlayEvent by way of PeerCore.
class Overlay {
 public:
  virtual ~Overlay() = default;

  // The feature "Overlays" we announce: names in order of preference, separated by blanks.
  virtual std::string Names() const = 0;

  // FailedPrecondition when there is no overlay in common: the connection closes. Nothing is sent yet.
  virtual absl::Status Prepare(Now now, const OverlayConnection& connection) = 0;

  // The connection stays: heartbeats may begin. Not called for one that loses against another.
  virtual void Confirm(Now now, ConnectionId connection) = 0;

  // A protocol message with tag 7, or 1..3 in the compatibility form; `message` includes the tag. An error closes the
  // connection.
  virtual absl::Status OnControl(Now now, ConnectionId connection, ByteView message) = 0;

  // The connection is gone. Harmless for one that was never prepared.
  virtual void Stop(Now now, ConnectionId connection) = 0;

  virtual OverlayStatus Status(ConnectionId connection) const = 0;
};

// ---- what an overlay tells the mesh ----

// Frames pass: the connection is established. Once per connection.
struct OverlayEstablished {
  ConnectionId connection = 0;
};
// No way is left: the connection closes, with this as the reason.
struct OverlayFailed {
  ConnectionId connection = 0;
  absl::Status status;
};
// A whole protocol message, tag included, for the other end.
struct OverlayControl {
  ConnectionId connection = 0;
  Bytes message;
};

}  // namespace weave
