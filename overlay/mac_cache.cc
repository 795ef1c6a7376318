#include "overlay/mac_cache.h"

#include <algorithm>

namespace weave {
namespace {

// Between two looks for room in a full cache: each looks at every entry.
constexpr Duration kCrowdedPause = absl::Seconds(1);

}  // namespace

std::optional<PeerName> MacCache::Find(const MacAddress& mac) const {
  const auto entry = entries_.find(mac);
  if (entry == entries_.end()) return std::nullopt;
  return entry->second.peer;
}

MacCache::Learnt MacCache::Learn(MonotonicTime now, const MacAddress& mac, PeerName peer, Duration rest) {
  const auto entry = entries_.find(mac);
  if (entry != entries_.end()) {
    Place& place = entry->second;
    const bool known = place.peer == peer;
    if (!known && now - place.seen < rest) return Learnt::kElsewhere;
    place = {peer, known ? std::max(place.seen, now) : now};
    if (known) return Learnt::kKnown;
    for (MacObserver* observer : observers_) observer->OnMacMoved(mac, peer);
    return Learnt::kMoved;
  }
  if (entries_.size() >= kMaxCount && (!crowded_at_.has_value() || now - *crowded_at_ >= kCrowdedPause)) {
    crowded_at_ = now;
    Drop(now, kCrowdedAge);
  }
  if (entries_.size() >= kMaxCount) return Learnt::kFull;
  entries_.emplace(mac, Place{peer, now});
  for (MacObserver* observer : observers_) observer->OnMacLearnt(mac);
  return Learnt::kNew;
}

std::vector<MacCache::Entry> MacCache::List() const {
  std::vector<Entry> list;
  list.reserve(entries_.size());
  for (const auto& [mac, place] : entries_) list.push_back({mac, place.peer, place.seen});
  return list;
}

void MacCache::Drop(MonotonicTime now, Duration age) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (now - entry->second.seen < age) {
      ++entry;
      continue;
    }
    const MacAddress mac = entry->first;
    entry = entries_.erase(entry);
    for (MacObserver* observer : observers_) observer->OnMacForgotten(mac);
  }
}

}  // namespace weave
