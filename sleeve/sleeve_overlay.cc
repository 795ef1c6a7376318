#include "sleeve/sleeve_overlay.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "sleeve/sleeve_codec.h"

namespace weave {

absl::Status SleeveOverlay::Prepare(Now, const OverlayConnection& connection) {
  if (!connection.local_tcp.ip.IsV4() || !connection.remote_tcp.ip.IsV4()) {
    return absl::FailedPreconditionError(absl::StrCat("sleeve: the connection to ", connection.remote_tcp.ToString(),
                                                      " is not over IPv4, which is all that sleeve carries"));
  }
  std::unique_ptr<SleeveConnection>& sleeve = connections_[connection.connection].sleeve;
  CHECK(sleeve == nullptr) << connection.connection;
  sleeve = std::make_unique<SleeveConnection>(self_, connection, counters_, logger_);
  return absl::OkStatus();
}

void SleeveOverlay::Confirm(Now now, ConnectionId connection) {
  Entry* entry = FindEntry(connection);
  if (entry == nullptr) return;
  entry->confirmed = true;
  entry->sleeve->Confirm(now, output_);
  Schedule(connection, *entry);
}

void SleeveOverlay::OnControl(Now now, ConnectionId connection, std::uint8_t tag, ByteView data) {
  Entry* entry = FindEntry(connection);
  if (entry == nullptr) return;
  entry->sleeve->OnControl(now, tag, data, output_);
  Schedule(connection, *entry);
}

void SleeveOverlay::Stop(Now, ConnectionId connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  if (found->second.confirmed) output_.commands.push_back(CloseSleevePath{connection});
  if (found->second.deadline.has_value()) deadlines_.erase({*found->second.deadline, connection});
  connections_.erase(found);
}

absl::btree_map<std::string, std::string> SleeveOverlay::Attributes(ConnectionId connection) const {
  const SleeveConnection* sleeve = Find(connection);
  if (sleeve == nullptr) return {};
  return {{"mtu", absl::StrCat(sleeve->mtu_search().mtu())}};
}

std::optional<MonotonicTime> SleeveOverlay::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void SleeveOverlay::OnTimer(Now now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now.monotonic) {
    const ConnectionId connection = deadlines_.begin()->second;
    Entry* entry = FindEntry(connection);
    CHECK(entry != nullptr) << connection;
    entry->sleeve->OnTimer(now, output_);
    Schedule(connection, *entry);
    CHECK(!entry->deadline.has_value() || *entry->deadline > now.monotonic) << connection;
  }
}

void SleeveOverlay::OnSpecialFrame(Now now, const SpecialFrameReceived& frame) {
  Entry* entry = FindEntry(frame.connection);
  if (entry == nullptr) return;
  entry->sleeve->OnSpecialFrame(now, frame, output_);
  Schedule(frame.connection, *entry);
}

void SleeveOverlay::OnMessageTooBig(Now now, const SocketAddress& remote, std::size_t path_mtu) {
  for (auto& [connection, entry] : connections_) {
    if (entry.sleeve->remote_address() != remote) continue;
    entry.sleeve->OnMessageTooBig(now, path_mtu, output_);
    Schedule(connection, entry);
  }
}

const SleeveConnection* SleeveOverlay::Find(ConnectionId connection) const {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : found->second.sleeve.get();
}

SleeveOverlay::Entry* SleeveOverlay::FindEntry(ConnectionId connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : &found->second;
}

void SleeveOverlay::Schedule(ConnectionId id, Entry& entry) {
  const std::optional<MonotonicTime> deadline = entry.sleeve->NextDeadline();
  if (deadline == entry.deadline) return;
  if (entry.deadline.has_value()) deadlines_.erase({*entry.deadline, id});
  if (deadline.has_value()) deadlines_.insert({*deadline, id});
  entry.deadline = deadline;
}

}  // namespace weave
