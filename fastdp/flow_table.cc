#include "fastdp/flow_table.h"

#include <utility>

namespace weave {

FlowTable::Flow* FlowTable::Find(const FlowKey& key) { return const_cast<Flow*>(std::as_const(*this).Find(key)); }

const FlowTable::Flow* FlowTable::Find(const FlowKey& key) const {
  const auto flow = flows_.find(key);
  return flow == flows_.end() ? nullptr : &flow->second;
}

void FlowTable::Put(const FlowKey& key, Flow flow) {
  flows_.insert_or_assign(key, std::move(flow));
  by_mac_.emplace(key.source, key);
  by_mac_.emplace(key.destination, key);
}

void FlowTable::Erase(const FlowKey& key) {
  flows_.erase(key);
  by_mac_.erase({key.source, key});
  by_mac_.erase({key.destination, key});
}

void FlowTable::Clear() {
  flows_.clear();
  by_mac_.clear();
}

std::vector<FlowKey> FlowTable::KeysWith(const MacAddress& mac) const {
  std::vector<FlowKey> keys;
  for (auto it = by_mac_.lower_bound({mac, FlowKey()}); it != by_mac_.end() && it->first == mac; ++it)
    keys.push_back(it->second);
  return keys;
}

std::vector<FlowKey> FlowTable::Keys() const {
  std::vector<FlowKey> keys;
  keys.reserve(flows_.size());
  for (const auto& [key, flow] : flows_) keys.push_back(key);
  return keys;
}

}  // namespace weave
