#include "overlay/forwarding.h"

#include <algorithm>

namespace weave {
namespace {

template <typename Key, typename Value>
std::optional<Value> Lookup(const std::vector<std::pair<Key, Value>>& sorted, Key key) {
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), key,
                                      [](const std::pair<Key, Value>& entry, Key k) { return entry.first < k; });
  if (found == sorted.end() || found->first != key) return std::nullopt;
  return found->second;
}

}  // namespace

ShortIdMap::ShortIdMap(std::vector<std::pair<ShortId, PeerName>> owners) : owners_(std::move(owners)) {
  ids_.reserve(owners_.size());
  for (const auto& [id, owner] : owners_) ids_.emplace_back(owner, id);
  std::sort(ids_.begin(), ids_.end());
}

std::optional<PeerName> ShortIdMap::OwnerOf(ShortId id) const { return Lookup(owners_, id); }

std::optional<ShortId> ShortIdMap::IdOf(PeerName peer) const { return Lookup(ids_, peer); }

}  // namespace weave
