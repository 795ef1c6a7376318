// How a ring takes in what another peer knows (spec/ipam.md section 4.3; docs/ipam.md, "Merging").
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "ipam/ring.h"

namespace weave {
namespace {

std::string RangeText(const AddressRange& range) {
  const absl::uint128 end = range.start.value() + range.size;
  return absl::StrCat(range.start.ToString(), "-", AddressAt(range.start.family(), end).ToString());
}

std::string NamesText(const std::vector<PeerName>& names) {
  return absl::StrJoin(names, ", ", [](std::string* out, PeerName name) { out->append(name.ToString()); });
}

// Between two owners of one entry in the same version the one with more free addresses has it; `size`: more than that
// neither can have. Of equals the reference peer keeps its own, and two peers would disagree for good; a rule that both
// follow ends that.
bool WinsTie(const RingEntry& theirs, const RingEntry& mine, AddressCount size) {
  const AddressCount their_free = std::min(theirs.free, size);
  const AddressCount my_free = std::min(mine.free, size);
  if (their_free != my_free) return their_free > my_free;
  return theirs.peer < mine.peer;
}

// One pass over both lists by token.
class EntryMerge {
 public:
  EntryMerge(PeerName self, const Ring& mine, const Ring& theirs)
      : self_(self), ring_(mine), other_(theirs), mine_(mine.entries()), theirs_(theirs.entries()) {}

  void Run() {
    merged_.reserve(mine_.size() + 2);
    std::size_t j = 0;
    for (std::size_t i = 0; i < mine_.size(); ++i) {
      while (j < theirs_.size() && theirs_[j].token < mine_[i].token) Take(theirs_[j++]);
      if (j < theirs_.size() && theirs_[j].token == mine_[i].token)
        Choose(i, j++);
      else
        merged_.push_back(mine_[i]);
    }
    while (j < theirs_.size()) Take(theirs_[j++]);
  }

  std::vector<RingEntry> TakeMerged() { return std::move(merged_); }
  bool changed() const { return changed_; }

 private:
  // Both have the token: of mine_[i] and theirs_[j].
  void Choose(std::size_t i, std::size_t j) {
    const RingEntry& mine = mine_[i];
    const RingEntry& theirs = theirs_[j];
    const bool same_version = theirs.version == mine.version;
    const bool is_older = theirs.version < mine.version || (same_version && theirs.peer == mine.peer);
    if (is_older || (same_version && !WinsTie(theirs, mine, std::min(ring_.SizeOf(i), other_.SizeOf(j))))) {
      merged_.push_back(mine);
    } else if (mine.peer == self_ && theirs.peer == self_) {
      // A version of ours that we have forgotten. Ours must be the newest again.
      RingEntry newer = mine;
      newer.version = theirs.version + 1;
      Take(newer);
    } else {
      Take(theirs);
    }
  }

  void Take(const RingEntry& entry) {
    merged_.push_back(entry);
    changed_ = true;
  }

  const PeerName self_;
  const Ring& ring_;
  const Ring& other_;
  const std::vector<RingEntry>& mine_;
  const std::vector<RingEntry>& theirs_;
  std::vector<RingEntry> merged_;
  bool changed_ = false;
};

}  // namespace

absl::Status Ring::CheckCompatible(const Ring& theirs) const {
  if (!seeds_.empty() && !theirs.seeds_.empty() && seeds_ != theirs.seeds_)
    return absl::FailedPreconditionError(absl::StrCat("IP allocation was seeded by different peers (received: ",
                                                      NamesText(theirs.seeds_), ", ours: ", NamesText(seeds_), ")"));
  if (universe_ != theirs.universe_)
    return absl::FailedPreconditionError(
        absl::StrCat("Incompatible IP allocation ranges (received: ", RangeText(theirs.universe_),
                     ", ours: ", RangeText(universe_), ")"));
  return absl::OkStatus();
}

absl::StatusOr<bool> Ring::Merge(PeerName self, const Ring& theirs) {
  RETURN_IF_ERROR(CheckCompatible(theirs));
  if (theirs.empty()) return false;
  EntryMerge merge(self, *this, theirs);
  merge.Run();
  entries_ = merge.TakeMerged();
  if (merge.changed()) {
    LimitFree(self);
    CHECK(Validate().ok()) << *this;
  }
  const bool seeded = seeds_.empty() && !theirs.seeds_.empty();
  if (seeded) seeds_ = theirs.seeds_;
  return merge.changed() || seeded;
}

// A new token shortens the range before it, of whose free addresses only the owner can say how many were in the part
// that is left. Until the owner does, no more than fit. We are the owner of ours, and say it.
void Ring::LimitFree(PeerName self) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    RingEntry& entry = entries_[i];
    const AddressCount size = SizeOf(i);
    if (entry.free <= size) continue;
    entry.free = size;
    if (entry.peer == self) ++entry.version;
  }
}

}  // namespace weave
