// From names of peers to their places in a table, in order of names: a sorted array, for it is looked through far more
// often than it changes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/peer_name.h"
#include "mesh/peer_set.h"

namespace weave {

class PeerSlots {
 public:
  struct Entry {
    PeerName name;
    PeerSlot slot = 0;
  };

  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

  std::optional<PeerSlot> Find(PeerName name) const {
    std::size_t from = 0;
    return FindFrom(from, name);
  }

  // Looks near `from`, and leaves there where to look for what is likely the next name of an ascending sequence.
  std::optional<PeerSlot> FindFrom(std::size_t& from, PeerName name) const {
    if (from >= size() || name < entries_[from].name) from = 0;
    // Steps of doubling size up to one that is too far; what we look for lies within the last.
    std::size_t step = 1;
    std::size_t low = from;
    while (low + step < size() && entries_[low + step].name < name) {
      low += step;
      step *= 2;
    }
    const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(low);
    const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(std::min(low + step + 1, size()));
    const auto found = std::lower_bound(first, last, name, [](const Entry& e, PeerName n) { return e.name < n; });
    from = static_cast<std::size_t>(found - entries_.begin());
    if (found == entries_.end() || found->name != name) return std::nullopt;
    ++from;
    return found->slot;
  }

  // Takes in peers that are not there yet, in order of names.
  void Add(const std::vector<Entry>& fresh) {
    if (fresh.empty()) return;
    const auto before = static_cast<std::ptrdiff_t>(size());
    entries_.insert(entries_.end(), fresh.begin(), fresh.end());
    const auto by_name = [](const Entry& a, const Entry& b) { return a.name < b.name; };
    std::inplace_merge(entries_.begin(), entries_.begin() + before, entries_.end(), by_name);
  }

  // Calls `drop(entry)` for each in order, and drops those for which it says so.
  template <typename Drop>
  void DropIf(Drop drop) {
    entries_.erase(std::remove_if(entries_.begin(), entries_.end(), drop), entries_.end());
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace weave
