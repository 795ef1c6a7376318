#include "ipam/ring.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status.h"
#include "ipam/space.h"

namespace weave {
namespace {

constexpr AddressCount kMinUniverseSize = 4;
constexpr std::uint32_t kTransferVersions = 100;

// The division of spec/ipam.md section 4.1, which skips the middle address of an odd size: the entry before it gets
// that one too, and its owner's next report counts it.
void Divide(const AddressRange& range, absl::Span<const PeerName> peers, std::vector<RingEntry>& entries) {
  if (range.size == 0) return;
  if (range.size == 1 || peers.size() == 1) {
    entries.push_back({range.start, peers.front(), 0, range.size});
    return;
  }
  const AddressCount half = range.size / 2;
  const AddressCount upper = half + range.size % 2;
  Divide({range.start, half}, peers.first(peers.size() / 2), entries);
  Divide({AddressAt(range.start.family(), range.start.value() + upper), half}, peers.subspan(peers.size() / 2),
         entries);
}

// `count` in 64 bits, shifted down where it needs more. The same shift for every count keeps their ratios.
std::uint64_t Shifted(AddressCount count, int shift) { return absl::Uint128Low64(count >> shift); }

int BitsAbove64(AddressCount count) {
  const std::uint64_t high = absl::Uint128High64(count);
  return high == 0 ? 0 : static_cast<int>(absl::bit_width(high));
}

std::string CountText(AddressCount count) {
  std::ostringstream text;
  text << count;
  return text.str();
}

std::string EndText(const AddressRange& range) {
  return AddressAt(range.start.family(), range.start.value() + range.size).ToString();
}

}  // namespace

Ring::Ring(AddressRange universe) : universe_(universe) {
  CHECK(universe.size >= kMinUniverseSize) << universe.start << ", " << universe.size;
}

absl::StatusOr<Ring> Ring::Make(AddressRange universe, std::vector<RingEntry> entries, std::vector<PeerName> seeds) {
  if (universe.size < kMinUniverseSize)
    return absl::InvalidArgumentError(absl::StrCat("IP allocation range ", universe.start.ToString(), "-",
                                                   EndText(universe), ", want at least ", "4 addresses"));
  Ring ring(universe);
  ring.entries_ = std::move(entries);
  ring.seeds_ = std::move(seeds);
  RETURN_IF_ERROR(ring.Validate());
  return ring;
}

absl::Status Ring::Validate() const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (i > 0 && entries_[i].token <= entries_[i - 1].token) return absl::InvalidArgumentError("Ring not sorted");
    if (!universe_.Contains(entries_[i].token)) return absl::InvalidArgumentError("Token is out of range");
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const RingEntry& entry = entries_[i];
    const AddressCount size = SizeOf(i);
    if (entry.free > size) {
      const IpAddress next = entries_[(i + 1) % entries_.size()].token;
      return absl::InvalidArgumentError(absl::StrCat("Entry ", entry.token.ToString(), "-", next.ToString(),
                                                     " reporting too much free space: ", CountText(entry.free), " > ",
                                                     CountText(size)));
    }
  }
  return absl::OkStatus();
}

void Ring::ExpectSeeds(std::vector<PeerName> peers) {
  CHECK(empty() && !peers.empty());
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  seeds_ = std::move(peers);
}

void Ring::DivideAmong(std::vector<PeerName> peers) {
  ExpectSeeds(std::move(peers));
  Divide(universe_, seeds_, entries_);
}

// ---- reading ----

std::size_t Ring::IndexOf(const IpAddress& address) const {
  const auto above = std::upper_bound(entries_.begin(), entries_.end(), address,
                                      [](const IpAddress& a, const RingEntry& entry) { return a < entry.token; });
  // What lies below the first token belongs to the last entry.
  if (above == entries_.begin()) return entries_.size() - 1;
  return static_cast<std::size_t>(above - entries_.begin()) - 1;
}

absl::InlinedVector<AddressRange, 2> Ring::PartsOf(std::size_t index) const {
  const IpAddress& token = entries_[index].token;
  if (index + 1 < entries_.size()) return {{token, entries_[index + 1].token.value() - token.value()}};
  absl::InlinedVector<AddressRange, 2> parts;
  const AddressCount below = entries_.front().token.value() - universe_.start.value();
  if (below > 0) parts.push_back({universe_.start, below});
  parts.push_back({token, UniverseEnd() - token.value()});
  return parts;
}

AddressCount Ring::SizeOf(std::size_t index) const {
  const AddressCount start = entries_[index].token.value();
  if (index + 1 < entries_.size()) return entries_[index + 1].token.value() - start;
  return universe_.size - (start - entries_.front().token.value());
}

std::optional<PeerName> Ring::OwnerOf(const IpAddress& address) const {
  if (empty() || !universe_.Contains(address)) return std::nullopt;
  return entries_[IndexOf(address)].peer;
}

std::vector<AddressRange> Ring::RangesOf(PeerName peer) const {
  std::vector<AddressRange> ranges;
  const auto add = [&ranges](const AddressRange& range) {
    if (!ranges.empty() && ranges.back().start.value() + ranges.back().size == range.start.value())
      ranges.back().size += range.size;
    else
      ranges.push_back(range);
  };
  if (empty()) return ranges;
  // The last entry's part below the first token comes first.
  const auto last = PartsOf(entries_.size() - 1);
  if (entries_.back().peer == peer && last.size() == 2) add(last.front());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].peer == peer) add(PartsOf(i).back());
  }
  return ranges;
}

