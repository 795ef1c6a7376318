// Which way the frames of each connection take: negotiates the sub-overlays both ends know, runs all of them, uses the
// best that works (spec/overlay.md section 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "mesh/overlay.h"
#include "overlay/forwarding.h"
#include "overlay/overlay_output.h"
#include "overlay/sub_overlay.h"

namespace weave {

// The mesh calls it as its Overlay, PeerCore drives its timer and takes its output after every event, also after those
// it gave to a sub-overlay directly.
class OverlaySwitch final : public Overlay {
 public:
  // `overlays`: in our order of preference, with different names, fewer than 256. `compatibility`: the one of them for
  // peers that announce no list (null: they are refused). All outlive the switch.
  OverlaySwitch(std::vector<SubOverlay*> overlays, SubOverlay* compatibility, Logger& logger);

  std::string Names() const override;
  absl::Status Prepare(Now now, const OverlayConnection& connection) override;
  void Confirm(Now now, ConnectionId connection) override;
  absl::Status OnControl(Now now, ConnectionId connection, ByteView message) override;
  void Stop(Now now, ConnectionId connection) override;
  // The way in use, or until one is established, the one that is hoped for.
  OverlayStatus Status(ConnectionId connection) const override;

  std::optional<MonotonicTime> NextDeadline() const;
  void OnTimer(Now now);

  // Everything the sub-overlays have to tell the mesh since the last call.
  std::vector<OverlayEvent> TakeEvents(Now now);

  // Every connection with the ways that work, the best first; in order of connections.
  std::vector<ForwardingHop> Hops() const;
  // Differs whenever Hops() may.
  std::uint64_t generation() const { return generation_; }

 private:
  // A sub-overlay on one connection. Its position in the list is the forwarder index of control messages, so it stays
  // when it has failed.
  struct CommonWay {
    SubOverlay* overlay = nullptr;
    bool working = true;
    bool established = false;
    bool healthy = true;
    std::string failure;  // why it does not work
  };
  struct Switched {
    PeerName remote;
    bool compatibility = false;  // one way, whose tags are protocol tags
    std::vector<CommonWay> ways;
    std::optional<std::size_t> best;
    bool established = false;
    bool failed = false;  // OverlayFailed was told
  };

  std::vector<CommonWay> CommonWays(const OverlayConnection& connection) const;
  absl::Status NoWayLeft(const Switched& connection) const;
  void OnSubEvent(Now now, SubOverlay& overlay, SubOverlayEvent event, std::vector<OverlayEvent>& out);
  void ChooseBest(ConnectionId id, Switched& connection, std::vector<OverlayEvent>& out);

  const std::vector<SubOverlay*> overlays_;
  SubOverlay* const compatibility_;
  Logger& logger_;
  absl::btree_map<ConnectionId, Switched> connections_;
  std::uint64_t generation_ = 0;
};

}  // namespace weave
