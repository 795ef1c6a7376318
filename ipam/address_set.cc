#include "ipam/address_set.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace weave {

AddressSet::Stretches::const_iterator AddressSet::FirstBeyond(absl::uint128 number) const {
  auto it = stretches_.upper_bound(number);
  if (it != stretches_.begin() && std::prev(it)->second > number) --it;
  return it;
}

void AddressSet::Add(const AddressRange& range) {
  if (range.size == 0) return;
  CHECK(stretches_.empty() || range.start.family() == family_) << range.start << " among addresses of another family";
  family_ = range.start.family();
  absl::uint128 start = range.start.value();
  absl::uint128 end = start + range.size;
  // Those that overlap or touch become one.
  auto it = stretches_.lower_bound(start);
  if (it != stretches_.begin() && std::prev(it)->second >= start) --it;
  while (it != stretches_.end() && it->first <= end) {
    start = std::min(start, it->first);
    end = std::max(end, it->second);
    count_ -= it->second - it->first;
    it = stretches_.erase(it);
  }
  stretches_.emplace_hint(it, start, end);
  count_ += end - start;
}

void AddressSet::Remove(const AddressRange& range) {
  if (range.size == 0 || range.start.family() != family_) return;
  const absl::uint128 start = range.start.value();
  const absl::uint128 end = start + range.size;
  for (auto it = FirstBeyond(start); it != stretches_.end() && it->first < end;) {
    const auto [first, behind] = *it;
    count_ -= std::min(behind, end) - std::max(first, start);
    it = stretches_.erase(it);
    if (first < start) it = std::next(stretches_.emplace_hint(it, first, start));
    if (behind > end) it = std::next(stretches_.emplace_hint(it, end, behind));
  }
}

bool AddressSet::Contains(const IpAddress& address) const {
  if (address.family() != family_) return false;
  const auto it = FirstBeyond(address.value());
  return it != stretches_.end() && it->first <= address.value();
}

AddressCount AddressSet::CountIn(const AddressRange& range) const {
  if (stretches_.empty() || range.start.family() != family_) return 0;
  const absl::uint128 end = range.start.value() + range.size;
  if (range.start.value() <= stretches_.begin()->first && stretches_.rbegin()->second <= end) return count_;
  AddressCount count = 0;
  ForEachIn(range, [&count](const AddressRange& part) { count += part.size; });
  return count;
}

std::optional<IpAddress> AddressSet::FirstIn(const AddressRange& range) const {
  if (range.start.family() != family_) return std::nullopt;
  const auto it = FirstBeyond(range.start.value());
  if (it == stretches_.end()) return std::nullopt;
  const absl::uint128 first = std::max(range.start.value(), it->first);
  if (first - range.start.value() >= range.size) return std::nullopt;
  return At(first);
}

}  // namespace weave
