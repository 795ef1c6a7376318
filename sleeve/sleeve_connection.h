// The sleeve path of one connection: how it gets established, stays so and learns what fits through
// (spec/overlay.md sections 2.4 to 2.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "mesh/overlay.h"
#include "overlay/sub_overlay.h"
#include "sleeve/frame_crypto.h"
#include "sleeve/mtu_search.h"
#include "sleeve/sleeve_codec.h"

namespace weave {

// Of the whole overlay since its start. Everything after the first is dropped without another effect.
struct SleeveCounters {
  std::uint64_t datagrams = 0;           // received
  std::uint64_t unknown_senders = 0;     // named no peer with a confirmed connection
  std::uint64_t malformed = 0;           // datagrams that were too short, or had something else behind their last frame
  std::uint64_t forged = 0;              // did not open
  std::uint64_t replayed = 0;            // seen before, or too old to tell
  std::uint64_t bad_frames = 0;          // without an Ethernet header, or special ones between two other peers
  std::uint64_t foreign_heartbeats = 0;  // of another connection than ours
  std::uint64_t unanswered_tests = 0;    // more than a path test needs
};

class SleeveConnection {
 public:
  static constexpr Duration kFastHeartbeat = absl::Milliseconds(500);  // until established
  static constexpr Duration kSlowHeartbeat = absl::Seconds(10);
  static constexpr Duration kHeartbeatTimeout = absl::Seconds(60);
  static constexpr Duration kFragmentationTestInterval = absl::Minutes(5);
  // Larger than any path, for the kernel to refuse and to tell the path MTU.
  static constexpr std::size_t kPathMtuProbeSize = 60000;  // bytes of frame
  // Tests by the other end that we acknowledge in a second. A path test needs far fewer; in clear, whoever knows two
  // peers' names could otherwise fill the TCP connection.
  static constexpr int kMaxAnswersPerSecond = 100;

  // Both addresses must be IPv4. `counters` and `logger` outlive the connection.
  SleeveConnection(PeerName self, const OverlayConnection& connection, SleeveCounters& counters, Logger& logger);
  SleeveConnection(const SleeveConnection&) = delete;
  SleeveConnection& operator=(const SleeveConnection&) = delete;

  PeerName remote() const { return remote_; }

  void Confirm(Now now, SubOverlayOutput& out);
  // A datagram with the remote peer's name. Frames for the packet router are views into it or into a buffer here.
  void OnDatagram(Now now, const IpAddress& local, const SocketAddress& sender, ByteView datagram,
                  SubOverlayOutput& out);
  void OnControl(Now now, std::uint8_t tag, ByteView data, SubOverlayOutput& out);
  // The kernel refused a datagram with DF because the path carries only packets of `path_mtu` bytes.
  void OnMessageTooBig(Now now, std::size_t path_mtu, SubOverlayOutput& out);

  std::optional<MonotonicTime> NextDeadline() const;
  void OnTimer(Now now, SubOverlayOutput& out);

  // ---- what a data path needs to know ----

  // Where the remote peer's datagrams come from; none for an accepted connection before the first heartbeat.
  const std::optional<SocketAddress>& remote_address() const { return remote_address_; }
  bool established() const { return established_; }
  // IP fragments reach the other end, by the latest test.
  bool fragments_pass() const { return fragments_pass_; }
  const MtuSearch& mtu_search() const { return mtu_search_; }

 private:
  void OnFrame(Now now, const IpAddress& local, const SocketAddress& sender, const SleeveFrame& frame,
               SubOverlayOutput& out);
  void OnHeartbeat(Now now, const IpAddress& local, const SocketAddress& sender, ByteView frame, SubOverlayOutput& out);
  void OnAcknowledged(Now now, SubOverlayOutput& out);
  void OnMtuVerified(Now now, ByteView data, SubOverlayOutput& out);
  void LearnAddress(const IpAddress& local, const SocketAddress& sender);
  bool MayAnswer(Now now);

  void SendHeartbeat(Now now, SubOverlayOutput& out);
  void SendFragmentationTest(Now now, SubOverlayOutput& out);
  void SendMtuTest(std::optional<std::size_t> mtu, SubOverlayOutput& out);
  void SendZeroFrame(FrameSealer& sealer, std::size_t frame_size, bool dont_fragment, SubOverlayOutput& out);
  void SendControl(std::uint8_t tag, Bytes data, SubOverlayOutput& out) const;

  const ConnectionId id_;
  const std::uint64_t uid_;
  const PeerName self_;
  const PeerName remote_;
  SleeveCounters& counters_;
  Logger& logger_;

  FrameSealer ordinary_sealer_;
  FrameSealer dont_fragment_sealer_;
  FrameOpener opener_;

  std::optional<IpAddress> local_address_;  // that the other end sends to
  std::optional<SocketAddress> remote_address_;
  bool confirmed_ = false;
  bool heartbeat_sent_ = false;
  bool heartbeat_acknowledged_ = false;  // by us
  bool established_ = false;
  bool failed_ = false;
  bool fragments_pass_ = false;
  MtuSearch mtu_search_;

  std::optional<MonotonicTime> heartbeat_at_;
  std::optional<MonotonicTime> timeout_at_;
  std::optional<MonotonicTime> fragmentation_test_at_;
  MonotonicTime answers_since_;
  int answer_count_ = 0;  // in the second from then on
};

}  // namespace weave