AddressCount Ring::CountOf(PeerName peer) const {
  AddressCount count = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].peer == peer) count += SizeOf(i);
  }
  return count;
}

bool Ring::Owns(PeerName peer) const {
  return std::any_of(entries_.begin(), entries_.end(), [peer](const RingEntry& entry) { return entry.peer == peer; });
}

std::vector<PeerName> Ring::Owners() const {
  std::vector<PeerName> owners;
  owners.reserve(entries_.size());
  for (const RingEntry& entry : entries_) owners.push_back(entry.peer);
  std::sort(owners.begin(), owners.end());
  owners.erase(std::unique(owners.begin(), owners.end()), owners.end());
  return owners;
}

std::vector<PeerName> Ring::DonorCandidates(PeerName self, const AddressRange& wanted, Random& random) const {
  absl::btree_map<PeerName, AddressCount> free;
  AddressCount most = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const RingEntry& entry = entries_[i];
    if (entry.peer == self || entry.free == 0) continue;
    const auto parts = PartsOf(i);
    if (std::none_of(parts.begin(), parts.end(), [&wanted](const AddressRange& part) { return part.Overlaps(wanted); }))
      continue;
    AddressCount& sum = free[entry.peer];
    sum += entry.free;
    most = std::max(most, sum);
  }
  const int shift = BitsAbove64(most);
  std::vector<std::pair<absl::uint128, PeerName>> weighted;
  for (const auto& [peer, sum] : free) weighted.emplace_back(absl::uint128(Shifted(sum, shift)) * random.Next(), peer);
  std::stable_sort(weighted.begin(), weighted.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<PeerName> candidates;
  candidates.reserve(weighted.size());
  for (const auto& [weight, peer] : weighted) candidates.push_back(peer);
  return candidates;
}

// ---- changes by the owner ----

bool Ring::ReportFree(PeerName self, const Space& space) {
  bool changed = false;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    RingEntry& entry = entries_[i];
    if (entry.peer != self) continue;
    AddressCount free = 0;
    for (const AddressRange& part : PartsOf(i)) free += space.FreeIn(part);
    if (free == entry.free) continue;
    entry.free = free;
    ++entry.version;
    changed = true;
  }
  return changed;
}

void Ring::Grant(PeerName self, const AddressRange& range, PeerName peer) {
  CHECK(!empty() && range.size > 0 && peer != self);
  const absl::uint128 end = range.start.value() + range.size;
  CHECK(universe_.Contains(range.start) && end <= UniverseEnd()) << range.start;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    for (const AddressRange& part : PartsOf(i))
      CHECK(entries_[i].peer == self || !part.Overlaps(range)) << entries_[i].token << " is not ours to give";
  }
  const auto index_from = [this](const IpAddress& token) {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), token,
                                     [](const RingEntry& entry, const IpAddress& t) { return entry.token < t; });
    return static_cast<std::size_t>(at - entries_.begin());
  };
  const auto starts_at = [this](std::size_t index, const IpAddress& token) {
    return index < entries_.size() && entries_[index].token == token;
  };
  const auto insert = [this](std::size_t index, const RingEntry& entry) {
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(index), entry);
  };

  const std::size_t first = index_from(range.start);
  if (starts_at(first, range.start)) {
    entries_[first].peer = peer;
    ++entries_[first].version;
  } else {
    insert(first, {range.start, peer, 0, 0});
    const std::size_t before = (first + entries_.size() - 1) % entries_.size();
    ++entries_[before].version;
    entries_[before].free = SizeOf(before);
  }
  entries_[first].free = std::min(range.size, SizeOf(first));
  for (std::size_t i = first + 1; i < entries_.size() && entries_[i].token.value() < end; ++i) {
    entries_[i].peer = peer;
    ++entries_[i].version;
    entries_[i].free = std::min(entries_[i].free, end - entries_[i].token.value());
  }
  // What follows stays ours.
  const IpAddress behind = end == UniverseEnd() ? universe_.start : AddressAt(universe_.start.family(), end);
  const std::size_t next = index_from(behind);
  if (starts_at(next, behind)) return;
  insert(next, {behind, self, 0, 0});
  entries_[next].free = SizeOf(next);
}

AddressCount Ring::Transfer(PeerName from, PeerName to, std::uint32_t steps) {
  CHECK(from != to) << from;
  const AddressCount count = CountOf(from);
  for (RingEntry& entry : entries_) {
    if (entry.peer != from) continue;
    entry.peer = to;
    entry.version += kTransferVersions * steps;
  }
  return count;
}

std::string ToString(const Ring& ring) {
  std::string text;
  for (const RingEntry& entry : ring.entries())
    absl::StrAppend(&text, text.empty() ? "" : ", ", entry.token.ToString(), " ", entry.peer.ToString(), "(v",
                    entry.version, ", ", CountText(entry.free), " free)");
  return text;
}

}  // namespace weave
