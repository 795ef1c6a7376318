// Names on their way to a neighbour: entries that merge while they wait, or all that the registry has by then.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/btree_set.h"
#include "base/bytes.h"
#include "base/gossiper.h"
#include "dns/name_entry.h"

namespace weave {

// Entries of one message; more are told in several, so that no turn of anybody's loop is long.
inline constexpr std::size_t kMaxNamesInMessage = 16384;

class NameRegistry;

class NameGossip final : public GossipData {
 public:
  // Everything in `registry`, which outlives this, at the time of sending. `timestamp` in seconds since 1970.
  NameGossip(const NameRegistry& registry, std::int64_t timestamp) : registry_(&registry), timestamp_(timestamp) {}
  // What is added.
  explicit NameGossip(std::int64_t timestamp) : timestamp_(timestamp) {}

  // Of two of one identity the better one stays.
  void Add(NameEntryPtr entry);

  void Merge(const GossipData& other) override;
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override { return std::make_unique<NameGossip>(*this); }

  bool empty() const { return registry_ == nullptr && entries_.empty(); }

 private:
  const NameRegistry* registry_ = nullptr;  // null: `entries_`
  std::int64_t timestamp_;
  absl::btree_set<NameEntryPtr, NameIdentityLess> entries_;
};

}  // namespace weave
