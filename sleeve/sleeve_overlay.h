// The user-space path: frames in UDP datagrams between the peers' own ports (spec/overlay.md section 2). Works over
// everything that passes UDP, so it is the one that old peers understand and the one to fall back to. What decides is
// here; the frames themselves never come here but to SleeveForwarder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "overlay/connection_table.h"
#include "overlay/sub_overlay.h"
#include "sleeve/sleeve_connection.h"

namespace weave {

class SleeveOverlay final : public SubOverlay {
 public:
  // `self`: our own name. `logger` outlives the overlay.
  SleeveOverlay(PeerName self, Logger& logger) : self_(self), logger_(logger) {}

  absl::string_view name() const override { return "sleeve"; }
  Way way() const override { return Way::kSleeve; }
  absl::Status Prepare(Now now, const OverlayConnection& connection) override;
  void Confirm(Now now, ConnectionId connection) override;
  void OnControl(Now now, ConnectionId connection, std::uint8_t tag, ByteView data) override;
  void Stop(Now now, ConnectionId connection) override;
  absl::btree_map<std::string, std::string> Attributes(ConnectionId connection) const override;
  std::optional<MonotonicTime> NextDeadline() const override { return connections_.NextDeadline(); }
  void OnTimer(Now now) override;
  std::vector<SubOverlayEvent> TakeEvents() override { return std::exchange(output_.events, {}); }
  // What the forwarder shall do, in this order.
  std::vector<SleeveCommand> TakeCommands() { return std::exchange(output_.commands, {}); }

  // The forwarder found a special frame. Late ones, of connections that have ended, are ignored.
  void OnSpecialFrame(Now now, const SpecialFrameReceived& frame);

  // The kernel refused a datagram with `dont_fragment` to `remote`: the path carries only IP packets of `path_mtu`
  // bytes.
  void OnMessageTooBig(Now now, const SocketAddress& remote, std::size_t path_mtu);

  const SleeveControlCounters& counters() const { return counters_; }
  // Null when it was not prepared or is stopped.
  const SleeveConnection* Find(ConnectionId connection) const { return connections_.Find(connection); }

 private:
  const PeerName self_;
  Logger& logger_;
  SleeveControlCounters counters_;
  ConnectionTable<SleeveConnection> connections_;
  SleeveOutput output_;
};

}  // namespace weave
