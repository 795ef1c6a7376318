// How a ring takes in what another peer knows (spec/ipam.md section 4.3; docs/ipam.md, "Merging").
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "ipam/ring.h"
#include "ipam/space.h"

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

absl::Status ClaimsOurs(const RingEntry& theirs) {
  return absl::FailedPreconditionError(absl::StrCat("Received entry ", theirs.token.ToString(), " of ",
                                                    theirs.peer.ToString(), " claims a range that I own"));
}

absl::Status Conflict(const RingEntry& mine, const RingEntry& theirs) {
  return absl::FailedPreconditionError(absl::StrCat("Received update for IP range I own at ", mine.token.ToString(),
                                                    " v", mine.version, ": incoming message says owner ",
                                                    theirs.peer.ToString(), " v", theirs.version));
}

// One pass over both lists by token.
class EntryMerge {
 public:
  EntryMerge(PeerName self, const Ring& mine, const Ring& theirs, const Space& space)
      : self_(self), ring_(mine), other_(theirs), mine_(mine.entries()), theirs_(theirs.entries()), space_(space) {}

  absl::Status Run() {
    merged_.reserve(mine_.size() + 2);
    std::size_t j = 0;
    for (std::size_t i = 0; i < mine_.size(); ++i) {
      for (; j < theirs_.size() && theirs_[j].token < mine_[i].token; ++j) {
        if (IntrudesOn(theirs_[j]) && !NothingAllocated(theirs_[j].token, mine_[i].token))
          return ClaimsOurs(theirs_[j]);
        Take(theirs_[j]);
      }
      if (j < theirs_.size() && theirs_[j].token == mine_[i].token)
        RETURN_IF_ERROR(Choose(i, j++));
      else
        Keep(mine_[i]);
    }
    for (; j < theirs_.size(); ++j) {
      if (IntrudesOn(theirs_[j]) && !NothingAllocatedBehind(theirs_[j].token)) return ClaimsOurs(theirs_[j]);
      Take(theirs_[j]);
    }
    return absl::OkStatus();
  }

  std::vector<RingEntry> TakeMerged() { return std::move(merged_); }
  bool changed() const { return changed_; }

 private:
  // A new token inside a range of ours, and not ours.
  bool IntrudesOn(const RingEntry& theirs) const { return previous_ == self_ && theirs.peer != self_; }

  bool NothingAllocated(const IpAddress& from, const IpAddress& to) const {
    return space_.NothingAllocatedIn({from, to.value() - from.value()});
  }
  // In our last range, over the origin.
  bool NothingAllocatedBehind(const IpAddress& token) const {
    const AddressRange& universe = ring_.universe();
    return NothingAllocated(universe.start, mine_.front().token) &&
           space_.NothingAllocatedIn({token, universe.start.value() + universe.size - token.value()});
  }
  bool NothingAllocatedAt(std::size_t index) const {
    const auto parts = ring_.PartsOf(index);
    return std::all_of(parts.begin(), parts.end(),
                       [this](const AddressRange& part) { return space_.NothingAllocatedIn(part); });
  }

  // Both have the token: of mine_[i] and theirs_[j].
  absl::Status Choose(std::size_t i, std::size_t j) {
    const RingEntry& mine = mine_[i];
    const RingEntry& theirs = theirs_[j];
    const bool same_version = theirs.version == mine.version;
    if (theirs.version < mine.version || (same_version && theirs.peer == mine.peer)) {
      Keep(mine);
      return absl::OkStatus();
    }
    if (mine.peer == self_ && theirs.peer == self_) {
      // A version of ours that we have forgotten. Ours must be the newest again.
      RingEntry newer = mine;
      newer.version = theirs.version + 1;
      Keep(newer);
      changed_ = true;
      return absl::OkStatus();
    }
    if (mine.peer == self_ && !NothingAllocatedAt(i)) return Conflict(mine, theirs);
    if (same_version && !WinsTie(theirs, mine, std::min(ring_.SizeOf(i), other_.SizeOf(j))))
      Keep(mine);
    else
      Take(theirs);
    return absl::OkStatus();
  }

  void Keep(const RingEntry& mine) {
    merged_.push_back(mine);
    previous_ = mine.peer;
  }
  void Take(const RingEntry& theirs) {
    merged_.push_back(theirs);
    previous_.reset();
    changed_ = true;
  }

  const PeerName self_;
  const Ring& ring_;
  const Ring& other_;
  const std::vector<RingEntry>& mine_;
  const std::vector<RingEntry>& theirs_;
  const Space& space_;
  std::vector<RingEntry> merged_;
  std::optional<PeerName> previous_;  // owner of the entry last kept; none when one of theirs came after it
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

absl::StatusOr<bool> Ring::Merge(PeerName self, const Ring& theirs, const Space& space) {
  RETURN_IF_ERROR(CheckCompatible(theirs));
  if (theirs.empty()) return false;
  EntryMerge merge(self, *this, theirs, space);
  RETURN_IF_ERROR(merge.Run());
  Ring merged(universe_);
  merged.entries_ = merge.TakeMerged();
  if (merge.changed()) {
    RETURN_IF_ERROR(merged.CheckKept(self, space));
    merged.LimitFree(self);
    CHECK(merged.Validate().ok()) << merged;
  }
  entries_ = std::move(merged.entries_);
  const bool seeded = seeds_.empty() && !theirs.seeds_.empty();
  if (seeded) seeds_ = theirs.seeds_;
  return merge.changed() || seeded;
}

// What a walk by tokens cannot see: a token below our first one when our last entry's range crosses the origin, and the
// second of two strangers' tokens in a row.
absl::Status Ring::CheckKept(PeerName self, const Space& space) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].peer == self) continue;
    for (const AddressRange& part : PartsOf(i))
      if (!space.NothingAllocatedIn(part)) return ClaimsOurs(entries_[i]);
  }
  return absl::OkStatus();
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
