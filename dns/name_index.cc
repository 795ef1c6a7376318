#include "dns/name_index.h"

#include <algorithm>

namespace weave {
namespace {

constexpr int kFanOutBits = 6;
constexpr int kBranchShift = 64 - kFanOutBits;
constexpr int kLeafShift = kBranchShift - kFanOutBits;

std::size_t BranchIndex(std::uint64_t hash) { return hash >> kBranchShift; }
std::size_t LeafIndex(std::uint64_t hash) { return hash >> kLeafShift & (kPartFanOut - 1); }

std::uint64_t Spread(std::uint64_t hash) {
  hash = (hash ^ hash >> 32) * 0x9e37'79b9'7f4a'7c15;
  return hash ^ hash >> 29;
}

// FNV-1a.
std::uint64_t Mix(std::uint64_t hash, absl::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
  return hash;
}

std::uint64_t Mix(std::uint64_t hash, std::uint64_t number) { return Spread(hash ^ number) + number; }

constexpr std::uint64_t kBasis = 0xcbf2'9ce4'8422'2325;

}  // namespace

std::uint64_t HashOfName(absl::string_view folded) { return Spread(Mix(kBasis, folded)); }

std::uint64_t FingerprintOf(const NameEntry& entry) {
  std::uint64_t hash = Mix(Mix(kBasis, entry.hostname), entry.hostname.size());
  hash = Mix(Mix(hash, entry.container), entry.container.size());
  hash = Mix(hash, entry.origin.value());
  hash = Mix(hash, entry.address);
  return Mix(hash, static_cast<std::uint64_t>(entry.version));
}

NameIndex::Leaf& NameIndex::LeafOf(std::uint64_t hash) {
  std::unique_ptr<Branch>& branch = branches_[BranchIndex(hash)];
  if (branch == nullptr) branch = std::make_unique<Branch>();
  return branch->leaves[LeafIndex(hash)];
}

// Hashes are spread evenly, so the place is near where it would be if they were exactly so: from there in steps that
// double, which is no worse than halving where somebody has made them uneven.
NameIndex::Slots::const_iterator NameIndex::Seek(const Slots& slots, std::uint64_t hash) {
  const std::uint64_t within = hash << (64 - kLeafShift) >> 32;  // the part, in 2^-32 of the leaf
  std::size_t low = within * slots.size() >> 32, high = low;  // all below `low` are below, all from `high` on are not
  for (std::size_t step = 1; low > 0 && slots[low - 1].hash >= hash; step *= 2) {
    high = low - 1;
    low -= std::min(low, step);
  }
  for (std::size_t step = 1; high < slots.size() && slots[high].hash < hash; step *= 2) {
    low = high + 1;
    high = std::min(slots.size(), high + step);
  }
  const auto at = [&slots](std::size_t index) { return slots.begin() + static_cast<std::ptrdiff_t>(index); };
  return std::lower_bound(at(low), at(high), hash, [](const Slot& slot, std::uint64_t h) { return slot.hash < h; });
}

NameBucket* NameIndex::Find(absl::string_view folded) const {
  const std::uint64_t hash = HashOfName(folded);
  const Branch* branch = BranchAt(BranchIndex(hash));
  if (branch == nullptr) return nullptr;
  const Slots& slots = branch->leaves[LeafIndex(hash)].slots;
  for (auto slot = Seek(slots, hash); slot != slots.end() && slot->hash == hash; ++slot)
    if (slot->bucket->name() == folded) return slot->bucket;
  return nullptr;
}

void NameIndex::Insert(NameBucket& bucket) {
  Slots& slots = LeafOf(bucket.hash).slots;
  auto place = Seek(slots, bucket.hash);
  while (place != slots.end() && place->hash == bucket.hash && place->bucket->name() < bucket.name()) ++place;
  slots.insert(place, {bucket.hash, &bucket});
  ++size_;
}

void NameIndex::Erase(const NameBucket& bucket) {
  Slots& slots = LeafOf(bucket.hash).slots;
  size_ -= std::erase_if(slots, [&](const Slot& slot) { return slot.bucket == &bucket; });
}

void NameIndex::Count(const NameBucket& bucket, const NameEntry& entry, bool in) {
  const std::uint64_t fingerprint = FingerprintOf(entry);
  Branch& branch = *branches_[BranchIndex(bucket.hash)];
  for (NameSum* sum : {&sum_, &branch.sum, &branch.leaves[LeafIndex(bucket.hash)].sum}) {
    sum->count += in ? 1 : -1;
    sum->fingerprints += in ? fingerprint : -fingerprint;
  }
}

NameSum NameIndex::SumOf(NamePart part) const {
  if (part == kAllNames) return sum_;
  const bool leaf = IsLeaf(part);
  const Branch* branch = BranchAt((leaf ? part / kPartFanOut : part) - kFirstBranch);
  if (branch == nullptr) return {};
  return leaf ? branch->leaves[part % kPartFanOut].sum : branch->sum;
}

void NameIndex::ForEachIn(NamePart part, absl::FunctionRef<void(const NameBucket&)> visit) const {
  if (!IsLeaf(part)) {
    const NamePart first = part * kPartFanOut;
    for (NamePart child = first; child < first + kPartFanOut; ++child)
      if (part == kAllNames || BranchAt(part - kFirstBranch) != nullptr) ForEachIn(child, visit);
    return;
  }
  const Branch* branch = BranchAt(part / kPartFanOut - kFirstBranch);
  if (branch == nullptr) return;
  for (const Slot& slot : branch->leaves[part % kPartFanOut].slots) visit(*slot.bucket);
}

}  // namespace weave
