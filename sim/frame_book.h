// Every frame that containers have sent, and what became of it; with the promises that hold while everything fails.
#pragma once

#include <cstddef>
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

// What is in a frame.
enum class FrameKind : std::uint8_t {
  kSmall,      // nothing that anybody reads
  kIpv4,       // a packet that may be cut on its way
  kIpv4Whole,  // one that may not
  kIpv6,       // the same
};

struct FrameStory {
  HostId from = 0;
  MacAddress source;
  MacAddress destination;
  bool answer = false;  // to another
  FrameKind kind = FrameKind::kSmall;
  std::size_t packet_size = 0;                               // bytes
  std::uint32_t tunnelled = 0;                               // times, by kernels
  std::uint32_t seen_by_peers = 0;                           // that had to look at it
  std::uint32_t delivered = 0;                               // to bridges, or ports of containers, whoever is there
  absl::btree_map<MacAddress, std::uint32_t> received = {};  // how often by whom, whole
  absl::btree_map<MacAddress, std::size_t> pieces = {};      // bytes of payload that have come besides
  std::optional<std::size_t> told_mtu = {};                  // its sender, by ICMP
};

class FrameBook final : public FrameObserver {
 public:
  // Times that one frame may be tunnelled, with room above what these small networks have been seen to need (12). While
  // routes differ from peer to peer, frames that everybody passes on multiply until they fill the links.
  static constexpr std::uint32_t kMaxTunnelled = 100;
  static constexpr std::size_t kLeastPacketSize = 60;  // bytes, headers and the id behind them

  using OnReceipt = std::function<void(HostId host, const MacAddress& nic, const FrameStory& story)>;

  // `sealed`: frames may not leave a host in clear. The trace outlives the book.
  FrameBook(bool sealed, Trace& trace) : sealed_(sealed), trace_(trace) {}

  // Called during deliveries.
  void Listen(OnReceipt on_receipt) { on_receipt_ = std::move(on_receipt); }

  // A frame, entered as sent. Its id is that of the last.
  Bytes Write(HostId from, const MacAddress& source, const MacAddress& destination, bool answer);
  // The same, with an IP packet of this size in it: not less than kLeastPacketSize.
  Bytes WritePacket(HostId from, const MacAddress& source, const MacAddress& destination, FrameKind kind,
                    std::size_t packet_size);
  FrameId last() const { return stories_.size() - 1; }
  const FrameStory& story(FrameId id) const { return stories_[id]; }

  // ---- FrameObserver ----
  void OnReceived(HostId host, const MacAddress& nic, ByteView frame) override;
  void OnDelivered(HostId host, ByteView frame) override;
  bool OnTunnelled(HostId host, ByteView frame, bool clear) override;
  void OnSeenByPeer(HostId host, ByteView frame) override;

 private:
  // What one of our frames has, or a piece of it, or an answer to it.
  struct Content {
    FrameId id = 0;
    std::size_t payload_size = 0;
    bool first = true;  // of pieces
    std::optional<std::size_t> told_mtu = {};
  };
  std::optional<Content> Read(ByteView frame) const;
  std::optional<Content> ReadIpv4(ByteView frame) const;
  std::optional<FrameId> IdOfIpv4(const std::uint8_t* header) const;

  const bool sealed_;
  Trace& trace_;
  OnReceipt on_receipt_;
  std::vector<FrameStory> stories_;
  absl::btree_map<std::uint16_t, FrameId> by_ip_id_;  // IPv4 packets; the last with this identification
};

}  // namespace weave::sim
