#include "sleeve/sleeve_connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

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

SleeveConnection::SleeveConnection(PeerName self, const OverlayConnection& connection, SleeveCounters& counters,
                                   Logger& logger)
    : id_(connection.connection),
      uid_(connection.uid),
      self_(self),
      remote_(connection.remote),
      counters_(counters),
      logger_(logger),
      ordinary_sealer_(self, connection.key, connection.outbound, /*dont_fragment=*/false),
      dont_fragment_sealer_(self, connection.key, connection.outbound, /*dont_fragment=*/true),
      opener_(connection.key, /*sender_dialled=*/!connection.outbound),
      local_address_(connection.local_tcp.ip),
      mtu_search_(connection.key.has_value() ? kSealedOverhead : kClearOverhead) {
  // The same number serves TCP and UDP. Where an accepted connection's datagrams come from only they tell.
  if (connection.outbound) remote_address_ = connection.remote_tcp;
}

void SleeveConnection::Confirm(Now now, SubOverlayOutput& out) {
  if (std::exchange(confirmed_, true)) return;
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  if (remote_address_.has_value()) SendHeartbeat(now, out);
}

// ---- what arrives ----

void SleeveConnection::OnDatagram(Now now, const IpAddress& local, const SocketAddress& sender, ByteView datagram,
                                  SubOverlayOutput& out) {
  if (failed_) return;
  const FrameOpener::Result opened = opener_.Open(datagram);
  switch (opened.outcome) {
    case FrameOpener::Outcome::kOpened:
      break;
    case FrameOpener::Outcome::kMalformed:
      ++counters_.malformed;
      return;
    case FrameOpener::Outcome::kForged:
      ++counters_.forged;
      return;
    case FrameOpener::Outcome::kReplayed:
      ++counters_.replayed;
      return;
  }
  SleeveFrameReader reader(opened.frames);
  while (const std::optional<SleeveFrame> frame = reader.Next()) OnFrame(now, local, sender, *frame, out);
  if (!reader.status().ok()) ++counters_.malformed;
}

void SleeveConnection::OnFrame(Now now, const IpAddress& local, const SocketAddress& sender, const SleeveFrame& frame,
                               SubOverlayOutput& out) {
  if (frame.frame.size() < kEthernetHeaderSize) {
    ++counters_.bad_frames;
    return;
  }
  const SpecialFrame special = SpecialFrameOf(frame.frame);
  if (special == SpecialFrame::kNone) {
    out.frames.push_back({id_, frame.source, frame.destination, frame.frame});
    return;
  }
  if (frame.source != remote_ || frame.destination != self_) {
    ++counters_.bad_frames;
    return;
  }
  if (special == SpecialFrame::kHeartbeat) {
    OnHeartbeat(now, local, sender, frame.frame, out);
  } else if (!MayAnswer(now)) {
    ++counters_.unanswered_tests;
  } else if (special == SpecialFrame::kFragmentationTest) {
    SendControl(kFragmentationTestReceived, {}, out);
  } else {
    const std::size_t mtu = frame.frame.size() - kEthernetHeaderSize;
    SendControl(kMtuTestReceived, {static_cast<std::uint8_t>(mtu >> 8), static_cast<std::uint8_t>(mtu)}, out);
  }
}

