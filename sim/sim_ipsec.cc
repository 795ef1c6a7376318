#include "sim/sim_ipsec.h"

#include <algorithm>
#include <variant>

namespace weave::sim {

void SimIpsec::Start() {
  ++incarnation_;
  last_step_ = queue_.time();
  live_.clear();
  for (auto& [id, path] : paths_) Rest(id, linger_);
}

void SimIpsec::Reboot() {
  live_.clear();
  paths_.clear();
  policies_.clear();
}

void SimIpsec::Perform(const std::vector<IpsecCommand>& commands) {
  for (const IpsecCommand& command : commands) {
    if (const auto* inbound = std::get_if<SetUpInbound>(&command)) {
      Later([this, set = *inbound] { SetInbound(set); });
    } else if (const auto* outbound = std::get_if<SetUpOutbound>(&command)) {
      Later([this, set = *outbound] { SetOutbound(set); });
    } else if (const auto* pass = std::get_if<PassInClear>(&command)) {
      Later([this, pass = *pass] { PassClear(pass); });
    } else {
      Later([this, connection = std::get<TearDownIpsec>(command).connection] {
        const auto live = live_.find(connection);
        if (live == live_.end()) return;
        const PathId id = live->second;
        live_.erase(live);
        Rest(id, linger_);
      });
    }
  }
}

void SimIpsec::Later(std::function<void()> step) {
  last_step_ = std::max(last_step_, queue_.time() + Draw(random_, absl::Microseconds(50), absl::Milliseconds(20)));
  queue_.AtInBackground(last_step_, [this, incarnation = incarnation_, step = std::move(step)] {
    if (incarnation == incarnation_) step();
  });
}

SimIpsec::Path& SimIpsec::Live(ConnectionId connection, const Ends& ends) {
  const auto [live, added] = live_.emplace(connection, last_id_ + 1);
  if (added) paths_[++last_id_].ends = ends;
  return paths_.at(live->second);
}

void SimIpsec::SetInbound(const SetUpInbound& set) {
  Path& path = Live(set.connection, {set.local, set.remote});
  path.inbound = ++last_spi_;
  tell_(InboundReady{set.connection, absl::OkStatus(), *path.inbound});
  Complete(set.connection, path);
}

void SimIpsec::SetOutbound(const SetUpOutbound& set) {
  Path& path = Live(set.connection, {set.local, set.remote});
  path.offered = set.spi;
  Complete(set.connection, path);
}

void SimIpsec::Complete(ConnectionId connection, Path& path) {
  if (!path.inbound.has_value() || !path.offered.has_value()) return;
  path.outbound = path.offered;
  policies_[path.ends] = *path.outbound;
  // What there was before is over, but the other end may not have moved yet.
  for (auto& [id, other] : paths_)
    if (other.ends == path.ends && other.rests_until.has_value()) Rest(id, linger_);
  tell_(OutboundReady{connection, absl::OkStatus()});
}

void SimIpsec::PassClear(const PassInClear& pass) {
  std::vector<PathId> over;
  for (const auto& [id, path] : paths_)
    if (path.ends == Ends(pass.local, pass.remote) && path.rests_until.has_value()) over.push_back(id);
  for (const PathId id : over) Remove(id);
  tell_(ClearReady{pass.connection, absl::OkStatus()});
}

void SimIpsec::Rest(PathId id, Duration duration) {
  const MonotonicTime until = queue_.time() + duration;
  paths_.at(id).rests_until = until;
  queue_.AtInBackground(until, [this, id, incarnation = incarnation_] {
    if (incarnation == incarnation_) Leave(id);
  });
}

void SimIpsec::Leave(PathId id) {
  const auto path = paths_.find(id);
  if (path == paths_.end() || queue_.time() < *path->second.rests_until) return;
  const bool succeeded = std::none_of(live_.begin(), live_.end(), [&](const auto& live) {
    const Path& successor = paths_.at(live.second);
    return successor.ends == path->second.ends && !successor.outbound.has_value();
  });
  if (succeeded) return Remove(id);
  Rest(id, absl::Seconds(1));
}

void SimIpsec::Remove(PathId id) {
  const Path& path = paths_.at(id);
  const auto policy = policies_.find(path.ends);
  if (policy != policies_.end() && path.outbound == policy->second) policies_.erase(policy);
  paths_.erase(id);
}

std::optional<Spi> SimIpsec::Outbound(const Ends& ends) const {
  const auto policy = policies_.find(ends);
  if (policy != policies_.end()) return policy->second;
  return Admits(ends, kClear) ? std::make_optional(kClear) : std::nullopt;
}

bool SimIpsec::Admits(const Ends& ends, Spi spi) const {
  bool keyed = false;
  for (const auto& [id, path] : paths_) {
    if (path.ends != ends || !path.inbound.has_value()) continue;
    if (spi == *path.inbound) return true;
    keyed = true;
  }
  return spi == kClear && !keyed;
}

}  // namespace weave::sim
