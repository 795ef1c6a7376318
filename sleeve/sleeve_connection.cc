#include "sleeve/sleeve_connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sleeve/frame_crypto.h"
#include "sleeve/sleeve_codec.h"

namespace weave {
namespace {

// Control messages (spec/overlay.md section 1.1).
constexpr std::uint8_t kHeartbeatReceived = 1;
constexpr std::uint8_t kFragmentationTestReceived = 2;
constexpr std::uint8_t kMtuTestReceived = 3;

// From the path's MTU to the overlay's (section 2.5): IPv4 and UDP, the datagram, one frame's header, its Ethernet
// header.
constexpr std::size_t kClearOverhead = 28 + kSenderNameSize + kFrameHeaderSize + kEthernetHeaderSize;
constexpr std::size_t kSealedOverhead = kClearOverhead + kSealedDatagramOverhead;

}  // namespace

SleeveConnection::SleeveConnection(PeerName self, const OverlayConnection& connection, SleeveControlCounters& counters,
                                   Logger& logger)
    : id_(connection.connection),
      uid_(connection.uid),
      self_(self),
      remote_(connection.remote),
      counters_(counters),
      logger_(logger),
      outbound_(connection.outbound),
      key_(connection.key),
      local_address_(connection.local_tcp.ip),
      mtu_search_(connection.key.has_value() ? kSealedOverhead : kClearOverhead) {
  // The same number serves TCP and UDP. Where an accepted connection's datagrams come from only they tell.
  if (connection.outbound) remote_address_ = connection.remote_tcp;
}

void SleeveConnection::Confirm(Now now, SleeveOutput& out) {
  if (std::exchange(confirmed_, true)) return;
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  out.commands.push_back(OpenSleevePath{id_, remote_, outbound_, key_});
  if (remote_address_.has_value()) SendHeartbeat(now, out);
}

// ---- what arrives ----

void SleeveConnection::OnSpecialFrame(Now now, const SpecialFrameReceived& frame, SleeveOutput& out) {
  if (failed_) return;
  if (frame.kind == SpecialFrame::kHeartbeat) {
    OnHeartbeat(now, frame, out);
  } else if (!MayAnswer(now)) {
    ++counters_.unanswered_tests;
  } else if (frame.kind == SpecialFrame::kFragmentationTest) {
    SendControl(kFragmentationTestReceived, {}, out);
  } else {
    const std::size_t mtu = frame.frame_size - kEthernetHeaderSize;
    SendControl(kMtuTestReceived, {static_cast<std::uint8_t>(mtu >> 8), static_cast<std::uint8_t>(mtu)}, out);
  }
}

void SleeveConnection::OnHeartbeat(Now now, const SpecialFrameReceived& frame, SleeveOutput& out) {
  if (frame.uid != uid_) {
    ++counters_.foreign_heartbeats;
    return;
  }
  logger_.Debug("sleeve: heartbeat received", {{"peer", remote_.ToString()}});
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  const bool first_address = !remote_address_.has_value();
  LearnAddress(frame.local, frame.remote);
  if (first_address) SendHeartbeat(now, out);
  TellForwarder(out);
  if (!std::exchange(heartbeat_acknowledged_, true)) SendControl(kHeartbeatReceived, {}, out);
}

// Follows the other end through address translation that changes its mind (contract A7-06).
void SleeveConnection::LearnAddress(const IpAddress& local, const SocketAddress& sender) {
  local_address_ = local;
  if (remote_address_ == sender) return;
  if (remote_address_.has_value())
    logger_.Info("sleeve: UDP address of the peer changed",
                 {{"peer", remote_.ToString()}, {"from", remote_address_->ToString()}, {"to", sender.ToString()}});
  remote_address_ = sender;
}

bool SleeveConnection::MayAnswer(Now now) {
  if (now.monotonic - answers_since_ >= absl::Seconds(1)) {
    answers_since_ = now.monotonic;
    answer_count_ = 0;
  }
  return ++answer_count_ <= kMaxAnswersPerSecond;
}

void SleeveConnection::OnControl(Now now, std::uint8_t tag, ByteView data, SleeveOutput& out) {
  if (failed_) return;
  switch (tag) {
    case kHeartbeatReceived:
      OnAcknowledged(now, out);
      break;
    case kFragmentationTestReceived:
      if (established_) fragments_pass_ = true;
      TellForwarder(out);
      break;
    case kMtuTestReceived:
      OnMtuVerified(now, data, out);
      break;
    default:
      logger_.Debug("sleeve: unknown control message ignored", {{"peer", remote_.ToString()}, {"tag", tag}});
  }
}

// Only what answers a heartbeat of ours, and once: the tests that follow are large.
void SleeveConnection::OnAcknowledged(Now now, SleeveOutput& out) {
  if (!heartbeat_sent_ || std::exchange(established_, true)) return;
  logger_.Debug("sleeve: heartbeat acknowledged", {{"peer", remote_.ToString()}});
  heartbeat_at_ = NextSlowHeartbeat(now);
  out.events.push_back({id_, SubOverlayEstablished{}});
  SendFragmentationTest(now, out);
  Send(kPathMtuProbeSize, /*dont_fragment=*/true, out);
}

void SleeveConnection::OnMtuVerified(Now now, ByteView data, SleeveOutput& out) {
  if (data.size() < 2 || !mtu_search_.searching()) return;
  SendMtuTest(mtu_search_.OnVerified(now, std::size_t{data[0]} << 8 | data[1]), out);
}

void SleeveConnection::OnMessageTooBig(Now now, std::size_t path_mtu, SleeveOutput& out) {
  if (failed_ || !established_) return;
  SendMtuTest(mtu_search_.OnMessageTooBig(now, path_mtu), out);
}

// ---- time ----

std::optional<MonotonicTime> SleeveConnection::NextDeadline() const {
  if (failed_) return std::nullopt;
  return Earliest({heartbeat_at_, timeout_at_, fragmentation_test_at_, mtu_search_.NextDeadline()});
}

void SleeveConnection::OnTimer(Now now, SleeveOutput& out) {
  const auto due = [&](const std::optional<MonotonicTime>& deadline) {
    return deadline.has_value() && *deadline <= now.monotonic;
  };
  if (failed_) return;
  if (due(timeout_at_)) {
    failed_ = true;
    const std::string where = remote_address_.has_value() ? absl::StrCat(" from ", remote_address_->ToString()) : "";
    out.events.push_back({id_, SubOverlayFailed{absl::DeadlineExceededError(
                                   absl::StrCat("timed out waiting for UDP heartbeat", where, ": none for ",
                                                absl::ToInt64Seconds(kHeartbeatTimeout), " s"))}});
    return;
  }
  if (due(heartbeat_at_)) SendHeartbeat(now, out);
  if (due(fragmentation_test_at_)) SendFragmentationTest(now, out);
  if (due(mtu_search_.NextDeadline())) SendMtuTest(mtu_search_.OnTimer(now), out);
}

// ---- what is sent ----

void SleeveConnection::SendHeartbeat(Now now, SleeveOutput& out) {
  logger_.Debug("sleeve: heartbeat sent", {{"peer", remote_.ToString()}});
  heartbeat_sent_ = true;
  heartbeat_at_ = established_ ? NextSlowHeartbeat(now) : now.monotonic + kFastHeartbeat;
  Send(kHeartbeatSize, /*dont_fragment=*/true, out);
}

void SleeveConnection::SendFragmentationTest(Now now, SleeveOutput& out) {
  fragments_pass_ = false;
  fragmentation_test_at_ = now.monotonic + kFragmentationTestInterval;
  Send(kFragmentationTestSize, /*dont_fragment=*/false, out);
}

void SleeveConnection::SendMtuTest(std::optional<std::size_t> mtu, SleeveOutput& out) {
  TellForwarder(out);
  if (mtu.has_value()) {
    Send(*mtu + kEthernetHeaderSize, /*dont_fragment=*/true, out);
  } else if (!mtu_search_.searching()) {
    logger_.Info("sleeve: effective MTU verified", {{"peer", remote_.ToString()}, {"mtu", mtu_search_.mtu()}});
  }
}

void SleeveConnection::Send(std::size_t frame_size, bool dont_fragment, SleeveOutput& out) {
  TellForwarder(out);
  out.commands.push_back(SendSpecialFrame{id_, frame_size, frame_size == kHeartbeatSize ? uid_ : 0, dont_fragment});
}

void SleeveConnection::TellForwarder(SleeveOutput& out) {
  if (!remote_address_.has_value()) return;
  UpdateSleevePath update{
      id_, {local_address_, *remote_address_}, mtu_search_.mtu(), mtu_search_.max_payload_size(), fragments_pass_};
  if (told_ == update) return;
  told_ = update;
  out.commands.push_back(update);
}

void SleeveConnection::SendControl(std::uint8_t tag, Bytes data, SleeveOutput& out) const {
  out.events.push_back({id_, SubOverlayControl{tag, std::move(data)}});
}

}  // namespace weave