void SleeveConnection::OnHeartbeat(Now now, const IpAddress& local, const SocketAddress& sender, ByteView frame,
                                   SubOverlayOutput& out) {
  if (HeartbeatUid(frame) != uid_) {
    ++counters_.foreign_heartbeats;
    return;
  }
  timeout_at_ = now.monotonic + kHeartbeatTimeout;
  const bool first_address = !remote_address_.has_value();
  LearnAddress(local, sender);
  if (first_address) SendHeartbeat(now, out);
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

void SleeveConnection::OnControl(Now now, std::uint8_t tag, ByteView data, SubOverlayOutput& out) {
  if (failed_) return;
  switch (tag) {
    case kHeartbeatReceived:
      OnAcknowledged(now, out);
      break;
    case kFragmentationTestReceived:
      if (established_) fragments_pass_ = true;
      break;
    case kMtuTestReceived:
      OnMtuVerified(now, data, out);
      break;
    default:
      logger_.Debug("sleeve: unknown control message ignored", {{"peer", remote_.ToString()}, {"tag", tag}});
  }
}

// Only what answers a heartbeat of ours, and once: the tests that follow are large.
void SleeveConnection::OnAcknowledged(Now now, SubOverlayOutput& out) {
  if (!heartbeat_sent_ || std::exchange(established_, true)) return;
  heartbeat_at_ = now.monotonic + kSlowHeartbeat;
  out.events.push_back({id_, SubOverlayEstablished{}});
  SendFragmentationTest(now, out);
  SendZeroFrame(dont_fragment_sealer_, kPathMtuProbeSize, /*dont_fragment=*/true, out);
}

void SleeveConnection::OnMtuVerified(Now now, ByteView data, SubOverlayOutput& out) {
  if (data.size() < 2 || !mtu_search_.searching()) return;
  SendMtuTest(mtu_search_.OnVerified(now, std::size_t{data[0]} << 8 | data[1]), out);
}

void SleeveConnection::OnMessageTooBig(Now now, std::size_t path_mtu, SubOverlayOutput& out) {
  if (failed_ || !established_) return;
  SendMtuTest(mtu_search_.OnMessageTooBig(now, path_mtu), out);
}

// ---- time ----

std::optional<MonotonicTime> SleeveConnection::NextDeadline() const {
  if (failed_) return std::nullopt;
  return Earliest({heartbeat_at_, timeout_at_, fragmentation_test_at_, mtu_search_.NextDeadline()});
}

void SleeveConnection::OnTimer(Now now, SubOverlayOutput& out) {
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

void SleeveConnection::SendHeartbeat(Now now, SubOverlayOutput& out) {
  heartbeat_sent_ = true;
  heartbeat_at_ = now.monotonic + (established_ ? kSlowHeartbeat : kFastHeartbeat);
  OverlayDatagram datagram = {local_address_, *remote_address_, {}, /*dont_fragment=*/true};
  datagram.payload.reserve(kSenderNameSize + kSealedDatagramOverhead + kFrameHeaderSize + kHeartbeatSize);
  dont_fragment_sealer_.Begin(datagram.payload);
  AppendHeartbeat(self_, remote_, uid_, datagram.payload);
  dont_fragment_sealer_.Finish(datagram.payload);
  out.datagrams.push_back(std::move(datagram));
}

void SleeveConnection::SendFragmentationTest(Now now, SubOverlayOutput& out) {
  fragments_pass_ = false;
  fragmentation_test_at_ = now.monotonic + kFragmentationTestInterval;
  SendZeroFrame(ordinary_sealer_, kFragmentationTestSize, /*dont_fragment=*/false, out);
}

void SleeveConnection::SendMtuTest(std::optional<std::size_t> mtu, SubOverlayOutput& out) {
  if (mtu.has_value()) {
    SendZeroFrame(dont_fragment_sealer_, *mtu + kEthernetHeaderSize, /*dont_fragment=*/true, out);
  } else if (!mtu_search_.searching()) {
    logger_.Info("sleeve: effective MTU verified", {{"peer", remote_.ToString()}, {"mtu", mtu_search_.mtu()}});
  }
}

void SleeveConnection::SendZeroFrame(FrameSealer& sealer, std::size_t frame_size, bool dont_fragment,
                                     SubOverlayOutput& out) {
  OverlayDatagram datagram = {local_address_, *remote_address_, {}, dont_fragment};
  datagram.payload.reserve(kSenderNameSize + kSealedDatagramOverhead + kFrameHeaderSize + frame_size);
  sealer.Begin(datagram.payload);
  AppendZeroFrame(self_, remote_, frame_size, datagram.payload);
  sealer.Finish(datagram.payload);
  out.datagrams.push_back(std::move(datagram));
}

void SleeveConnection::SendControl(std::uint8_t tag, Bytes data, SubOverlayOutput& out) const {
  out.events.push_back({id_, SubOverlayControl{tag, std::move(data)}});
}

}  // namespace weave
