#include "dns/name_gossip.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"
#include "dns/name_messages.h"
#include "dns/name_registry.h"

namespace weave {

void NameGossip::Add(NameEntryPtr entry) {
  const auto known = entries_.find(entry);
  if (known == entries_.end()) {
    entries_.insert(std::move(entry));
  } else if (IsNewer(*entry, **known)) {
    entries_.erase(known);
    entries_.insert(std::move(entry));
  }
}

void NameGossip::Merge(const GossipData& other) {
  const NameGossip& more = static_cast<const NameGossip&>(other);
  timestamp_ = std::max(timestamp_, more.timestamp_);
  if (registry_ == nullptr) registry_ = more.registry_;
  if (registry_ != nullptr) return entries_.clear();  // the registry has them
  for (const NameEntryPtr& entry : more.entries_) Add(entry);
}

// One message at least: that we have no names is told as well.
std::vector<Bytes> NameGossip::Encode() const {
  const std::vector<NameEntryPtr> entries =
      registry_ != nullptr ? registry_->Everything() : std::vector<NameEntryPtr>(entries_.begin(), entries_.end());
  std::vector<Bytes> payloads;
  absl::Span<const NameEntryPtr> rest = entries;
  do {
    payloads.push_back(EncodeNames(timestamp_, rest.subspan(0, kMaxNamesInMessage)));
    rest.remove_prefix(std::min(rest.size(), kMaxNamesInMessage));
  } while (!rest.empty());
  return payloads;
}

}  // namespace weave
