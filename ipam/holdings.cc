#include "ipam/holdings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {

const AllocationRecord* Holdings::Find(absl::string_view ident) const {
  const auto record = records_.find(ident);
  return record == records_.end() ? nullptr : &record->second;
}

std::optional<std::string> Holdings::HolderOf(const IpAddress& address) const {
  const auto holder = holders_.find(address);
  if (holder == holders_.end()) return std::nullopt;
  return holder->second;
}

std::optional<Cidr> Holdings::CidrOf(const IpAddress& address) const {
  const auto holder = holders_.find(address);
  if (holder == holders_.end()) return std::nullopt;
  for (const Cidr& cidr : records_.at(holder->second).addresses)
    if (cidr.address() == address) return cidr;
  CHECK(false) << address << " is not among the addresses of " << holder->second;
  return std::nullopt;
}

std::vector<Cidr> Holdings::Lookup(absl::string_view ident, const std::optional<Cidr>& subnet) const {
  std::vector<Cidr> found;
  const AllocationRecord* record = Find(ident);
  if (record == nullptr) return found;
  for (const Cidr& cidr : record->addresses)
    if (!subnet.has_value() || subnet->Contains(cidr.address())) found.push_back(cidr);
  return found;
}

void Holdings::Add(absl::string_view ident, const Cidr& address, bool is_container, Upkeep upkeep) {
  const bool added = holders_.emplace(address.address(), ident).second;
  CHECK(added) << address << " has a holder, so it is not for " << ident;
  AllocationRecord& record = records_[std::string(ident)];
  record.ident = std::string(ident);
  record.addresses.push_back(address);
  record.is_container = record.is_container || is_container;
  record.upkeep = upkeep;
}

bool Holdings::MarkContainer(absl::string_view ident) {
  const auto record = records_.find(ident);
  CHECK(record != records_.end()) << ident;
  const bool news = !record->second.is_container;
  record->second.is_container = true;
  return news;
}

bool Holdings::SetUpkeep(absl::string_view ident, Upkeep upkeep) {
  const auto record = records_.find(ident);
  CHECK(record != records_.end()) << ident;
  return std::exchange(record->second.upkeep, upkeep) != upkeep;
}

void Holdings::Remove(absl::string_view ident, const IpAddress& address) {
  const auto record = records_.find(ident);
  CHECK(record != records_.end()) << ident;
  std::vector<Cidr>& addresses = record->second.addresses;
  const auto cidr = std::find_if(addresses.begin(), addresses.end(),
                                 [&](const Cidr& candidate) { return candidate.address() == address; });
  CHECK(cidr != addresses.end()) << ident << " does not hold " << address;
  addresses.erase(cidr);
  if (addresses.empty()) records_.erase(record);
  holders_.erase(address);
}

absl::Status Holdings::CheckInvariants() const {
  std::size_t count = 0;
  for (const auto& [ident, record] : records_) {
    if (record.ident != ident || record.addresses.empty())
      return absl::InternalError(absl::StrCat("the row of ", ident, " is of ", record.ident, " or empty"));
    for (const Cidr& cidr : record.addresses)
      if (HolderOf(cidr.address()) != ident)
        return absl::InternalError(absl::StrCat(cidr.ToString(), " of ", ident, " leads to somebody else"));
    count += record.addresses.size();
  }
  if (count != holders_.size()) return absl::InternalError("an address leads to somebody who does not hold it");
  return absl::OkStatus();
}

}  // namespace weave
