#include "ipam/pending_writes.h"

#include <utility>

#include "base/check.h"

namespace weave {

std::uint64_t PendingWrites::Begin(std::vector<std::string> keys, std::vector<Fresh> fresh) {
  ++last_;
  for (const std::string& key : keys) {
    under_way_[key] = last_;
    unsaved_.erase(key);
  }
  for (const Fresh& given : fresh) fresh_[given.address] = {given.ident, last_};
  writes_.emplace(last_, Write{std::move(keys), std::move(fresh)});
  return last_;
}

std::vector<std::string> PendingWrites::Succeed(std::uint64_t sequence) {
  const auto write = writes_.find(sequence);
  CHECK(write != writes_.end()) << "write " << sequence;
  std::vector<std::string> durable;
  for (const std::string& key : write->second.keys) {
    const auto latest = under_way_.find(key);
    if (latest == under_way_.end() || latest->second != sequence) continue;
    under_way_.erase(latest);
    if (!unsaved_.contains(key)) durable.push_back(key);
  }
  for (const Fresh& given : write->second.fresh) {
    const auto latest = fresh_.find(given.address);
    if (latest != fresh_.end() && latest->second.ident == given.ident) fresh_.erase(latest);
  }
  writes_.erase(write);
  return durable;
}

std::vector<PendingWrites::Fresh> PendingWrites::Fail(std::uint64_t sequence) {
  const auto write = writes_.find(sequence);
  CHECK(write != writes_.end()) << "write " << sequence;
  for (const std::string& key : write->second.keys) {
    const auto latest = under_way_.find(key);
    if (latest == under_way_.end() || latest->second != sequence) continue;
    under_way_.erase(latest);
    unsaved_.insert(key);
  }
  std::vector<Fresh> lost;
  for (const Fresh& given : write->second.fresh) {
    const auto latest = fresh_.find(given.address);
    if (latest == fresh_.end() || latest->second.sequence != sequence) continue;
    fresh_.erase(latest);
    lost.push_back(given);
  }
  writes_.erase(write);
  return lost;
}

}  // namespace weave
