// Names by the hash of their folded text: found in the same few steps however many there are, and in parts of which two
// peers can compare sums. NameRegistry owns the buckets, and keeps them in order of names besides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dns/name_entry.h"

namespace weave {

// Every entry whose name folds to one text.
struct NameBucket {
  struct Less {
    bool operator()(const NameEntryPtr& a, const NameEntryPtr& b) const {
      return std::tie(a->origin, a->container, a->address, a->hostname) <
             std::tie(b->origin, b->container, b->address, b->hostname);
    }
  };

  std::string name;  // folded
  std::uint64_t hash = 0;
  absl::btree_set<NameEntryPtr, Less> entries;
  std::vector<std::uint32_t> addresses;  // of those alive, in the order of `entries`; unless `stale`
  bool stale = true;
};

// A part of all names, by the leading bits of their hashes: a node of a tree of two levels, in which 1 is everything
// and the children of n are 64 n to 64 n + 63.
using NamePart = std::uint16_t;
inline constexpr NamePart kAllNames = 1;
inline constexpr NamePart kPartFanOut = 64;
inline constexpr NamePart kFirstBranch = kAllNames * kPartFanOut;
inline constexpr NamePart kFirstLeaf = kFirstBranch * kPartFanOut;
inline constexpr std::size_t kMaxPartCount = 1 + kPartFanOut + kPartFanOut * kPartFanOut;

constexpr bool IsLeaf(NamePart part) { return part >= kFirstLeaf; }
constexpr bool IsNamePart(std::uint64_t part) {
  return part == kAllNames || part / kFirstBranch == 1 || part / kFirstLeaf == 1;
}

// What a part has, of entries that are alive: peers forget tombstones at different times.
struct NameSum {
  std::uint32_t count = 0;
  std::uint64_t fingerprints = 0;  // their sum, modulo 2^64

  friend bool operator==(const NameSum&, const NameSum&) = default;
};

// What an entry adds to sums. It guards against loss, not against forgery: whoever may send a sum may send entries.
std::uint64_t FingerprintOf(const NameEntry& entry);

// The same in every process.
std::uint64_t HashOfName(absl::string_view folded);

// A table in order of hash: each name stands where its hash is among all possible ones, or as near behind that as there
// is room, so the order is the same whatever has come and gone.
class NameIndex {
 public:
  NameBucket* Find(absl::string_view folded) const;
  // The addresses of those entries that are alive, perhaps one twice. Valid until the next change.
  absl::Span<const std::uint32_t> AddressesOf(absl::string_view folded) const;

  // `bucket` has its name and hash, which stay, stays where it is, and is in no other.
  void Insert(NameBucket& bucket);
  void Erase(const NameBucket& bucket);
  // The entries of `bucket`, which is here, are others now.
  void OnChange(NameBucket& bucket);

  // `entry`, alive, has come into `bucket` or has left it.
  void Count(const NameBucket& bucket, const NameEntry& entry, bool in);
  NameSum SumOf(NamePart part) const;

  // In order of hash and name.
  void ForEachIn(NamePart part, absl::FunctionRef<void(const NameBucket&)> visit) const;

  std::size_t size() const { return size_; }

 private:
  // What most queries need, in one cache line: among many names each line is one to wait for.
  struct alignas(64) Cell {
    static constexpr std::size_t kRoom = 42;
    static constexpr std::uint8_t kMany = 2;

    std::uint64_t hash = 0;
    NameBucket* bucket = nullptr;    // null: nobody is here
    std::uint32_t address = 0;       // if there is one
    std::uint8_t address_count = 0;  // kMany: the bucket knows
    std::uint8_t name_size = 0;      // 0: the bucket has the name, which is longer than kRoom, or empty
    std::array<char, kRoom> name = {};

    bool Is(absl::string_view folded) const;
  };
  static_assert(sizeof(Cell) == 64);

  struct Branch {
    std::array<NameSum, kPartFanOut> leaves;
    NameSum sum;
  };

  std::size_t HomeOf(std::uint64_t hash) const;
  // The place of the first that is not below `hash`, or where it would be.
  std::size_t Seek(std::uint64_t hash) const;
  // Null: there is none.
  const Cell* CellOf(absl::string_view folded) const;
  std::size_t PlaceOf(const NameBucket& bucket) const;
  bool IsFree(std::size_t place) const { return place == cells_.size() || cells_[place].bucket == nullptr; }
  void Rebuild(std::size_t home_count);
  const Branch* BranchAt(std::size_t index) const { return branches_[index].get(); }

  std::size_t home_count_ = 0;  // places for hashes; behind the last there may be more cells
  std::vector<Cell> cells_;
  std::size_t size_ = 0;

  std::array<std::unique_ptr<Branch>, kPartFanOut> branches_;  // null: has had no name yet
  NameSum sum_;
};

}  // namespace weave
