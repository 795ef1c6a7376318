// Which peer a MAC address was last seen at (spec/overlay.md section 5). Owned by the packet router.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/mac.h"
#include "base/peer_name.h"
#include "base/time.h"

namespace weave {

// Hears where MAC addresses are from now on, and where no longer; must not call the cache.
class MacObserver {
 public:
  virtual ~MacObserver() = default;
  virtual void OnMacLearnt(const MacAddress& mac) = 0;  // one that was unknown
  virtual void OnMacMoved(const MacAddress& mac, PeerName to) = 0;
  virtual void OnMacForgotten(const MacAddress& mac) = 0;
};

class MacCache {
 public:
  static constexpr Duration kAge = absl::Minutes(10);
  static constexpr Duration kSweepInterval = absl::Minutes(1);
  // Containers choose their MACs. When the cache is full, entries that rested for kCrowdedAge make room; without any, a
  // new MAC is not learnt and frames for it go to everybody.
  static constexpr std::size_t kMaxCount = 65'536;
  static constexpr Duration kCrowdedAge = absl::Minutes(1);

  struct Entry {
    MacAddress mac;
    PeerName peer;
    MonotonicTime seen;
  };

  enum class Learnt : std::uint8_t {
    kKnown,      // as it was
    kNew,        // entered
    kMoved,      // was at another peer until now
    kElsewhere,  // is at another peer and stays there
    kFull,       // not entered
  };

  // Until it is removed.
  void AddObserver(MacObserver& observer) { observers_.push_back(&observer); }
  void RemoveObserver(MacObserver& observer) { std::erase(observers_, &observer); }

  // The peer of `mac`; none: unknown.
  std::optional<PeerName> Find(const MacAddress& mac) const;

  // A frame from `mac` came from `peer`. One that is at another peer, and was seen there within `rest`, stays there.
  Learnt Learn(MonotonicTime now, const MacAddress& mac, PeerName peer, Duration rest);

  // Drops what was not seen for kAge; due every kSweepInterval.
  void Sweep(MonotonicTime now) { Drop(now, kAge); }

  std::size_t size() const { return entries_.size(); }
  // In order of MACs.
  std::vector<Entry> List() const;

 private:
  struct Place {
    PeerName peer;
    MonotonicTime seen;
  };

  void Drop(MonotonicTime now, Duration age);

  absl::btree_map<MacAddress, Place> entries_;
  std::vector<MacObserver*> observers_;
  std::optional<MonotonicTime> crowded_at_;  // of the last look for room
};

}  // namespace weave
