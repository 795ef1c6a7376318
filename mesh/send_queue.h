// What one connection still owes its remote: messages that must arrive as they are, in order, and gossip that merges
// while it waits (spec/mesh.md section 8.4). A slow link costs one merged state per channel, never a queue of them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/gossiper.h"
#include "base/peer_name.h"

namespace weave {

class SendQueue {
 public:
  // Bytes of messages that may wait. A remote that lets more than this pile up does not read.
  static constexpr std::size_t kMaxQueuedSize = 16 * 1024 * 1024;

  // `self`: the source of plain gossip (tag 4).
  explicit SendQueue(PeerName self) : self_(self) {}

  // A whole protocol message. ResourceExhausted when too much waits already; nothing is queued then.
  absl::Status Push(Bytes message);

  // Merged into what waits for this channel (and, of a broadcast, for this originator).
  void Gossip(absl::string_view channel, std::unique_ptr<GossipData> data);
  void Broadcast(absl::string_view channel, PeerName source, std::unique_ptr<GossipData> data);

  // Of this channel nothing that merges is sent until it is released.
  void Hold(absl::string_view channel) { held_.insert(std::string(channel)); }
  // False: it was not held.
  bool Release(absl::string_view channel) { return held_.erase(channel) > 0; }
  void ReleaseAll() { held_.clear(); }

  bool empty() const { return messages_.empty() && encoded_.empty() && gossip_.empty() && broadcasts_.empty(); }

  // The next message to send; none when there is nothing. Pushed messages first, then gossip, then broadcasts.
  std::optional<Bytes> Pop();

 private:
  using BroadcastKey = std::pair<std::string, PeerName>;

  void Encode(absl::string_view channel, const GossipData& data, std::optional<PeerName> originator);

  const PeerName self_;
  std::deque<Bytes> messages_;
  std::size_t queued_size_ = 0;
  std::deque<Bytes> encoded_;  // the rest of a state that takes several messages
  absl::btree_map<std::string, std::unique_ptr<GossipData>> gossip_;
  absl::btree_map<BroadcastKey, std::unique_ptr<GossipData>> broadcasts_;
  absl::btree_set<std::string> held_;
};

}  // namespace weave
