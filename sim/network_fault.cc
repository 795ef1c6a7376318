#include "sim/network_fault.h"

#include <algorithm>
#include <vector>

#include "sim/data_path.h"

namespace weave::sim {
namespace {

constexpr std::int64_t kNarrowPathMtu = 1100;  // bytes: sleeve's matter

}  // namespace

void NetworkFaults::Start() {
  recurrence_.NewRound();
  recurrence_.Repeat(options_.reset, *this, &NetworkFaults::Reset);
  recurrence_.Repeat(options_.half_open, *this, &NetworkFaults::HalfOpen);
  recurrence_.Repeat(options_.stall, *this, &NetworkFaults::Stall);
  recurrence_.Repeat(options_.cut, *this, &NetworkFaults::Cut);
  recurrence_.Repeat(options_.partition, *this, &NetworkFaults::Partition);
  recurrence_.Repeat(options_.tunnel, *this, &NetworkFaults::CutTunnel);
  recurrence_.Repeat(options_.path, *this, &NetworkFaults::ChangePath);
}

void NetworkFaults::Heal() {
  recurrence_.NewRound();
  transport_.Heal();
  datagrams_.Heal();
}

Duration NetworkFaults::Spell() { return Draw(random_, absl::ZeroDuration(), options_.max_spell); }

void NetworkFaults::Reset() {
  if (const std::optional<ConnectionId> end = transport_.AnyEnd(random_)) transport_.Reset(*end);
}

void NetworkFaults::HalfOpen() {
  if (const std::optional<ConnectionId> end = transport_.AnyEnd(random_)) transport_.Lose(*end);
}

void NetworkFaults::Stall() {
  if (const std::optional<ConnectionId> end = transport_.AnyEnd(random_)) transport_.Stall(*end, Spell());
}

void NetworkFaults::Cut() {
  const auto a = static_cast<HostId>(random_.Below(hosts_));
  const auto b = static_cast<HostId>(random_.Below(hosts_));
  const Duration spell = Spell();
  BlockForAWhile(a, b, spell);
  if (random_.Chance(1, 2)) BlockForAWhile(b, a, spell);
}

void NetworkFaults::Partition() {
  std::vector<bool> left(hosts_);
  for (HostId id = 0; id < hosts_; ++id) left[id] = random_.Chance(1, 2);
  const Duration spell = Spell();
  const bool one_way = random_.Chance(1, 4);
  for (HostId a = 0; a < hosts_; ++a) {
    for (HostId b = 0; b < hosts_; ++b) {
      if (left[a] != left[b] && (!one_way || left[a])) BlockForAWhile(a, b, spell);
    }
  }
}

void NetworkFaults::CutTunnel() {
  const auto a = static_cast<HostId>(random_.Below(hosts_));
  const auto b = static_cast<HostId>(random_.Below(hosts_));
  const Duration spell = Spell();
  const bool both_ways = random_.Chance(1, 2);
  datagrams_.Block(a, b, kVxlanPort);
  if (both_ways) datagrams_.Block(b, a, kVxlanPort);
  queue_.After(spell, [this, a, b] {
    datagrams_.Unblock(a, b, kVxlanPort);
    datagrams_.Unblock(b, a, kVxlanPort);
  });
}

void NetworkFaults::ChangePath() {
  const auto a = static_cast<HostId>(random_.Below(hosts_));
  const auto b = static_cast<HostId>(random_.Below(hosts_));
  const auto most = static_cast<std::int64_t>(datagrams_.link_mtu_bytes());
  const std::int64_t least = random_.Chance(1, 4) ? kNarrowPathMtu : std::int64_t{Datagrams::kLeastPathMtu};
  const Datagrams::Path path{static_cast<std::size_t>(random_.Between(std::min(least, most), most)),
                             random_.Chance(1, 3)};
  datagrams_.SetPath(a, b, path);
  if (random_.Chance(1, 2)) datagrams_.SetPath(b, a, path);
}

void NetworkFaults::BlockForAWhile(HostId from, HostId to, Duration spell) {
  if (from == to) return;
  transport_.Block(from, to);
  queue_.After(spell, [this, from, to] { transport_.Unblock(from, to); });
}

}  // namespace weave::sim
