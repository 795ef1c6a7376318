#include "ipam/space.h"

#include "absl/numeric/bits.h"
#include "base/check.h"

namespace weave {
namespace {

// The highest power of two that is not above `number`, which is not 0.
absl::uint128 PowerOfTwoIn(absl::uint128 number) {
  const std::uint64_t high = absl::Uint128High64(number);
  if (high != 0) return absl::MakeUint128(absl::bit_floor(high), 0);
  return absl::bit_floor(absl::Uint128Low64(number));
}

// The lowest multiple of `block`, a power of two, from `number` on.
absl::uint128 AlignUp(absl::uint128 number, absl::uint128 block) { return (number + block - 1) & ~(block - 1); }

// The biggest block of addresses in `stretch` that a prefix can name; of two the lower one.
AddressRange BiggestBlock(const AddressRange& stretch) {
  const absl::uint128 start = stretch.start.value();
  absl::uint128 block = PowerOfTwoIn(stretch.size);
  // Half of it fits in any case: with what alignment skips it is not more than the whole.
  if (AlignUp(start, block) + block > start + stretch.size) block >>= 1;
  return {AddressAt(stretch.start.family(), AlignUp(start, block)), block};
}

}  // namespace

AddressSet Space::SetOwned(absl::Span<const AddressRange> ranges) {
  AddressSet owned;
  for (const AddressRange& range : ranges) owned.Add(range);
  if (owned == owned_) return {};
  AddressSet gone = owned_;
  owned.ForEach([&gone](const AddressRange& stretch) { gone.Remove(stretch); });
  AddressSet gained = owned;
  owned_.ForEach([&gained](const AddressRange& stretch) { gained.Remove(stretch); });
  gone.ForEach([this](const AddressRange& stretch) { free_.Remove(stretch); });
  gained.ForEach([this](const AddressRange& stretch) { free_.Add(stretch); });
  owned_ = std::move(owned);
  return gone;
}

std::optional<IpAddress> Space::Allocate(const AddressRange& range) {
  const std::optional<IpAddress> address = free_.FirstIn(range);
  if (address.has_value()) free_.Remove({*address, 1});
  return address;
}

bool Space::Claim(const IpAddress& address) {
  CHECK(Owns(address)) << address;
  if (!IsFree(address)) return false;
  free_.Remove({address, 1});
  return true;
}

void Space::Free(const IpAddress& address) {
  CHECK(Owns(address) && !IsFree(address)) << address;
  free_.Add({address, 1});
}

std::optional<AddressRange> Space::Donation(const AddressRange& range) const {
  const std::optional<AddressRange> donation = BlockToGive(range);
  if (!donation.has_value() || donation->size > 1 || range.size <= 2) return donation;
  const AddressRange inner{AddressAt(range.start.family(), range.start.value() + 1), range.size - 2};
  if (inner.Contains(donation->start)) return donation;
  const std::optional<AddressRange> usable = BlockToGive(inner);
  return usable.has_value() ? usable : donation;
}

std::optional<AddressRange> Space::BlockToGive(const AddressRange& range) const {
  AddressRange biggest;
  AddressCount free_count = 0;
  free_.ForEachIn(range, [&](const AddressRange& stretch) {
    free_count += stretch.size;
    const AddressRange block = BiggestBlock(stretch);
    if (block.size >= biggest.size) biggest = block;
  });
  if (free_count == 0) return std::nullopt;
  if (biggest.size == 1 || biggest.size * 2 <= free_count) return biggest;
  const AddressCount half = biggest.size >> 1;
  return AddressRange{AddressAt(biggest.start.family(), biggest.start.value() + half), half};
}

}  // namespace weave
