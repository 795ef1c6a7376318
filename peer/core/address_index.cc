#include "peer/core/address_index.h"

#include "base/check.h"

namespace weave {

bool AddressIndex::Take(const IpAddress& address, const AddressHolder& holder) {
  const auto [entry, inserted] = holders_.try_emplace(address, holder);
  return inserted || entry->second == holder;
}

void AddressIndex::Release(const IpAddress& address, const AddressHolder& holder) {
  const auto entry = holders_.find(address);
  CHECK(entry != holders_.end() && entry->second == holder) << address << " " << holder.key;
  released_.push_back({address, entry->second.name});
  holders_.erase(entry);
}

const AddressHolder* AddressIndex::HolderOf(const IpAddress& address) const {
  const auto entry = holders_.find(address);
  return entry == holders_.end() ? nullptr : &entry->second;
}

}  // namespace weave
