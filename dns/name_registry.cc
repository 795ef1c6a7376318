#include "dns/name_registry.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/ip.h"
#include "base/status.h"
#include "dns/name_comparison.h"

namespace weave {
namespace {

constexpr std::size_t kMaxHostLabelSize = 63;  // RFC 1035 section 2.3.4
constexpr std::size_t kMaxHostnameSize = 254;  // with the final dot: 255 bytes on the wire

// As long may a neighbour take for what follows a digest.
constexpr Duration kDigestPause = absl::Seconds(5);

NameEntryPtr Share(NameEntry entry) { return std::make_shared<const NameEntry>(std::move(entry)); }

NameEntry Deleted(const NameEntry& entry, Now now) {
  NameEntry deleted = entry;
  deleted.tombstone = std::max<std::int64_t>(absl::ToUnixSeconds(now.wall), 1);  // 0 means alive, whatever the clock
  ++deleted.version;
  return deleted;
}

}  // namespace

std::string FoldName(absl::string_view name) { return absl::AsciiStrToLower(name); }

std::string FullyQualified(absl::string_view name) {
  return name.empty() || absl::EndsWith(name, ".") ? std::string(name) : absl::StrCat(name, ".");
}

bool IsWithin(absl::string_view name, absl::string_view domain) {
  if (!absl::EndsWithIgnoreCase(name, domain)) return false;
  return name.size() == domain.size() || domain == "." || name[name.size() - domain.size() - 1] == '.';
}

absl::Status CheckHostname(absl::string_view hostname) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("hostname \"", hostname.substr(0, kMaxHostnameSize), "\" ", why));
  };
  if (hostname.empty()) return absl::OkStatus();
  const std::string full = FullyQualified(hostname);
  if (full.size() > kMaxHostnameSize) return bad("is too long: want at most 253 characters");
  for (const absl::string_view label : absl::StrSplit(absl::string_view(full).substr(0, full.size() - 1), '.')) {
    if (label.empty()) return bad("has an empty part: want parts of 1 to 63 characters between dots");
    if (label.size() > kMaxHostLabelSize) return bad("has a part of more than 63 characters");
  }
  const auto unprintable = [](char c) { return !absl::ascii_isgraph(static_cast<unsigned char>(c)); };
  if (std::any_of(full.begin(), full.end(), unprintable)) return bad("has characters that no host name has");
  return absl::OkStatus();
}

bool NameRegistry::AddressLess::operator()(const NameEntryPtr& a, const NameEntryPtr& b) const {
  if (a->address != b->address) return a->address < b->address;
  if (a == b) return false;
  const std::string folded_a = FoldName(a->hostname);
  const std::string folded_b = FoldName(b->hostname);
  return std::tie(folded_a, a->origin, a->container, a->hostname) <
         std::tie(folded_b, b->origin, b->container, b->hostname);
}

NameRegistry::NameRegistry(PeerName self, std::string domain, const KnownPeers& peers, Logger& logger,
                           Duration tombstone_life)
    : self_(self), domain_(std::move(domain)), peers_(peers), logger_(logger), tombstone_life_(tombstone_life) {}

// ---- our own entries ----

bool NameRegistry::Add(absl::string_view container, std::uint32_t address, absl::string_view hostname) {
  NameEntry entry{std::string(container), self_, address, FullyQualified(hostname), 0, 0};
  if (entry.hostname.empty() || !IsWithin(entry.hostname, domain_)) return false;
  if (const NameEntryPtr known = Find(entry)) {
    if (known->alive()) {
      to_broadcast_.push_back(known);
      return true;
    }
    entry.version = known->version + 1;
  }
  ChangeOwn(std::move(entry));
  return true;
}

std::size_t NameRegistry::Remove(Now now, const NameFilter& filter) {
  std::vector<NameEntryPtr> matching;
  auto own = filter.container.has_value() ? own_.lower_bound(OwnKey{*filter.container, "", 0}) : own_.begin();
  for (; own != own_.end(); ++own) {
    const auto& [container, hostname, address] = *own;
    if (filter.container.has_value() && container != *filter.container) break;
    if (filter.hostname.has_value() && hostname != *filter.hostname) continue;
    if (filter.address.has_value() && address != *filter.address) continue;
    matching.push_back(Find({container, self_, address, hostname, 0, 0}));
  }
  for (const NameEntryPtr& entry : matching) ChangeOwn(Deleted(*entry, now));
  SchedulePurge(now);
  return matching.size();
}

