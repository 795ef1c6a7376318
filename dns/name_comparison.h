// What two peers of our own say to find where their names differ (docs/mesh.md, "Comparing names"): as
// values, as bytes, and on their way to a neighbour. The entries themselves travel in the channel "nameserver".
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/gossiper.h"
#include "dns/name_index.h"

namespace weave {

class NameRegistry;

struct NameComparison {
  struct Sum {
    NamePart part = kAllNames;
    NameSum of;

    friend bool operator==(const Sum&, const Sum&) = default;
  };

  std::int64_t timestamp = 0;  // the sender's clock, as in NameMessage
  std::vector<Sum> sums;       // what the sender has: who has something else looks closer, or tells and wants the part
  std::vector<NamePart> wanted;  // of which the sender wants the entries

  friend bool operator==(const NameComparison&, const NameComparison&) = default;
};

Bytes EncodeNameComparison(const NameComparison& comparison);
// InvalidArgument for what is malformed, for parts that there are not, and for more parts than there are.
absl::StatusOr<NameComparison> DecodeNameComparison(ByteView payload);

// Sums are those of the time of sending.
class NameComparisonGossip final : public GossipData {
 public:
  // `registry` outlives this; `timestamp` in seconds since 1970.
  NameComparisonGossip(const NameRegistry& registry, std::int64_t timestamp)
      : registry_(registry), timestamp_(timestamp) {}

  void TellSum(NamePart part) { sums_.insert(part); }
  void Want(NamePart part) { wanted_.insert(part); }
  bool empty() const { return sums_.empty() && wanted_.empty(); }

  void Merge(const GossipData& other) override;
  std::vector<Bytes> Encode() const override;
  std::unique_ptr<GossipData> Clone() const override { return std::make_unique<NameComparisonGossip>(*this); }

 private:
  const NameRegistry& registry_;
  std::int64_t timestamp_;
  absl::btree_set<NamePart> sums_;
  absl::btree_set<NamePart> wanted_;
};

}  // namespace weave
