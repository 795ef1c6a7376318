// Names on their way to a neighbour: entries that merge while they wait, or all that the registry has by then, or has
// in some of its parts.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "base/bytes.h"
#include "base/gossiper.h"
#include "dns/name_entry.h"
#include "dns/name_index.h"

namespace weave {

// Entries of one message; more are told in several, so that no turn of anybody's loop is long.
inline constexpr std::size_t kMaxNamesInMessage = 16384;

class NameRegistry;

class NameGossip final : public GossipData {
 public:
  // What a part of `registry`, which outlives this, has at the time of sending. `timestamp` in seconds since 1970.
  NameGossip(const NameRegistry& registry, NamePart part, std::int64_t timestamp)
      : registry_(&registry), timestamp_(timestamp), parts_({part}) {}
  // What is added.
  explicit NameGossip(std::int64_t timestamp) : timestamp_(timestamp) {}

  // Of two of one identity the better one stays.
  void Add(NameEntryPtr entry) { AddTo(entries_, std::move(entry)); }

  void Merge(const GossipData& other) override;
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override { return std::make_unique<NameGossip>(*this); }

  bool empty() const { return parts_.empty() && entries_.empty(); }

 private:
  using Entries = absl::btree_set<NameEntryPtr, NameIdentityLess>;

  static void AddTo(Entries& entries, NameEntryPtr entry);
  // In order of identity, none twice.
  std::vector<NameEntryPtr> Collect() const;

  const NameRegistry* registry_ = nullptr;  // null: no parts
  std::int64_t timestamp_;
  absl::btree_set<NamePart> parts_;
  Entries entries_;  // none besides all names
};

}  // namespace weave
