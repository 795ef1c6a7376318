// Allocator: what is written, and what may be told once it is.
#include <utility>

#include "base/check.h"
#include "ipam/allocator.h"

namespace weave {

AllocatorOutput Allocator::TakeOutput() {
  // An address is worth as much as the ring that makes it ours. While that is on its way to the disk, or failed to get
  // there, it goes along once more: with answers, and with rows, for a start must find nothing in them that is
  // another's.
  if (!ownership_is_durable_ && (relies_on_ring_ || !changed_rows_.empty())) state_changed_ = true;
  const bool told_no_ring = told_ == nullptr || !told_->ring.has_value();
  if (!ring_updates_.empty() && told_no_ring) state_changed_ = true;
  // A promise, a vote or a decision may not be told before it is on disk, nor may what was said before be said again.
  if (council_.TakeChanged() || (council_.HasSends() && !StateIsDurable())) state_changed_ = true;
  if (!ring_.empty() && (state_changed_ || broadcast_)) {
    report_is_stale_ = false;
    if (ring_.ReportFree(config_.self, space_)) state_changed_ = true;
  }

  ChangeStaleRowsAlong();
  const bool writes_state = std::exchange(state_changed_, false);
  std::vector<std::string> keys;
  if (writes_state) RecordState(keys);
  for (const std::string& ident : std::exchange(changed_rows_, {})) {
    const AllocationRecord* record = holdings_.Find(ident);
    keys.push_back(AllocationKey(ident));
    output_.persist.push_back({keys.back(), record == nullptr ? std::nullopt : std::optional<IpamRecord>(*record)});
  }
  if (!keys.empty()) {
    output_.telling.sequence = writes_.Begin(std::move(keys), std::exchange(fresh_, {}));
    if (writes_state && ownership_since_ == 0) ownership_since_ = output_.telling.sequence;
  }
  CHECK(fresh_.empty());

  if (writes_state || StateIsDurable()) {  // what failed before is told with it
    broadcast_ = std::exchange(owed_broadcast_, false) || broadcast_;
    ring_updates_.merge(owed_ring_updates_);
    owed_ring_updates_.clear();
  }
  Council::Sends council = council_.TakeSends();
  ring_updates_.insert(council.rings.begin(), council.rings.end());
  for (const PeerName peer : std::exchange(ring_updates_, {})) {
    const IpamState& state = output_.telling.state != nullptr ? *output_.telling.state : *told_;
    CHECK(state.ring.has_value());
    output_.telling.unicasts.push_back({peer, EncodeRingUpdate(state, config_.self)});
  }
  output_.telling.broadcast = std::exchange(broadcast_, false);
  output_.telling.council = std::move(council.messages);
  relies_on_ring_ = false;
  return std::exchange(output_, {});
}

// A row that names an address goes with those that may still name it as another's.
void Allocator::ChangeStaleRowsAlong() {
  std::vector<std::string> unseen(changed_rows_.begin(), changed_rows_.end());
  while (!unseen.empty()) {
    const std::string ident = std::move(unseen.back());
    unseen.pop_back();
    for (const Cidr& cidr : holdings_.Lookup(ident, std::nullopt))
      for (std::string& other : stale_rows_.IdentsOf(cidr.address()))
        if (changed_rows_.insert(other).second) unseen.push_back(std::move(other));
  }
}

void Allocator::RecordState(std::vector<std::string>& keys) {
  const auto write = [&](std::string key, std::optional<IpamRecord> record) {
    keys.push_back(key);
    output_.persist.push_back({std::move(key), std::move(record)});
  };
  if (!ring_.empty()) {
    written_ring_ = ComposeRingRecord();
    write(RingKey(), *written_ring_);
    if (std::exchange(written_paxos_, std::nullopt).has_value() || !writes_.IsDurable(PaxosKey()))
      write(PaxosKey(), std::nullopt);
  } else {
    if (!writes_.IsDurable(RingKey())) write(RingKey(), std::nullopt);
    if (paxos_.has_value() && IsElector() && !paxos_->claims().empty()) {
      written_paxos_ = PaxosRecord{paxos_->self(), paxos_->claims()};
      write(PaxosKey(), *written_paxos_);
    } else if (!writes_.IsDurable(PaxosKey())) {
      write(PaxosKey(), written_paxos_.has_value() ? std::optional<IpamRecord>(*written_paxos_) : std::nullopt);
    }
  }
  output_.telling.state = ComposeState();
  if (council_.started()) output_.telling.council_digest = ComposeDigest();
}

std::shared_ptr<const IpamState> Allocator::ComposeState() const {
  IpamState state;
  state.now = absl::ToUnixSeconds(now_.wall);
  state.nicknames = nicknames_;
  if (!ring_.empty())
    state.ring = ring_;
  else if (IsElector())
    state.paxos = paxos_->claims();
  return std::make_shared<const IpamState>(std::move(state));
}

std::shared_ptr<const Bytes> Allocator::ComposeDigest() const {
  return std::make_shared<const Bytes>(EncodeCouncilMessage({council_.network(), council_.Digest()}));
}

RingRecord Allocator::ComposeRingRecord() const {
  return {config_.self, universe_, ring_.entries(), ring_.seeds(), OwnersNicknames(), council_.Memory()};
}

absl::btree_map<PeerName, std::string> Allocator::OwnersNicknames() const {
  absl::btree_map<PeerName, std::string> nicknames;
  for (const PeerName owner : ring_.Owners())
    if (const auto known = nicknames_.find(owner); known != nicknames_.end()) nicknames.insert(*known);
  return nicknames;
}

void Allocator::OnDurable(const IpamTelling& telling) {
  if (telling.state != nullptr) told_ = telling.state;
  if (telling.council_digest != nullptr) told_digest_ = telling.council_digest;
  if (telling.sequence == 0) return;
  if (telling.state != nullptr && ownership_since_ != 0 && telling.sequence >= ownership_since_)
    ownership_is_durable_ = true;
  for (const std::string& key : writes_.Succeed(telling.sequence))
    if (const std::optional<std::string> ident = IdentOfKey(key)) FreeBehind(*ident);
  Settle();
}

void Allocator::OnPersistFailed(Now now, const AllocatorOutput& dropped) {
  now_ = now;
  owed_broadcast_ = owed_broadcast_ || dropped.telling.broadcast;
  // Requests for space and denials are not owed: who waits asks again.
  for (const IpamSend& send : dropped.telling.unicasts)
    if (send.payload[0] == static_cast<std::uint8_t>(IpamUnicastKind::kRingUpdate)) owed_ring_updates_.insert(send.to);
  if (dropped.telling.sequence == 0) return;
  for (const PendingWrites::Fresh& lost : writes_.Fail(dropped.telling.sequence)) {
    if (holdings_.HolderOf(lost.address) != lost.ident) continue;
    Release(lost.ident, lost.address);
    // Not at once: the disk has just failed.
    changed_rows_.erase(lost.ident);
    writes_.MarkUnsaved(AllocationKey(lost.ident));
  }
  Settle();
}

void Allocator::Resave(Now now) {
  now_ = now;
  for (const std::string& key : writes_.unsaved()) {
    if (const std::optional<std::string> ident = IdentOfKey(key))
      ChangeRow(*ident);
    else
      state_changed_ = true;
  }
  Settle();
}

absl::btree_map<std::string, IpamRecord> Allocator::Records() const {
  absl::btree_map<std::string, IpamRecord> records;
  if (!ring_.empty() && written_ring_.has_value()) records.emplace(RingKey(), *written_ring_);
  if (ring_.empty() && written_paxos_.has_value()) records.emplace(PaxosKey(), *written_paxos_);
  for (const auto& [ident, record] : holdings_.all()) records.emplace(AllocationKey(ident), record);
  return records;
}

}  // namespace weave
