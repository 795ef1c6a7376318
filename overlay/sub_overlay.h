// One way to carry frames between two peers that have a connection: sleeve, fastdp. OverlaySwitch runs those that both
// ends know side by side and picks the best (spec/overlay.md section 1).
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/time.h"
#include "mesh/overlay.h"
#include "overlay/forwarding.h"
#include "overlay/overlay_output.h"

namespace weave {

// Frames pass this way. Once per connection.
struct SubOverlayEstablished {};
// This way is given up for the rest of the connection. The switch stops it.
struct SubOverlayFailed {
  absl::Status status;
};
// An established way rests (false) or carries frames again (true); it starts as healthy.
struct SubOverlayHealth {
  bool healthy = false;
};
// A message for the same sub-overlay at the other end, over the mesh's connection.
struct SubOverlayControl {
  std::uint8_t tag = 0;
  Bytes data;
};

struct SubOverlayEvent {
  ConnectionId connection = 0;
  std::variant<SubOverlayEstablished, SubOverlayFailed, SubOverlayHealth, SubOverlayControl> what;
};

// Called by OverlaySwitch and, for what only one kind hears of (a datagram, an upcall), by PeerCore through the
// class itself. No call returns effects: they collect until the switch takes them. What only one kind can do (kernel
// flows, datagrams, keys) is that class's own output and PeerCore's business.
class SubOverlay {
 public:
  virtual ~SubOverlay() = default;

  // The word in the feature "Overlays": `sleeve`. Never changes.
  virtual absl::string_view name() const = 0;
  // What data paths know it as.
  virtual Way way() const = 0;

  // A connection whose id was not used before. Nothing is sent yet, but control messages may arrive from now on. An
  // error says why this way cannot serve it; the connection is then unknown here.
  virtual absl::Status Prepare(Now now, const OverlayConnection& connection) = 0;

  // Heartbeats may begin. Once per prepared connection.
  virtual void Confirm(Now now, ConnectionId connection) = 0;

  // From the other end, unchecked. What makes no sense is ignored.
  virtual void OnControl(Now now, ConnectionId connection, std::uint8_t tag, ByteView data) = 0;

  // Forgets the connection; nothing more is told of it. Harmless for one that is unknown.
  virtual void Stop(Now now, ConnectionId connection) = 0;

  // What status pages tell of a prepared connection, except the name.
  virtual absl::btree_map<std::string, std::string> Attributes(ConnectionId connection) const = 0;

  // When OnTimer is due; may be called early.
  virtual std::optional<MonotonicTime> NextDeadline() const = 0;
  virtual void OnTimer(Now now) = 0;

  // What has collected since the last call.
  virtual std::vector<SubOverlayEvent> TakeEvents() = 0;
};

}  // namespace weave
