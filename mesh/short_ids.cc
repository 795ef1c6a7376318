#include "mesh/short_ids.h"

#include <vector>

namespace weave {
namespace {

constexpr int kRandomTries = 10;  // spec/mesh.md section 6.6

}  // namespace

bool ShortIdTable::Add(ShortId short_id, PeerName peer) {
  if (short_id > kMaxShortId) return false;
  const std::optional<PeerName> owner = OwnerOf(short_id);
  const bool reused = !owner.has_value() && used_[short_id];
  holders_.insert({short_id, peer});
  ++generation_;
  used_.set(short_id);
  taken_.set(short_id);
  return reused || (owner.has_value() && peer < *owner);
}

bool ShortIdTable::Remove(ShortId short_id, PeerName peer) {
  const std::optional<PeerName> owner = OwnerOf(short_id);
  holders_.erase({short_id, peer});
  ++generation_;
  if (owner.has_value()) taken_.set(short_id, OwnerOf(short_id).has_value());
  return owner == peer;
}

std::optional<PeerName> ShortIdTable::OwnerOf(ShortId short_id) const {
  const auto it = holders_.lower_bound({short_id, PeerName()});
  if (it == holders_.end() || it->first != short_id) return std::nullopt;
  return it->second;
}

std::vector<std::pair<ShortId, PeerName>> ShortIdTable::Owners() const {
  std::vector<std::pair<ShortId, PeerName>> owners;
  for (const auto& [short_id, peer] : holders_)
    if (owners.empty() || owners.back().first != short_id) owners.emplace_back(short_id, peer);
  return owners;
}

std::optional<ShortId> ShortIdTable::PickFree(Random& random) const {
  if (taken_.all()) return std::nullopt;
  for (int i = 0; i < kRandomTries; ++i) {
    const auto short_id = static_cast<ShortId>(random.Below(kShortIdCount));
    if (!taken_[short_id]) return short_id;
  }
  std::vector<ShortId> free;
  for (ShortId short_id = 0; short_id < kShortIdCount; ++short_id) {
    if (!taken_[short_id]) free.push_back(short_id);
  }
  return free[random.Below(free.size())];
}

}  // namespace weave
