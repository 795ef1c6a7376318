#include "mesh/peer_record.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace weave {
namespace {

constexpr std::size_t kRecentCount = std::size_t{1} << 15;

void Canonicalise(PeerName owner, std::vector<ConnectionSummary>& connections) {
  const auto not_ascending = [](const ConnectionSummary& a, const ConnectionSummary& b) { return a.peer >= b.peer; };
  if (std::adjacent_find(connections.begin(), connections.end(), not_ascending) != connections.end()) {
    // Reversed, the last mention of a peer comes first, and unique() keeps the first of equals.
    std::reverse(connections.begin(), connections.end());
    std::stable_sort(connections.begin(), connections.end(),
                     [](const ConnectionSummary& a, const ConnectionSummary& b) { return a.peer < b.peer; });
    const auto same_peer = [](const ConnectionSummary& a, const ConnectionSummary& b) { return a.peer == b.peer; };
    connections.erase(std::unique(connections.begin(), connections.end(), same_peer), connections.end());
  }
  const auto meaningless = [owner](const ConnectionSummary& c) { return c.peer == owner || !c.peer.known(); };
  connections.erase(std::remove_if(connections.begin(), connections.end(), meaningless), connections.end());
}

}  // namespace

PeerRecord::PeerRecord(PeerSummary summary) : summary_(std::move(summary)) {
  Canonicalise(summary_.name, summary_.connections);
}

const EncodedSummary& PeerRecord::Encoded() const {
  if (encoded_ == nullptr) encoded_ = std::make_unique<const EncodedSummary>(EncodeSummary(summary_));
  return *encoded_;
}

PeerRecordPool::PeerRecordPool() : recent_(kRecentCount) {}

PeerRecordPtr PeerRecordPool::Share(PeerSummary summary) {
  auto record = std::make_shared<const PeerRecord>(std::move(summary));
  const PeerSummary& ours = record->summary();
  std::weak_ptr<const PeerRecord>& slot = records_[Key(ours.name, ours.version, ours.uid)];
  if (PeerRecordPtr known = slot.lock(); known != nullptr && known->summary() == ours) return known;
  slot = record;
  recent_[PlaceOf(record->Encoded().summary)] = record;
  if (records_.size() >= drop_at_) DropUnused();
  return record;
}

PeerRecordPtr PeerRecordPool::Find(ByteView summary, ByteView connections) const {
  PeerRecordPtr record = recent_[PlaceOf(summary)].lock();
  if (record == nullptr || ByteView(record->Encoded().summary) != summary ||
      ByteView(record->Encoded().connections) != connections)
    return nullptr;
  return record;
}

std::size_t PeerRecordPool::PlaceOf(ByteView summary) const {
  std::uint64_t hash = summary.size();
  for (const std::uint8_t byte : summary) hash = (hash ^ byte) * 0x100000001b3;  // FNV-1a
  return static_cast<std::size_t>(hash >> 32) % recent_.size();
}

void PeerRecordPool::DropUnused() {
  for (auto it = records_.begin(); it != records_.end();)
    it = it->second.expired() ? records_.erase(it) : std::next(it);
  drop_at_ = std::max<std::size_t>(1024, 2 * records_.size());
}

}  // namespace weave
