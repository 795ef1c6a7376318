// Every frame that containers have sent, and what became of it; with the promises that hold while everything fails.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/bytes.h"
#include "base/mac.h"
#include "sim/data_path.h"
#include "sim/trace.h"

namespace weave::sim {

using FrameId = std::uint64_t;

struct FrameStory {
  HostId from = 0;
  MacAddress source;
  MacAddress destination;
  bool answer = false;                                       // to another
  std::uint32_t tunnelled = 0;                               // times, by kernels
  std::uint32_t seen_by_peers = 0;                           // that had to look at it
  std::uint32_t delivered = 0;                               // to bridges, or ports of containers, whoever is there
  absl::btree_map<MacAddress, std::uint32_t> received = {};  // how often by whom
};

class FrameBook final : public FrameObserver {
 public:
  // Times that one frame may be tunnelled, with room above what these small networks have been seen to need (12). While
  // routes differ from peer to peer, frames that everybody passes on multiply until they fill the links.
  static constexpr std::uint32_t kMaxTunnelled = 100;

  using OnReceipt = std::function<void(HostId host, const MacAddress& nic, const FrameStory& story)>;

  // `sealed`: frames may not leave a host in clear. The trace outlives the book.
  FrameBook(bool sealed, Trace& trace) : sealed_(sealed), trace_(trace) {}

  // Called during deliveries.
  void Listen(OnReceipt on_receipt) { on_receipt_ = std::move(on_receipt); }

  // A frame, entered as sent. Its id is that of the last.
  Bytes Write(HostId from, const MacAddress& source, const MacAddress& destination, bool answer);
  FrameId last() const { return stories_.size() - 1; }
  const FrameStory& story(FrameId id) const { return stories_[id]; }

  // ---- FrameObserver ----
  void OnReceived(HostId host, const MacAddress& nic, ByteView frame) override;
  void OnDelivered(HostId host, ByteView frame) override;
  bool OnTunnelled(HostId host, ByteView frame, bool clear) override;
  void OnSeenByPeer(HostId host, ByteView frame) override;

 private:
  std::optional<FrameId> Read(ByteView frame) const;

  const bool sealed_;
  Trace& trace_;
  OnReceipt on_receipt_;
  std::vector<FrameStory> stories_;
};

}  // namespace weave::sim
