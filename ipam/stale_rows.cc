#include "ipam/stale_rows.h"

namespace weave {

void StaleRows::Add(const IpAddress& address, absl::string_view ident) {
  idents_[address].emplace(ident);
  addresses_[std::string(ident)].insert(address);
}

std::vector<IpAddress> StaleRows::Remove(absl::string_view ident) {
  std::vector<IpAddress> settled;
  const auto row = addresses_.find(ident);
  if (row == addresses_.end()) return settled;
  for (const IpAddress& address : row->second) {
    const auto named = idents_.find(address);
    named->second.erase(row->first);
    if (!named->second.empty()) continue;
    idents_.erase(named);
    settled.push_back(address);
  }
  addresses_.erase(row);
  return settled;
}

std::vector<std::string> StaleRows::IdentsOf(const IpAddress& address) const {
  const auto named = idents_.find(address);
  if (named == idents_.end()) return {};
  return {named->second.begin(), named->second.end()};
}

}  // namespace weave
