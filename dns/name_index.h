// Names by the hash of their folded text: found in the same few steps however many there are, and in parts of which two
// peers can compare sums. NameRegistry owns the buckets, and keeps them in order of names besides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "dns/name_entry.h"

namespace weave {

// Every entry whose name folds to one text. What a query asks for stands in front, in one cache line for most: among
// many names each line is one to wait for.
struct alignas(64) NameBucket {
  struct Less {
    bool operator()(const NameEntryPtr& a, const NameEntryPtr& b) const {
      return std::tie(a->origin, a->container, a->address, a->hostname) <
             std::tie(b->origin, b->container, b->address, b->hostname);
    }
  };

  absl::string_view name() const { return {folded.data(), folded.size()}; }

  absl::InlinedVector<char, 24> folded;
  absl::InlinedVector<std::uint32_t, 4> addresses;  // of those alive, in the order of `entries`; unless `stale`
  bool stale = false;
  std::uint64_t hash = 0;
  absl::btree_set<NameEntryPtr, Less> entries;
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

class NameIndex {
 public:
  NameBucket* Find(absl::string_view folded) const;
  // `bucket` has its name and hash, stays where it is, and is in no other.
  void Insert(NameBucket& bucket);
  void Erase(const NameBucket& bucket);

  // `entry`, alive, has come into `bucket` or has left it.
  void Count(const NameBucket& bucket, const NameEntry& entry, bool in);
  NameSum SumOf(NamePart part) const;

  void ForEachIn(NamePart part, absl::FunctionRef<void(const NameBucket&)> visit) const;

  std::size_t size() const { return size_; }

 private:
  struct Slot {
    std::uint64_t hash;
    NameBucket* bucket;
  };
  using Slots = std::vector<Slot>;
  struct Leaf {
    Slots slots;  // in order of hash and name: a few, up to a hundred thousand names
    NameSum sum;
  };
  struct Branch {
    std::array<Leaf, kPartFanOut> leaves;
    NameSum sum;
  };

  // The first that is not below `hash`.
  static Slots::const_iterator Seek(const Slots& slots, std::uint64_t hash);
  Leaf& LeafOf(std::uint64_t hash);
  const Branch* BranchAt(std::size_t index) const { return branches_[index].get(); }

  std::array<std::unique_ptr<Branch>, kPartFanOut> branches_;  // null: has had no name yet
  NameSum sum_;
  std::size_t size_ = 0;
};

}  // namespace weave
