// The sleeve path of one connection: how it gets established, stays so and learns what fits through
// (spec/overlay.md sections 2.4 to 2.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "mesh/overlay.h"
#include "overlay/mtu_search.h"
#include "overlay/sub_overlay.h"
#include "sleeve/sleeve_command.h"

namespace weave {

// Of the whole overlay since its start. What is counted was dropped without another effect.
struct SleeveControlCounters {
  std::uint64_t foreign_heartbeats = 0;  // of another connection than ours
  std::uint64_t unanswered_tests = 0;    // more than a path test needs
};

// Effects, collected: events for the switch, commands for the forwarder (sleeve/sleeve_forwarder.h).
struct SleeveOutput {
  std::vector<SubOverlayEvent> events;
  std::vector<SleeveCommand> commands;
};

class SleeveConnection {
 public:
  static constexpr Duration kFastHeartbeat = absl::Milliseconds(500);  // until established
  static constexpr Duration kSlowHeartbeat = absl::Seconds(10);        // at most
  static constexpr Duration kHeartbeatStep = absl::Seconds(1);         // so that connections send theirs in one turn
  static constexpr Duration kHeartbeatTimeout = absl::Seconds(60);
  static constexpr Duration kFragmentationTestInterval = absl::Minutes(5);
  // Larger than any path, for the kernel to refuse and to tell the path MTU.
  static constexpr std::size_t kPathMtuProbeSize = 60000;  // bytes of frame
  // Tests by the other end that we acknowledge in a second. A path test needs far fewer; in clear, whoever knows two
  // peers' names could otherwise fill the TCP connection.
  static constexpr int kMaxAnswersPerSecond = 100;

  // Both addresses must be IPv4. `counters` and `logger` outlive the connection.
  SleeveConnection(PeerName self, const OverlayConnection& connection, SleeveControlCounters& counters, Logger& logger);
  SleeveConnection(const SleeveConnection&) = delete;
  SleeveConnection& operator=(const SleeveConnection&) = delete;

  PeerName remote() const { return remote_; }

  void Confirm(Now now, SleeveOutput& out);
  // Of this connection, by the word of the forwarder.
  void OnSpecialFrame(Now now, const SpecialFrameReceived& frame, SleeveOutput& out);
  void OnControl(Now now, std::uint8_t tag, ByteView data, SleeveOutput& out);
  // The kernel refused a datagram with DF because the path carries only packets of `path_mtu` bytes.
  void OnMessageTooBig(Now now, std::size_t path_mtu, SleeveOutput& out);

  std::optional<MonotonicTime> NextDeadline() const;
  void OnTimer(Now now, SleeveOutput& out);

  // ---- reading ----

  // Where the remote peer's datagrams come from; none for an accepted connection before the first heartbeat.
  const std::optional<SocketAddress>& remote_address() const { return remote_address_; }
  bool confirmed() const { return confirmed_; }
  bool established() const { return established_; }
  // IP fragments reach the other end, by the latest test.
  bool fragments_pass() const { return fragments_pass_; }
  const MtuSearch& mtu_search() const { return mtu_search_; }

 private:
  void OnHeartbeat(Now now, const SpecialFrameReceived& frame, SleeveOutput& out);
  void OnAcknowledged(Now now, SleeveOutput& out);
  void OnMtuVerified(Now now, ByteView data, SleeveOutput& out);
  void LearnAddress(const IpAddress& local, const SocketAddress& sender);
  bool MayAnswer(Now now);

  void SendHeartbeat(Now now, SleeveOutput& out);
  static MonotonicTime NextSlowHeartbeat(Now now) { return RoundDown(now.monotonic + kSlowHeartbeat, kHeartbeatStep); }
  void SendFragmentationTest(Now now, SleeveOutput& out);
  void SendMtuTest(std::optional<std::size_t> mtu, SleeveOutput& out);
  void Send(std::size_t frame_size, bool dont_fragment, SleeveOutput& out);
  void TellForwarder(SleeveOutput& out);
  void SendControl(std::uint8_t tag, Bytes data, SleeveOutput& out) const;

  const ConnectionId id_;
  const std::uint64_t uid_;
  const PeerName self_;
  const PeerName remote_;
  SleeveControlCounters& counters_;
  Logger& logger_;

  const bool outbound_;
  const std::optional<SessionKey> key_;
  std::optional<UpdateSleevePath> told_;  // to the forwarder, last

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