void NameRegistry::Restore(const NameEntry& entry) {
  NameEntry own = entry;
  own.origin = self_;
  own.tombstone = 0;
  if (!IsWithin(own.hostname, domain_)) return;  // the domain is another one today
  NameEntryPtr shared = Share(std::move(own));
  if (Put(shared)) to_broadcast_.push_back(std::move(shared));
}

std::vector<NameEntryPtr> NameRegistry::OwnEntries() const {
  std::vector<NameEntryPtr> entries;
  entries.reserve(own_.size());
  for (const auto& [container, hostname, address] : own_)
    entries.push_back(Find({container, self_, address, hostname, 0, 0}));
  return entries;
}

std::vector<std::string> NameRegistry::OwnHoldersOf(std::uint32_t address) const {
  absl::btree_set<std::string> holders;
  for (auto entry = by_address_.lower_bound(address); entry != by_address_.end() && (*entry)->address == address;
       ++entry)
    if ((*entry)->origin == self_) holders.insert((*entry)->container);
  return {holders.begin(), holders.end()};
}

std::vector<NameEntryPtr> NameRegistry::OthersEntriesOf(std::uint32_t address) const {
  std::vector<NameEntryPtr> entries;
  for (auto entry = by_address_.lower_bound(address); entry != by_address_.end() && (*entry)->address == address;
       ++entry)
    if ((*entry)->origin != self_) entries.push_back(*entry);
  return entries;
}

NameEntryPtr NameRegistry::ChangeOwn(NameEntry entry) {
  NameEntryPtr shared = Share(std::move(entry));
  if (!Put(shared)) return nullptr;
  to_broadcast_.push_back(shared);
  own_changes_.push_back(shared);
  return shared;
}

// ---- the channel ----

// No peer sends one.
absl::Status NameRegistry::OnUnicast(Now now, PeerName source, ByteView payload) {
  return Read(now, source, payload).status();
}

absl::StatusOr<NameMessage> NameRegistry::Read(Now now, PeerName composer, ByteView payload) {
  ASSIGN_OR_RETURN(NameMessage message, DecodeNames(payload));
  RETURN_IF_ERROR(CheckClock(now, composer, message.timestamp));
  return message;
}

void NameRegistry::NoteClock(Now now, PeerName peer, std::int64_t ahead_seconds) {
  // Whoever speaks for peers that there are not fills the table, but no more.
  if (clock_readings_.size() >= kMaxClockReadingCount && !clock_readings_.contains(peer)) {
    const auto older = [](const auto& a, const auto& b) { return a.second.heard_at < b.second.heard_at; };
    clock_readings_.erase(std::min_element(clock_readings_.begin(), clock_readings_.end(), older));
  }
  clock_readings_[peer] = {ahead_seconds, now.monotonic};
}

