// The flows that we have given to the kernel, found by what they match and by the MAC addresses in it.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/mac.h"
#include "base/time.h"
#include "fastdp/flow.h"

namespace weave {

class FlowTable {
 public:
  struct Flow {
    FlowActions actions;
    MonotonicTime made_at;
    // Nothing speaks for the flow now, and nothing better is known: it stays until then.
    std::optional<MonotonicTime> lingers_until;
  };
  using Map = absl::btree_map<FlowKey, Flow>;

  // In order of keys.
  const Map& flows() const { return flows_; }
  std::size_t size() const { return flows_.size(); }
  // Null: there is none. Valid until the next change of the table.
  Flow* Find(const FlowKey& key);
  const Flow* Find(const FlowKey& key) const;

  // A new one, or in the place of one with this key.
  void Put(const FlowKey& key, Flow flow);
  void Erase(const FlowKey& key);
  void Clear();

  // Of the flows from or to this address.
  std::vector<FlowKey> KeysWith(const MacAddress& mac) const;
  std::vector<FlowKey> Keys() const;

 private:
  Map flows_;
  absl::btree_set<std::pair<MacAddress, FlowKey>> by_mac_;
};

}  // namespace weave
