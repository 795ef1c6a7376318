// The user-space path: frames in UDP datagrams between the peers' own ports (spec/overlay.md section 2). Works over
// everything that passes UDP, so it is the one that old peers understand and the one to fall back to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "overlay/sub_overlay.h"
#include "sleeve/sleeve_connection.h"

namespace weave {

class SleeveOverlay final : public SubOverlay {
 public:
  // `self`: our own name. `logger` outlives the overlay.
  SleeveOverlay(PeerName self, Logger& logger) : self_(self), logger_(logger) {}

  absl::string_view name() const override { return "sleeve"; }
  absl::Status Prepare(Now now, const OverlayConnection& connection) override;
  void Confirm(Now now, ConnectionId connection) override;
  void OnControl(Now now, ConnectionId connection, std::uint8_t tag, ByteView data) override;
  void Stop(Now now, ConnectionId connection) override;
  absl::btree_map<std::string, std::string> Attributes(ConnectionId connection) const override;
  std::optional<MonotonicTime> NextDeadline() const override;
  void OnTimer(Now now) override;
  SubOverlayOutput TakeOutput() override { return std::exchange(output_, {}); }

  // A datagram came from `remote` to our port at `local`. Anything may be in it. Frames found are views into `datagram`
  // or a buffer here: who takes them is done with them before the next call, which drops those not taken.
  void OnDatagram(Now now, const IpAddress& local, const SocketAddress& remote, ByteView datagram);

  // The kernel refused a datagram with `dont_fragment` to `remote`: the path carries only IP packets of `path_mtu`
  // bytes.
  void OnMessageTooBig(Now now, const SocketAddress& remote, std::size_t path_mtu);

  const SleeveCounters& counters() const { return counters_; }
  // Null when it was not prepared or is stopped.
  const SleeveConnection* Find(ConnectionId connection) const;

 private:
  struct Entry {
    std::unique_ptr<SleeveConnection> sleeve;
    std::optional<MonotonicTime> deadline;  // as in deadlines_
  };

  Entry* FindEntry(ConnectionId connection);
  void Schedule(ConnectionId id, Entry& entry);

  const PeerName self_;
  Logger& logger_;
  SleeveCounters counters_;
  absl::btree_map<ConnectionId, Entry> connections_;
  // Whose datagrams we take: the connection to each peer that was confirmed last.
  absl::btree_map<PeerName, ConnectionId> confirmed_;
  absl::btree_set<std::pair<MonotonicTime, ConnectionId>> deadlines_;
  SubOverlayOutput output_;
};

}  // namespace weave
