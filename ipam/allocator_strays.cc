// Allocator: addresses in use here that are another peer's by the ring. Peers that lose nothing have none; who comes
// back with an old disk, was removed while it lived, or took by force what another took too, has (docs/ipam.md).
#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"

namespace weave {

// After every change of what is ours: `lost` was until now.
void Allocator::SortStrays(const AddressSet& lost) {
  for (auto stray = strays_.begin(); stray != strays_.end();) {
    if (!space_.Owns(stray->first)) {
      ++stray;
      continue;
    }
    logger_.Info("an address in use here is this peer's again", {{"address", stray->first.ToString()}});
    space_.Claim(stray->first);
    stray = strays_.erase(stray);
  }
  for (const auto& [address, idents] : stale_rows_.all())
    if (space_.IsFree(address)) space_.Claim(address);
  if (shut_down_) return;

  absl::btree_map<PeerName, std::size_t> counts;
  lost.ForEach([&](const AddressRange& range) {
    const auto& holders = holdings_.holders();
    for (auto at = holders.lower_bound(range.start); at != holders.end() && range.Contains(at->first); ++at) {
      strays_.try_emplace(at->first);
      const PeerName owner = ring_.OwnerOf(at->first).value();
      if (owner != config_.self) ++counts[owner];  // else it rests
    }
  });
  for (const auto& [owner, count] : counts)
    logger_.Warning("addresses in use here are another peer's, and are asked back",
                    {{"peer", Describe(owner)}, {"count", absl::StrCat(count)}});
}

// One by one, as claims are: the owner gives what nobody uses there.
void Allocator::AskForStrays() {
  if (strays_.empty()) {
    strays_due_at_.reset();
    return;
  }
  if (!strays_due_at_.has_value()) strays_due_at_ = now_.monotonic + kStrayRetry;
  std::size_t waiting = 0;
  for (const auto& [address, stray] : strays_) waiting += stray.waits ? 1 : 0;
  for (auto& [address, stray] : strays_) {
    if (waiting >= kMaxStraysAsked) return;
    const PeerName owner = ring_.OwnerOf(address).value();
    if (stray.asked == owner || owner == config_.self || !peers_.IsReachable(owner)) continue;
    waiting += stray.waits ? 0 : 1;
    stray.asked = owner;
    stray.waits = true;
    output_.telling.unicasts.push_back({owner, EncodeSpaceRequest({address, 1})});
  }
}

void Allocator::RetryStrays() {
  strays_due_at_.reset();
  for (auto& [address, stray] : strays_) {
    stray.asked.reset();
    stray.waits = false;
  }
  AskForStrays();
}

void Allocator::OnStrayDenied(PeerName source, const IpAddress& address) {
  const auto stray = strays_.find(address);
  if (stray == strays_.end() || stray->second.asked != source) return;
  stray->second.waits = false;
  stray->second.denied = true;
  AskForStrays();
}

std::vector<IpamStatus::Stray> Allocator::Strays() const {
  std::vector<IpamStatus::Stray> strays;
  for (const auto& [address, stray] : strays_) {
    const PeerName owner = ring_.OwnerOf(address).value();
    if (owner == config_.self) continue;  // it rests, and will be ours
    strays.push_back({address, holdings_.HolderOf(address).value(), Name(owner), stray.denied});
  }
  return strays;
}

}  // namespace weave
