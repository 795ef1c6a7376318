#include "sim/transport.h"

#include <algorithm>
#include <utility>

namespace weave::sim {
namespace {

absl::Status TimedOut() { return absl::UnavailableError("connection timed out"); }
absl::Status WasReset() { return absl::UnavailableError("connection reset by peer"); }

}  // namespace

void Transport::Listen(HostId host, Handler handler) { listeners_[host] = std::move(handler); }

void Transport::Crash(HostId host) {
  trace_.Note(host, "transport crash");
  listeners_.erase(host);
  absl::erase_if(ends_, [host](const auto& entry) { return entry.second->host == host; });
}

Transport::End* Transport::Find(ConnectionId connection) {
  const auto entry = ends_.find(connection);
  return entry == ends_.end() ? nullptr : entry->second.get();
}

void Transport::Tell(HostId host, const TransportEvent& event) {
  const auto listener = listeners_.find(host);
  if (listener == listeners_.end()) return;
  trace_.Note(host, "transport event", event.index());
  const Handler handler = listener->second;  // the handler may crash its own host
  handler(event);
}

void Transport::Drop(ConnectionId connection, absl::Status status) {
  const End* end = Find(connection);
  if (end == nullptr) return;
  const HostId host = end->host;
  const bool told = !end->closing;
  ends_.erase(connection);
  if (told) Tell(host, Closed{connection, std::move(status)});
}

ConnectionId Transport::Connect(HostId from, HostId to) {
  const ConnectionId connection = ++last_id_;
  End& end = *(ends_[connection] = std::make_unique<End>());
  end.host = from;
  end.remote_host = to;
  trace_.Note(from, "connect", connection, to);
  const MonotonicTime give_up = queue_.time() + options_.give_up_after;
  queue_.AfterInBackground(Latency(), [this, connection, give_up] { Synchronize(connection, give_up); });
  return connection;
}

void Transport::Synchronize(ConnectionId connection, MonotonicTime give_up) {
  const End* end = Find(connection);
  if (end == nullptr) return;
  const HostId from = end->host;
  const HostId to = end->remote_host;
  if (Blocked(from, to) || Blocked(to, from)) {
    if (queue_.time() >= give_up) return Drop(connection, TimedOut());
    queue_.AfterInBackground(options_.retransmit_after,
                             [this, connection, give_up] { Synchronize(connection, give_up); });
    return;
  }
  if (!listeners_.contains(to)) return Drop(connection, absl::UnavailableError("connection refused"));
  // The initiator knows first; nothing it sends overtakes the news of the connection.
  queue_.AfterInBackground(Latency(), [this, connection, from, to] {
    End* initiator = Find(connection);
    if (initiator == nullptr) return;
    if (initiator->closing) return Drop(connection, absl::OkStatus());
    if (!listeners_.contains(to)) return Drop(connection, WasReset());
    const ConnectionId remote = ++last_id_;
    initiator->remote = remote;
    End& accepted = *(ends_[remote] = std::make_unique<End>());
    accepted.host = to;
    accepted.remote_host = from;
    accepted.remote = connection;
    Tell(from, Connected{connection});
    Pump(connection);
    queue_.AfterInBackground(absl::ZeroDuration(), [this, remote, from, to] {
      if (Find(remote) != nullptr) Tell(to, Accepted{remote, from});
    });
  });
}

std::size_t Transport::Send(ConnectionId connection, ByteView bytes) {
  End* end = Find(connection);
  if (end == nullptr || end->closing) return 0;
  const std::size_t used = end->outgoing_size() + end->in_flight_count;
  const std::size_t taken = std::min(bytes.size(), options_.send_buffer_size - used);
  end->outgoing.insert(end->outgoing.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  end->wants_room = end->wants_room || taken < bytes.size();
  trace_.Note(end->host, "send", connection, taken);
  Pump(connection);
  return taken;
}

void Transport::Close(ConnectionId connection) {
  End* end = Find(connection);
  if (end == nullptr || end->closing) return;
  trace_.Note(end->host, "close", connection);
  end->closing = true;
  Pump(connection);
}

void Transport::Abort(ConnectionId connection) {
  const End* end = Find(connection);
  if (end == nullptr) return;
  trace_.Note(end->host, "abort", connection);
  const HostId from = end->host;
  const HostId to = end->remote_host;
  const ConnectionId remote = end->remote;
  ends_.erase(connection);
  if (remote == 0) return;
  // A lost reset is found out when the other end sends next.
  queue_.AfterInBackground(Latency(), [this, from, to, remote] {
    if (!Blocked(from, to)) Drop(remote, WasReset());
  });
}

// One segment of an end is on its way at a time: that keeps the order.
void Transport::Pump(ConnectionId connection) {
  End* end = Find(connection);
  if (end == nullptr || end->remote == 0 || end->sending) return;
  if (end->outgoing_size() == 0 && !end->closing) return;
  end->sending = true;
  const Duration stall = std::max(end->stalled_until - queue_.time(), absl::ZeroDuration());
  const std::size_t size = std::min(
      {end->outgoing_size(), options_.max_segment_size,
       static_cast<std::size_t>(random_.Between(1, static_cast<std::int64_t>(2 * options_.max_segment_size)))});
  const auto first = end->outgoing.begin() + static_cast<std::ptrdiff_t>(end->outgoing_begin);
  Bytes segment(first, first + static_cast<std::ptrdiff_t>(size));
  end->outgoing_begin += size;
  if (end->outgoing_size() == 0) {
    end->outgoing = Bytes();
    end->outgoing_begin = 0;
  }
  end->in_flight_count = size;
  const Duration sending =
      absl::Seconds(1) * static_cast<std::int64_t>(size) / static_cast<std::int64_t>(options_.bytes_per_second);
  const MonotonicTime give_up = queue_.time() + stall + sending + options_.give_up_after;
  queue_.AfterInBackground(stall + sending + Latency(),
                           [this, connection, give_up, segment = std::move(segment)]() mutable {
                             if (segment.empty())
                               Finish(connection, give_up);
                             else
                               Arrive(connection, std::move(segment), give_up);
                           });
}

void Transport::Arrive(ConnectionId connection, Bytes segment, MonotonicTime give_up) {
  const End* end = Find(connection);
  if (end == nullptr) return;
  const HostId from = end->host;
  const HostId to = end->remote_host;
  const End* remote = Find(end->remote);
  const bool lost = Blocked(from, to) || (remote == nullptr && (Blocked(to, from) || !listeners_.contains(to)));
  if (lost) {
    if (queue_.time() >= give_up) return Drop(connection, TimedOut());
    queue_.AfterInBackground(options_.retransmit_after,
                             [this, connection, give_up, segment = std::move(segment)]() mutable {
                               Arrive(connection, std::move(segment), give_up);
                             });
    return;
  }
  if (remote == nullptr) return Drop(connection, WasReset());
  queue_.AfterInBackground(Latency(), [this, connection, give_up] { Acknowledge(connection, give_up); });
  if (!remote->closing) Tell(to, Received{end->remote, std::move(segment)});
}

void Transport::Acknowledge(ConnectionId connection, MonotonicTime give_up) {
  End* end = Find(connection);
  if (end == nullptr) return;
  if (Blocked(end->remote_host, end->host)) {
    if (queue_.time() >= give_up) return Drop(connection, TimedOut());
    queue_.AfterInBackground(options_.retransmit_after,
                             [this, connection, give_up] { Acknowledge(connection, give_up); });
    return;
  }
  end->sending = false;
  end->in_flight_count = 0;
  const bool room = std::exchange(end->wants_room, false) && !end->closing;
  Pump(connection);
  if (room) Tell(end->host, Writable{connection});
}

void Transport::Finish(ConnectionId connection, MonotonicTime give_up) {
  const End* end = Find(connection);
  if (end == nullptr) return;
  if (Blocked(end->host, end->remote_host) && queue_.time() < give_up) {
    queue_.AfterInBackground(options_.retransmit_after, [this, connection, give_up] { Finish(connection, give_up); });
    return;
  }
  const bool arrived = !Blocked(end->host, end->remote_host);
  const ConnectionId remote = end->remote;
  ends_.erase(connection);
  if (arrived) Drop(remote, absl::OkStatus());
}

void Transport::Reset(ConnectionId connection) {
  const End* end = Find(connection);
  if (end == nullptr) return;
  trace_.Note(end->host, "reset", connection);
  const ConnectionId remote = end->remote;
  queue_.AfterInBackground(absl::ZeroDuration(), [this, connection] { Drop(connection, WasReset()); });
  queue_.AfterInBackground(absl::ZeroDuration(), [this, remote] { Drop(remote, WasReset()); });
}

void Transport::Lose(ConnectionId connection) {
  const End* end = Find(connection);
  if (end == nullptr) return;
  trace_.Note(end->host, "lose", connection);
  queue_.AfterInBackground(absl::ZeroDuration(), [this, connection] { Drop(connection, WasReset()); });
}

std::optional<ConnectionId> Transport::AnyEnd(Random& random) const {
  if (ends_.empty()) return std::nullopt;
  return std::next(ends_.begin(), static_cast<std::ptrdiff_t>(random.Below(ends_.size())))->first;
}

void Transport::Stall(ConnectionId connection, Duration duration) {
  if (End* end = Find(connection)) end->stalled_until = queue_.time() + duration;
}

}  // namespace weave::sim
