#include "dns/name_gossip.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"
#include "dns/name_messages.h"
#include "dns/name_registry.h"

namespace weave {

void NameGossip::AddTo(Entries& entries, NameEntryPtr entry) {
  const auto known = entries.find(entry);
  if (known == entries.end()) {
    entries.insert(std::move(entry));
  } else if (IsNewer(*entry, **known)) {
    entries.erase(known);
    entries.insert(std::move(entry));
  }
}

void NameGossip::Merge(const GossipData& other) {
  const NameGossip& more = static_cast<const NameGossip&>(other);
  timestamp_ = std::max(timestamp_, more.timestamp_);
  if (registry_ == nullptr) registry_ = more.registry_;
  parts_.insert(more.parts_.begin(), more.parts_.end());
  if (parts_.contains(kAllNames)) {  // has the others
    parts_ = {kAllNames};
    return entries_.clear();
  }
  for (const NameEntryPtr& entry : more.entries_) Add(entry);
}

std::vector<NameEntryPtr> NameGossip::Collect() const {
  if (parts_.contains(kAllNames)) return registry_->Everything();
  Entries entries = entries_;
  for (const NamePart part : parts_)
    for (NameEntryPtr& entry : registry_->EntriesIn(part)) AddTo(entries, std::move(entry));
  return {entries.begin(), entries.end()};
}

std::vector<Bytes> NameGossip::Encode() const {
  const std::vector<NameEntryPtr> entries = Collect();
  std::vector<Bytes> payloads;
  // That we have no names at all is told as well.
  if (entries.empty() && !parts_.contains(kAllNames)) return payloads;
  absl::Span<const NameEntryPtr> rest = entries;
  do {
    payloads.push_back(EncodeNames(timestamp_, rest.subspan(0, kMaxNamesInMessage)));
    rest.remove_prefix(std::min(rest.size(), kMaxNamesInMessage));
  } while (!rest.empty());
  return payloads;
}

}  // namespace weave
