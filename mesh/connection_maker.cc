#include "mesh/connection_maker.h"

#include <algorithm>
#include <utility>

namespace weave {
namespace {

// spec/mesh.md sections 9 and 11.
const Duration kFirstInterval = absl::Seconds(2);
const Duration kMaxInterval = absl::Minutes(6);
const Duration kResetAfter = absl::Minutes(1);

// While the topology changes all the time, its connection records are looked through this often.
const Duration kTopologyPause = absl::Milliseconds(100);

absl::Time WallTime(Now now, MonotonicTime time) { return now.wall + (time - now.monotonic); }

}  // namespace

ConnectionMaker::ConnectionMaker(Options options, const Topology& topology, Random random)
    : options_(options), topology_(topology), random_(random) {}

void ConnectionMaker::Connect(Now now, absl::Span<const DirectPeer> peers, bool replace) {
  if (replace) direct_peers_.clear();
  for (const DirectPeer& peer : peers) {
    direct_peers_[peer.text] = peer.addresses;
    for (const SocketAddress& address : peer.addresses) {
      const auto target = targets_.find(Complete(address));
      if (target == targets_.end()) continue;
      TryNow(now, target->second);
      target->second.peer = {};
    }
  }
  run_at_ = now.monotonic;
}

void ConnectionMaker::Forget(Now now, absl::Span<const std::string> texts) {
  for (const std::string& text : texts) direct_peers_.erase(text);
  run_at_ = now.monotonic;
}

std::vector<std::string> ConnectionMaker::DirectPeers(bool active_only) const {
  std::vector<std::string> texts;
  for (const auto& [text, addresses] : direct_peers_) {
    const auto given_up = [this](const SocketAddress& address) {
      const auto target = targets_.find(Complete(address));
      // Ourselves, and not a peer of our name: without its vote it and we might choose first owners apart.
      return target != targets_.end() && !target->second.try_at.has_value() &&
             !absl::IsAlreadyExists(target->second.last_error);
    };
    if (!active_only || addresses.empty() || !std::all_of(addresses.begin(), addresses.end(), given_up))
      texts.push_back(text);
  }
  return texts;
}

void ConnectionMaker::OnAttemptFailed(Now now, const SocketAddress& address, const absl::Status& reason, Ending ending,
                                      PeerName remote) {
  run_at_ = now.monotonic;
  const auto found = targets_.find(address);
  if (found == targets_.end()) return;
  Target& target = found->second;
  target.state = State::kWaiting;
  target.last_error = reason;
  target.peer = remote;
  if (ending == Ending::kNever)
    target.try_at.reset();
  else
    TryLater(now, target);
}

void ConnectionMaker::OnConnected(ConnectionId connection, PeerName remote, const SocketAddress& address,
                                  bool outbound) {
  live_[connection] = {remote, address, outbound};
  if (!outbound) return;
  Target& target = targets_[address];
  target.state = State::kConnected;
  target.peer = remote;
}

void ConnectionMaker::OnDisconnected(Now now, ConnectionId connection, const absl::Status& reason, Ending ending) {
  run_at_ = now.monotonic;
  const auto live = live_.find(connection);
  if (live == live_.end()) return;
  const Live ended = live->second;
  live_.erase(live);
  const auto found = ended.outbound ? targets_.find(ended.address) : targets_.end();
  if (found == targets_.end()) return;
  Target& target = found->second;
  // One that held for a while starts over; one that did not is as good as a failed attempt.
  if (ending == Ending::kFailed && target.try_at.has_value() && now.monotonic > *target.try_at + kResetAfter) {
    target.state = State::kWaiting;
    target.last_error = reason;
    TryNow(now, target);
    return;
  }
  OnAttemptFailed(now, ended.address, reason, ending, ended.remote);
}

void ConnectionMaker::OnTopologyChange(Now now) {
  if (!options_.discovery) return;
  BringForward(run_at_, last_run_.has_value() ? std::max(now.monotonic, *last_run_ + kTopologyPause) : now.monotonic);
}

void ConnectionMaker::Run(Now now, std::vector<Attempt>& attempts) {
  if (!run_at_.has_value() || *run_at_ > now.monotonic) return;
  last_run_ = now.monotonic;
  run_at_.reset();
  valid_.clear();
  direct_.clear();
  connected_.clear();
  for (const auto& [id, live] : live_) connected_.insert(live.remote);
  AddDirectTargets(now);
  if (options_.discovery) AddDiscoveredTargets(now);
  CheckTargets(now, attempts);
}

std::optional<MonotonicTime> ConnectionMaker::NextDeadline() const { return run_at_; }

void ConnectionMaker::AddTarget(Now now, const SocketAddress& address) {
  if (valid_.contains(address)) return;
  const auto [target, added] = targets_.try_emplace(address);
  if (added) TryNow(now, target->second);
  // Another way to somebody we have already: a second connection would only lose against the first.
  if (!connected_.contains(target->second.peer)) valid_.insert(address);
}

void ConnectionMaker::AddDirectTargets(Now now) {
  absl::btree_set<SocketAddress> connected;
  absl::btree_set<IpAddress> inbound;
  for (const auto& [id, live] : live_) {
    connected.insert(live.address);
    if (!live.outbound) inbound.insert(live.address.ip);
  }
  for (const auto& [text, addresses] : direct_peers_) {
    for (const SocketAddress& given : addresses) {
      const SocketAddress address = Complete(given);
      direct_.insert(address);
      // A peer given without a port that has dialled us is the one the user meant.
      const bool dialled_us = given.port == 0 && inbound.contains(given.ip);
      if (!dialled_us && !connected.contains(address)) AddTarget(now, address);
    }
  }
}

void ConnectionMaker::AddDiscoveredTargets(Now now) {
  absl::btree_set<SocketAddress> connected;
  for (const auto& [id, live] : live_) connected.insert(live.address);
  for (const PeerSummary* peer : topology_.Peers()) {
    if (peer->name == options_.self) continue;
    for (const ConnectionSummary& connection : peer->connections) {
      if (connection.peer == options_.self || connected_.contains(connection.peer)) continue;
      absl::StatusOr<SocketAddress> address = SocketAddress::Parse(connection.remote_address);
      if (!address.ok()) continue;
      // The other end of an inbound connection is an ephemeral port.
      if (!connection.outbound) address->port = options_.port;
      if (!connected.contains(*address)) AddTarget(now, *address);
    }
  }
}

void ConnectionMaker::CheckTargets(Now now, std::vector<Attempt>& attempts) {
  for (auto entry = targets_.begin(); entry != targets_.end();) {
    Target& target = entry->second;
    if (target.state == State::kAttempting || target.state == State::kConnected) {
      ++entry;
      continue;
    }
    const bool direct = direct_.contains(entry->first);
    if (!valid_.contains(entry->first)) {
      target.state = State::kSuspended;
      entry = direct ? std::next(entry) : targets_.erase(entry);
      continue;
    }
    target.state = State::kWaiting;
    if (target.try_at.has_value() && *target.try_at <= now.monotonic) {
      target.state = State::kAttempting;
      attempts.push_back({entry->first, direct});
    } else if (target.try_at.has_value()) {
      BringForward(run_at_, *target.try_at);
    }
    ++entry;
  }
}

bool ConnectionMaker::AwaitsFirstAnswer() const {
  return std::any_of(direct_.begin(), direct_.end(), [this](const SocketAddress& address) {
    const auto target = targets_.find(address);
    return target != targets_.end() && target->second.last_error.ok() &&
           (target->second.state == State::kWaiting || target->second.state == State::kAttempting);
  });
}

std::vector<ConnectionMaker::TargetStatus> ConnectionMaker::Targets(Now now) const {
  std::vector<TargetStatus> result;
  for (const auto& [address, target] : targets_) {
    if (target.state == State::kConnected || target.state == State::kSuspended) continue;
    TargetStatus status;
    status.address = address;
    status.last_error = target.last_error;
    const bool first = target.last_error.ok();
    if (target.state == State::kAttempting)
      status.state = first ? MeshStatus::ConnectionState::kConnecting : MeshStatus::ConnectionState::kRetrying;
    else
      status.state = first ? MeshStatus::ConnectionState::kWaiting : MeshStatus::ConnectionState::kFailed;
    if (target.state == State::kWaiting && target.try_at.has_value()) status.retry = WallTime(now, *target.try_at);
    result.push_back(std::move(status));
  }
  return result;
}

SocketAddress ConnectionMaker::Complete(SocketAddress address) const {
  if (address.port == 0) address.port = options_.port;
  return address;
}

void ConnectionMaker::TryNow(Now now, Target& target) const {
  target.try_at = now.monotonic;
  target.interval = kFirstInterval;
}

void ConnectionMaker::TryLater(Now now, Target& target) {
  const std::int64_t nanoseconds = std::max<std::int64_t>(absl::ToInt64Nanoseconds(target.interval), 1);
  target.try_at = now.monotonic + target.interval / 2 +
                  absl::Nanoseconds(static_cast<std::int64_t>(random_.Below(static_cast<std::uint64_t>(nanoseconds))));
  target.interval = std::min(target.interval * 3 / 2, kMaxInterval);
}

}  // namespace weave