absl::Status NameRegistry::CheckClock(Now now, PeerName peer, std::int64_t timestamp) {
  const std::int64_t ours = absl::ToUnixSeconds(now.wall);
  const std::int64_t limit = absl::ToInt64Seconds(kMaxClockSkew);
  const bool ahead = timestamp > ours;
  // Without overflow, whatever was said.
  const std::uint64_t skew = ahead ? static_cast<std::uint64_t>(timestamp) - static_cast<std::uint64_t>(ours)
                                   : static_cast<std::uint64_t>(ours) - static_cast<std::uint64_t>(timestamp);
  const auto bounded =
      static_cast<std::int64_t>(std::min(skew, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
  NoteClock(now, peer, ahead ? bounded : -bounded);
  if (skew <= static_cast<std::uint64_t>(limit)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the clock of peer ", peer.ToString(), " is ", skew, " s ",
                                                 ahead ? "ahead of" : "behind",
                                                 " ours: names need clocks that differ by at most ", limit, " s"));
}

absl::StatusOr<std::unique_ptr<GossipData>> NameRegistry::OnBroadcast(Now now, PeerName source, ByteView payload) {
  ASSIGN_OR_RETURN(const NameMessage message, Read(now, source, payload));
  auto onwards = std::make_unique<NameGossip>(message.timestamp);
  for (const NameEntryView& told : message.entries) {
    bool news = false;
    if (NameEntryPtr entry = Merge(now, told, news)) onwards->Add(std::move(entry));
  }
  SchedulePurge(now);
  return onwards;
}

absl::StatusOr<std::unique_ptr<GossipData>> NameRegistry::OnGossip(Now now, PeerName sender, ByteView payload) {
  ASSIGN_OR_RETURN(const NameMessage message, Read(now, sender, payload));
  auto delta = std::make_unique<NameGossip>(absl::ToUnixSeconds(now.wall));
  for (const NameEntryView& told : message.entries) {
    bool news = false;
    NameEntryPtr entry = Merge(now, told, news);
    if (news) delta->Add(std::move(entry));
  }
  SchedulePurge(now);
  if (delta->empty()) return nullptr;
  return delta;
}

std::unique_ptr<GossipData> NameRegistry::FullState(Now now) {
  return std::make_unique<NameGossip>(*this, kAllNames, absl::ToUnixSeconds(now.wall));
}

// ---- comparing ----

std::unique_ptr<GossipData> NameRegistry::Digest(Now now, PeerName neighbour) {
  for (auto sent = digests_.begin(); sent != digests_.end();)
    sent = now.monotonic - sent->second < kDigestPause ? std::next(sent) : digests_.erase(sent);
  digests_[neighbour] = now.monotonic;
  auto digest = std::make_unique<NameComparisonGossip>(*this, absl::ToUnixSeconds(now.wall));
  digest->TellSum(kAllNames);
  return digest;
}

std::unique_ptr<GossipData> NameRegistry::Greeting(Now now, PeerName neighbour) {
  auto greeting = std::make_unique<NameGossip>(absl::ToUnixSeconds(now.wall));
  const NameEntry first{.container = "", .origin = neighbour, .hostname = ""};
  const NameEntryPtr key(std::shared_ptr<void>(), &first);  // owns nothing
  for (auto dead = tombstones_.lower_bound(key); dead != tombstones_.end() && (*dead)->origin == neighbour; ++dead)
    greeting->Add(*dead);
  if (greeting->empty()) return nullptr;
  return greeting;
}

absl::StatusOr<ComparingGossiper::Answer> NameRegistry::OnComparison(Now now, PeerName neighbour, ByteView payload) {
  ASSIGN_OR_RETURN(const NameComparison theirs, DecodeNameComparison(payload));
  RETURN_IF_ERROR(CheckClock(now, neighbour, theirs.timestamp));
  const std::int64_t timestamp = absl::ToUnixSeconds(now.wall);
  auto comparison = std::make_unique<NameComparisonGossip>(*this, timestamp);
  auto state = std::make_unique<NameGossip>(timestamp);
  const auto tell = [&](NamePart part) { state->Merge(NameGossip(*this, part, timestamp)); };
  for (const NamePart part : theirs.wanted) tell(part);
  for (const auto& [part, sum] : theirs.sums) {
    const NameSum ours = SumOf(part);
    if (ours == sum) continue;
    if (part == kAllNames && self_ < neighbour) {
      // The other end looks closer: of two digests that cross, one shall have consequences.
      if (!WaitsFor(now, neighbour)) comparison->Merge(*Digest(now, neighbour));
    } else if (IsLeaf(part) || std::min(ours.count, sum.count) <= kFewNames) {
      tell(part);
      comparison->Want(part);
    } else {
      for (NamePart i = 0; i < kPartFanOut; ++i) comparison->TellSum(part * kPartFanOut + i);
    }
  }
  Answer answer;
  if (!comparison->empty()) answer.comparison = std::move(comparison);
  if (!state->empty()) answer.state = std::move(state);
  return answer;
}

// A digest of ours is on its way there, or what it brought about.
bool NameRegistry::WaitsFor(Now now, PeerName neighbour) const {
  const auto sent = digests_.find(neighbour);
  return sent != digests_.end() && now.monotonic - sent->second < kDigestPause;
}

std::vector<NameEntryPtr> NameRegistry::EntriesIn(NamePart part) const {
  std::vector<NameEntryPtr> entries;
  index_.ForEachIn(part, [&](const NameBucket& bucket) {
    entries.insert(entries.end(), bucket.entries.begin(), bucket.entries.end());
  });
  return entries;
}

NameEntryPtr NameRegistry::Merge(Now now, const NameEntryView& told, bool& news) {
  NameEntry entry = told.ToEntry();
  const NameEntryPtr known = Find(entry);
  // Ours alone can say what we have. (Of what is deleted and forgotten here there is nothing to say.)
  if (entry.origin == self_ && (known != nullptr || entry.alive())) return MergeOwn(now, entry, known);
  if (entry.origin != self_ && !peers_.IsKnown(entry.origin)) {
    KeepForLater(now, std::move(entry));
    return nullptr;
  }
  NameEntryPtr shared = Share(std::move(entry));
  // Peers forget at different times: who took it up again would tell those who have forgotten, for ever.
  if (known == nullptr && IsForgotten(*shared, now)) return shared;
  news = (known == nullptr || IsNewer(*shared, *known)) && Put(shared);
  return shared;
}

// What an earlier life of ours left behind is deleted; of what is here we know best.
NameEntryPtr NameRegistry::MergeOwn(Now now, const NameEntry& told, const NameEntryPtr& ours) {
  if (told.version == std::numeric_limits<std::int64_t>::max()) return nullptr;  // nothing could outdo it
  if (ours == nullptr) {
    NameEntryPtr deleted = Share(Deleted(told, now));
    if (Put(deleted)) to_broadcast_.push_back(deleted);
    return deleted;
  }
  const bool differs = told.version == ours->version && told.tombstone != ours->tombstone;
  if (told.version <= ours->version && !differs) return ours;
  NameEntry winner = *ours;
  winner.version = told.version + 1;
  return ChangeOwn(std::move(winner));
}

// The record of its peer may be on the way: neighbours that compare topologies send it after the names.
void NameRegistry::KeepForLater(Now now, NameEntry entry) {
  if (!entry.origin.known() || stranger_count_ >= kMaxStrangerCount) return;
  Stranger& stranger = strangers_[entry.origin];
  stranger.until = now.monotonic + kStrangerLife;
  stranger.entries.push_back(Share(std::move(entry)));
  ++stranger_count_;
}

void NameRegistry::OnTopologyChange(Now now) {
  std::vector<PeerName> gone;
  for (const auto& [origin, count] : origins_)
    if (origin != self_ && !peers_.IsKnown(origin)) gone.push_back(origin);
  if (!gone.empty())
    EraseIf([&](const NameEntry& entry) { return std::binary_search(gone.begin(), gone.end(), entry.origin); });
  for (auto stranger = strangers_.begin(); stranger != strangers_.end();) {
    if (!peers_.IsKnown(stranger->first)) {
      ++stranger;
      continue;
    }
    for (const NameEntryPtr& entry : stranger->second.entries)
      if (const NameEntryPtr known = Find(*entry); known == nullptr || IsNewer(*entry, *known)) Put(entry);
    stranger_count_ -= stranger->second.entries.size();
    stranger = strangers_.erase(stranger);
  }
  ForgetStrangers(now);
  SchedulePurge(now);
}

void NameRegistry::ForgetStrangers(Now now) {
  for (auto stranger = strangers_.begin(); stranger != strangers_.end();) {
    if (now.monotonic < stranger->second.until) {
      ++stranger;
      continue;
    }
    stranger_count_ -= stranger->second.entries.size();
    stranger = strangers_.erase(stranger);
  }
}

void NameRegistry::OnTimer(Now now) {
  ForgetStrangers(now);
  ForgetTombstones(now);
}

void NameRegistry::ForgetTombstones(Now now) {
  if (!purge_at_.has_value() || now.monotonic < *purge_at_) return;
  EraseIf([&](const NameEntry& entry) { return IsForgotten(entry, now); });
  purge_at_.reset();
  SchedulePurge(now);
}

// Deleted so long ago that everyone has heard.
bool NameRegistry::IsForgotten(const NameEntry& entry, Now now) const {
  return !entry.alive() && entry.tombstone < absl::ToUnixSeconds(now.wall - tombstone_life_);
}

void NameRegistry::SchedulePurge(Now now) {
  if (!tombstones_.empty() && !purge_at_.has_value()) purge_at_ = now.monotonic + tombstone_life_;
}

std::optional<MonotonicTime> NameRegistry::NextDeadline() const {
  std::optional<MonotonicTime> deadline = purge_at_;
  for (const auto& [origin, stranger] : strangers_) BringForward(deadline, stranger.until);
  return deadline;
}

std::unique_ptr<NameGossip> NameRegistry::TakeBroadcast(Now now) {
  if (to_broadcast_.empty()) return nullptr;
  auto gossip = std::make_unique<NameGossip>(absl::ToUnixSeconds(now.wall));
  for (NameEntryPtr& entry : std::exchange(to_broadcast_, {})) gossip->Add(std::move(entry));
  return gossip;
}

// ---- the tables ----

NameEntryPtr NameRegistry::Find(const NameEntry& identity) const {
  const NameBucket* bucket = index_.Find(FoldName(identity.hostname));
  if (bucket == nullptr) return nullptr;
  const NameEntryPtr key(std::shared_ptr<void>(), &identity);  // owns nothing
  const auto found = bucket->entries.find(key);
  return found == bucket->entries.end() ? nullptr : *found;
}

void NameRegistry::CountOf(const NameBucket& bucket, const NameEntryPtr& entry, bool in) {
  const auto put = [in](auto& set, auto value) { in ? (void)set.insert(std::move(value)) : (void)set.erase(value); };
  std::size_t& of_origin = origins_[entry->origin];
  of_origin += in ? 1 : -1;
  if (of_origin == 0) origins_.erase(entry->origin);
  size_ += in ? 1 : -1;
  ++generation_;
  if (!entry->alive()) return put(tombstones_, entry);
  index_.Count(bucket, *entry, in);
  put(by_address_, entry);
  if (entry->origin == self_) put(own_, OwnKey{entry->container, entry->hostname, entry->address});
}

NameBucket& NameRegistry::BucketOf(absl::string_view folded) {
  if (NameBucket* bucket = index_.Find(folded)) return *bucket;
  auto made = std::make_unique<NameBucket>();
  NameBucket& bucket = *made;
  bucket.hash = HashOfName(folded);
  bucket.name = std::string(folded);
  index_.Insert(bucket);
  buckets_.emplace(bucket.name, std::move(made));
  return bucket;
}

bool NameRegistry::Put(NameEntryPtr entry) {
  if (size_ >= kMaxNameCount && Find(*entry) == nullptr) {
    if (!std::exchange(said_full_, true))
      logger_.Error("there are too many names in the network: some are not known here", {{"count", size_}});
    return false;
  }
  NameBucket& bucket = BucketOf(FoldName(entry->hostname));
  if (const auto former = bucket.entries.find(entry); former != bucket.entries.end()) {
    CountOf(bucket, *former, false);
    bucket.entries.erase(former);
  }
  CountOf(bucket, entry, true);
  bucket.entries.insert(std::move(entry));
  index_.OnChange(bucket);
  return true;
}

template <typename Predicate>
void NameRegistry::EraseIf(Predicate drop) {
  for (auto it = buckets_.begin(); it != buckets_.end();) {
    NameBucket& bucket = *it->second;
    const std::size_t former_count = bucket.entries.size();
    for (auto entry = bucket.entries.begin(); entry != bucket.entries.end();) {
      if (!drop(**entry)) {
        ++entry;
        continue;
      }
      CountOf(bucket, *entry, false);
      entry = bucket.entries.erase(entry);
    }
    if (bucket.entries.empty()) {
      index_.Erase(bucket);
      it = buckets_.erase(it);
      continue;
    }
    if (bucket.entries.size() != former_count) index_.OnChange(bucket);
    ++it;
  }
}

// ---- reading ----

const NameEntry* NameRegistry::ReverseLookup(std::uint32_t address) const {
  const auto first = by_address_.lower_bound(address);
  return first == by_address_.end() || (*first)->address != address ? nullptr : first->get();
}

std::vector<NameEntryPtr> NameRegistry::Listing() const {
  std::vector<NameEntryPtr> entries;
  entries.reserve(size_);
  for (const auto& [folded, bucket] : buckets_)
    entries.insert(entries.end(), bucket->entries.begin(), bucket->entries.end());
  return entries;
}

std::vector<NameEntryPtr> NameRegistry::Everything() const {
  std::vector<NameEntryPtr> entries = Listing();
  // Where nobody writes in upper case only spellings of one name need a look.
  if (!std::is_sorted(entries.begin(), entries.end(), NameIdentityLess()))
    std::sort(entries.begin(), entries.end(), NameIdentityLess());
  return entries;
}

absl::Status NameRegistry::CheckInvariants() const {
  std::size_t count = 0, alive = 0, tombstones = 0, own = 0;
  NameSum sum;
  for (const auto& [folded, bucket] : buckets_) {
    if (bucket->entries.empty() || index_.Find(folded) != bucket.get())
      return absl::InternalError(absl::StrCat("names: the bucket of ", folded, " is empty or not found"));
    for (const NameEntryPtr& entry : bucket->entries) {
      ++count;
      ++(entry->alive() ? alive : tombstones);
      if (entry->alive()) sum.fingerprints += FingerprintOf(*entry);
      own += entry->alive() && entry->origin == self_ ? 1 : 0;
      if (FoldName(entry->hostname) != folded) return absl::InternalError("names: an entry is in a wrong bucket");
    }
  }
  if (count != size_ || alive != by_address_.size() || tombstones != tombstones_.size() || own != own_.size() ||
      buckets_.size() != index_.size())
    return absl::InternalError(absl::StrCat("names: counts differ: ", count, " of ", size_, " entries, ", alive, " of ",
                                            by_address_.size(), " addresses, ", own, " of ", own_.size(), " own"));
  sum.count = static_cast<std::uint32_t>(alive);
  if (SumOf(kAllNames) != sum) return absl::InternalError("names: the sum is not that of the entries");
  return absl::OkStatus();
}

}  // namespace weave
