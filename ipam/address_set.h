// A set of addresses kept as stretches, each from its first address up to one behind its last; they neither overlap nor
// touch.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/numeric/int128.h"
#include "base/ip.h"

namespace weave {

// How many addresses; of IPv6 there may be more than 64 bits hold.
using AddressCount = absl::uint128;

// The address of `family` that is `number`, which fits it.
inline IpAddress AddressAt(IpFamily family, absl::uint128 number) {
  return family == IpFamily::kV4 ? IpAddress::V4(static_cast<std::uint32_t>(number)) : IpAddress::V6(number);
}

// All of one family. A change or a look-up costs the logarithm of the number of stretches, and what the stretches that
// it swallows or walks over cost.
class AddressSet {
 public:
  // Whatever of `range` is in already stays in.
  void Add(const AddressRange& range);
  // Whatever of `range` is not in stays out.
  void Remove(const AddressRange& range);

  bool Contains(const IpAddress& address) const;
  AddressCount count() const { return count_; }
  // Without a walk where `range` covers the whole set.
  AddressCount CountIn(const AddressRange& range) const;
  // The lowest address in `range`.
  std::optional<IpAddress> FirstIn(const AddressRange& range) const;

  // Calls visit(AddressRange) for what each stretch has in `range`, ascending.
  template <typename Visit>
  void ForEachIn(const AddressRange& range, Visit visit) const;
  // The same for all stretches.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const auto& [start, end] : stretches_) visit(AddressRange{At(start), end - start});
  }

  friend bool operator==(const AddressSet& a, const AddressSet& b) {
    return a.stretches_ == b.stretches_ && (a.stretches_.empty() || a.family_ == b.family_);
  }

 private:
  // First address to one behind the last, as numbers.
  using Stretches = absl::btree_map<absl::uint128, absl::uint128>;

  IpAddress At(absl::uint128 number) const { return AddressAt(family_, number); }
  // The first stretch that reaches beyond `number`.
  Stretches::const_iterator FirstBeyond(absl::uint128 number) const;

  IpFamily family_ = IpFamily::kV4;  // of what is in
  AddressCount count_ = 0;           // over all stretches
  Stretches stretches_;
};

template <typename Visit>
void AddressSet::ForEachIn(const AddressRange& range, Visit visit) const {
  if (range.size == 0 || range.start.family() != family_) return;
  const absl::uint128 start = range.start.value();
  const absl::uint128 end = start + range.size;
  for (auto it = FirstBeyond(start); it != stretches_.end() && it->first < end; ++it) {
    const absl::uint128 from = it->first < start ? start : it->first;
    const absl::uint128 to = end < it->second ? end : it->second;
    visit(AddressRange{At(from), to - from});
  }
}

}  // namespace weave
