#include "mesh/connection.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "wire/messages.h"

namespace weave {
namespace {

// spec/mesh.md sections 2.1, 5.1, 11.
const Duration kHeaderTime = absl::Seconds(10);
const Duration kReceiveTime = absl::Seconds(60);
const Duration kHeartbeatInterval = absl::Seconds(30);

// Peers of 2.8 speak as soon as they are introduced, unless they know of us by others.
const Duration kListenTime = absl::Seconds(1);

// Connections send their heartbeats together, up to so much earlier.
const Duration kHeartbeatStep = absl::Seconds(1);

MonotonicTime NextHeartbeat(Now now) { return RoundDown(now.monotonic + kHeartbeatInterval, kHeartbeatStep); }

// A chunk is closed once it is this large: enough for one system call to be worth it, little enough for what is asked
// meanwhile to merge.
constexpr std::size_t kChunkSize = 64 * 1024;

}  // namespace

Connection::Connection(Config config, Now now)
    : config_(std::move(config)),
      stream_(config_.protocol),
      queue_(config_.self),
      opened_(now.monotonic),
      last_received_(now.monotonic) {}

void Connection::SetAdded(Now now) {
  added_ = true;
  heartbeat_at_ = NextHeartbeat(now);
}

absl::StatusOr<Bytes> Connection::TakeChunk(std::uint64_t& count) {
  Bytes chunk;
  if (transport_is_busy_ || !added_) return chunk;
  while (chunk.size() < kChunkSize) {
    const std::optional<Bytes> message = queue_.Pop();
    if (!message.has_value()) break;
    RETURN_IF_ERROR(stream_.Seal(*message, chunk));
    ++count;
  }
  return chunk;
}

absl::StatusOr<Bytes> Connection::TakeLastChunk(std::uint64_t& count) {
  queue_.ReleaseAll();
  transport_is_busy_ = false;
  return TakeChunk(count);
}

void Connection::ListenOn(absl::string_view channel, Now now) {
  queue_.Hold(channel);
  listen_until_ = now.monotonic + kListenTime;
}

MonotonicTime Connection::NextDeadline() const {
  if (!stream_.header_received()) return opened_ + kHeaderTime;
  return *Earliest({last_received_ + kReceiveTime, heartbeat_at_, listen_until_});
}

absl::Status Connection::OnTimer(Now now) {
  if (!stream_.header_received())
    return now.monotonic < opened_ + kHeaderTime
               ? absl::OkStatus()
               : absl::DeadlineExceededError(
                     absl::StrCat("no protocol header within ", absl::FormatDuration(kHeaderTime)));
  if (now.monotonic >= last_received_ + kReceiveTime)
    return absl::DeadlineExceededError(
        absl::StrCat("nothing received for ", absl::FormatDuration(now.monotonic - last_received_)));
  if (listen_until_.has_value() && now.monotonic >= *listen_until_) {
    listen_until_.reset();
    queue_.ReleaseAll();
  }
  if (heartbeat_at_.has_value() && now.monotonic >= *heartbeat_at_) {
    heartbeat_at_ = NextHeartbeat(now);
    return queue_.Push(EncodeHeartbeat());
  }
  return absl::OkStatus();
}

bool Connection::Compares(absl::string_view channel) const {
  const auto lists = [channel](absl::string_view channels) {
    const std::vector<absl::string_view> names = absl::StrSplit(channels, ' ');
    return std::find(names.begin(), names.end(), channel) != names.end();
  };
  return lists(config_.protocol.features.compared_channels) && lists(stream_.remote().compared_channels);
}

}  // namespace weave
