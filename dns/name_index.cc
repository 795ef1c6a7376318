#include "dns/name_index.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

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

constexpr std::size_t kMinHomeCount = 16;
constexpr std::size_t kFewEntries = 8;  // are looked through with each change of one

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

bool NameIndex::Cell::Is(absl::string_view folded) const {
  return name_size == 0 ? bucket->name == folded : absl::string_view(name.data(), name_size) == folded;
}

std::size_t NameIndex::HomeOf(std::uint64_t hash) const { return (hash >> 32) * home_count_ >> 32; }

// Mostly at home or next to it; in steps that double, which is no worse than halving where somebody has made hashes
// uneven.
std::size_t NameIndex::Seek(std::uint64_t hash) const {
  const auto is_below = [&](std::size_t place) { return cells_[place].bucket != nullptr && cells_[place].hash < hash; };
  std::size_t low = HomeOf(hash), high = low;  // from home on, all before `low` are below, all from `high` on are not
  for (std::size_t step = 1; high < cells_.size() && is_below(high); step *= 2) {
    low = high + 1;
    high = std::min(cells_.size(), high + step);
  }
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (is_below(middle))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const NameIndex::Cell* NameIndex::CellOf(absl::string_view folded) const {
  const std::uint64_t hash = HashOfName(folded);
  for (std::size_t place = Seek(hash); !IsFree(place) && cells_[place].hash == hash; ++place)
    if (cells_[place].Is(folded)) return &cells_[place];
  return nullptr;
}

std::size_t NameIndex::PlaceOf(const NameBucket& bucket) const {
  std::size_t place = Seek(bucket.hash);
  while (!IsFree(place) && cells_[place].bucket != &bucket) ++place;
  CHECK(!IsFree(place)) << bucket.name;
  return place;
}

NameBucket* NameIndex::Find(absl::string_view folded) const {
  const Cell* cell = CellOf(folded);
  return cell == nullptr ? nullptr : cell->bucket;
}

absl::Span<const std::uint32_t> NameIndex::AddressesOf(absl::string_view folded) const {
  const Cell* cell = CellOf(folded);
  if (cell == nullptr) return {};
  if (cell->address_count != Cell::kMany) return {&cell->address, cell->address_count};
  NameBucket& bucket = *cell->bucket;
  if (std::exchange(bucket.stale, false)) {
    bucket.addresses.clear();
    for (const NameEntryPtr& entry : bucket.entries)
      if (entry->alive()) bucket.addresses.push_back(entry->address);
  }
  return bucket.addresses;
}

void NameIndex::OnChange(NameBucket& bucket) {
  bucket.stale = true;
  Cell& cell = cells_[PlaceOf(bucket)];
  cell.address_count = Cell::kMany;
  if (bucket.entries.size() > kFewEntries) return;
  std::uint8_t count = 0;
  for (const NameEntryPtr& entry : bucket.entries) {
    if (!entry->alive()) continue;
    cell.address = entry->address;
    ++count;
  }
  cell.address_count = std::min(count, Cell::kMany);
}

// In the order they have, so each is put behind the one before.
void NameIndex::Rebuild(std::size_t home_count) {
  const std::vector<Cell> former = std::exchange(cells_, std::vector<Cell>(home_count));
  home_count_ = home_count;
  std::size_t next = 0;
  for (const Cell& cell : former) {
    if (cell.bucket == nullptr) continue;
    next = std::max(next, HomeOf(cell.hash));
    if (next == cells_.size()) cells_.emplace_back();
    cells_[next++] = cell;
  }
}

void NameIndex::Insert(NameBucket& bucket) {
  ++size_;
  if (size_ * 3 > home_count_ * 2) Rebuild(std::max(kMinHomeCount, size_ * 2));
  std::size_t place = Seek(bucket.hash);
  while (!IsFree(place) && cells_[place].hash == bucket.hash && cells_[place].bucket->name < bucket.name) ++place;
  std::size_t end = place;
  while (!IsFree(end)) ++end;
  if (end == cells_.size()) cells_.emplace_back();
  const auto at = [this](std::size_t index) { return cells_.begin() + static_cast<std::ptrdiff_t>(index); };
  std::move_backward(at(place), at(end), at(end + 1));
  Cell& cell = cells_[place];
  cell = {.hash = bucket.hash, .bucket = &bucket};
  if (bucket.name.size() > Cell::kRoom) return;
  cell.name_size = static_cast<std::uint8_t>(bucket.name.size());
  std::copy(bucket.name.begin(), bucket.name.end(), cell.name.begin());
}

void NameIndex::Erase(const NameBucket& bucket) {
  std::size_t place = PlaceOf(bucket);
  for (; !IsFree(place + 1) && HomeOf(cells_[place + 1].hash) <= place; ++place) cells_[place] = cells_[place + 1];
  cells_[place] = {};
  --size_;
}

void NameIndex::Count(const NameBucket& bucket, const NameEntry& entry, bool in) {
  const std::uint64_t fingerprint = FingerprintOf(entry);
  std::unique_ptr<Branch>& place = branches_[BranchIndex(bucket.hash)];
  if (place == nullptr) place = std::make_unique<Branch>();
  Branch& branch = *place;
  for (NameSum* sum : {&sum_, &branch.sum, &branch.leaves[LeafIndex(bucket.hash)]}) {
    sum->count += in ? 1 : -1;
    sum->fingerprints += in ? fingerprint : -fingerprint;
  }
}

NameSum NameIndex::SumOf(NamePart part) const {
  if (part == kAllNames) return sum_;
  const bool leaf = IsLeaf(part);
  const Branch* branch = BranchAt((leaf ? part / kPartFanOut : part) - kFirstBranch);
  if (branch == nullptr) return {};
  return leaf ? branch->leaves[part % kPartFanOut] : branch->sum;
}

void NameIndex::ForEachIn(NamePart part, absl::FunctionRef<void(const NameBucket&)> visit) const {
  std::uint64_t first = 0, last = ~std::uint64_t{0};
  if (part != kAllNames) {
    const int shift = IsLeaf(part) ? kLeafShift : kBranchShift;
    first = std::uint64_t{part} << shift;  // the bit above all is lost, which says no more than the level
    last = first | ((std::uint64_t{1} << shift) - 1);
  }
  const std::size_t last_home = HomeOf(last);
  for (std::size_t place = Seek(first); place < cells_.size(); ++place) {
    if (!IsFree(place) && cells_[place].hash <= last)
      visit(*cells_[place].bucket);
    else if (!IsFree(place) || place > last_home)
      break;
  }
}

}  // namespace weave
