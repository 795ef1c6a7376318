// The replicated registry of names: who in the network has which address under which name (spec/dns.md sections 1 to
// 3). One peer alone changes an entry, the one that made it; a deleted entry stays as a tombstone until everyone has
// heard.
//
// Looking a name or an address up costs what the answer has, however many entries there are. Nothing here waits, and no
// event is made: what is to be told and what is to be recorded is taken by PeerCore at the end of each of its events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/gossiper.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "dns/name_entry.h"
#include "dns/name_gossip.h"
#include "dns/name_index.h"
#include "dns/name_messages.h"

namespace weave {

// A clock that differs from ours by more makes what its peer says about times worthless (spec/dns.md section 2).
inline constexpr Duration kMaxClockSkew = absl::Minutes(15);

// How long a deleted entry is remembered, and how often forgetting is thought of.
inline constexpr Duration kTombstoneLife = absl::Minutes(30);

// Entries of a peer we do not know yet wait as long for its record, which may be on its way.
inline constexpr Duration kStrangerLife = absl::Seconds(60);

// More than a network has by far: a peer that tells more is not believed.
inline constexpr std::size_t kMaxNameCount = 1'000'000;
inline constexpr std::size_t kMaxStrangerCount = 65'536;

// Where one of two peers has no more of a part of the names, both tell what they have of it without looking closer.
inline constexpr std::uint32_t kFewNames = 16;

// Of so many peers at most it is remembered what they said of the time.
inline constexpr std::size_t kMaxClockReadingCount = 4096;

// What a peer's last message of names said of the time.
struct ClockReading {
  std::int64_t ahead_seconds = 0;  // of our clock; negative: behind it
  MonotonicTime heard_at;
};

// What the registry may know of the topology.
class KnownPeers {
 public:
  virtual ~KnownPeers() = default;
  virtual bool IsKnown(PeerName peer) const = 0;
};

// Which of our own entries; what is absent matches all. Spelling counts in `hostname`, which is fully qualified.
struct NameFilter {
  std::optional<std::string> container;
  std::optional<std::uint32_t> address;
  std::optional<std::string> hostname;
};

// A name as names are compared and looked up: ASCII letters in lower case.
std::string FoldName(absl::string_view name);

// With the final dot. Empty stays empty.
std::string FullyQualified(absl::string_view name);

// `name`, fully qualified, is `domain` or below it, whatever the case.
bool IsWithin(absl::string_view name, absl::string_view domain);

// InvalidArgument for what no query could ask for: an empty label, one of more than 63 bytes, more than 253 in all.
absl::Status CheckHostname(absl::string_view hostname);

class NameRegistry final : public ComparingGossiper {
 public:
  // `domain` is fully qualified. References outlive the registry.
  NameRegistry(PeerName self, std::string domain, const KnownPeers& peers, Logger& logger,
               Duration tombstone_life = kTombstoneLife);
  NameRegistry(const NameRegistry&) = delete;
  NameRegistry& operator=(const NameRegistry&) = delete;

  // ---- our own entries ----

  // `hostname` is made fully qualified. False, and nothing done, for one that is not below the domain. What is there
  // already is told once more.
  bool Add(absl::string_view container, std::uint32_t address, absl::string_view hostname);
  // Deletes those that match and are alive; how many.
  std::size_t Remove(Now now, const NameFilter& filter);
  // An entry of the last run, with the version it had.
  void Restore(const NameEntry& entry);
  // Alive, in order of container, name and address.
  std::vector<NameEntryPtr> OwnEntries() const;
  // The containers of those that name `address`, each once, in order.
  std::vector<std::string> OwnHoldersOf(std::uint32_t address) const;
  // What other peers' containers have registered for `address`, alive.
  std::vector<NameEntryPtr> OthersEntriesOf(std::uint32_t address) const;
  std::size_t own_count() const { return own_.size(); }

  // ---- the channel ----

  absl::Status OnUnicast(Now now, PeerName source, ByteView payload) override;
  absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now now, PeerName source, ByteView payload) override;
  absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now now, PeerName sender, ByteView payload) override;
  std::unique_ptr<GossipData> FullState(Now now) override;

  // ---- comparing with a neighbour that can (dns/name_comparison.h) ----

  std::unique_ptr<GossipData> Digest(Now now, PeerName neighbour) override;
  // What it deleted in an earlier life: else it would add names in versions that nobody takes.
  std::unique_ptr<GossipData> Greeting(Now now, PeerName neighbour) override;
  absl::StatusOr<Answer> OnComparison(Now now, PeerName neighbour, ByteView payload) override;
  NameSum SumOf(NamePart part) const { return index_.SumOf(part); }
  // Tombstones included, in no order that matters.
  std::vector<NameEntryPtr> EntriesIn(NamePart part) const;

  // Peers came or went: the entries of those that are gone go, and entries that waited for their peer's record come in.
  void OnTopologyChange(Now now);

  void OnTimer(Now now);
  std::optional<MonotonicTime> NextDeadline() const;

  // ---- what PeerCore takes ----

  // Our entries that changed, to be broadcast; null: none.
  std::unique_ptr<NameGossip> TakeBroadcast(Now now);
  // Our entries that came, changed or went since the last call, for the disk.
  std::vector<NameEntryPtr> TakeOwnChanges() { return std::exchange(own_changes_, {}); }

  // ---- reading ----

  const std::string& domain() const { return domain_; }

  // The addresses of a folded name, of all peers, perhaps one twice. Empty: the name is unknown. Valid until the next
  // change.
  absl::Span<const std::uint32_t> Lookup(absl::string_view folded_name) const {
    return index_.AddressesOf(folded_name);
  }
  // The first name of an address, in order of folded name, origin and container; null: none.
  const NameEntry* ReverseLookup(std::uint32_t address) const;

  // Of each peer that told names lately, also of one whose clock was too far away to be believed.
  const absl::btree_map<PeerName, ClockReading>& clock_readings() const { return clock_readings_; }

  // Every entry, tombstones included, in order of identity.
  std::vector<NameEntryPtr> Everything() const;
  // The same as 2.8 lists them: by folded name, origin, container and address.
  std::vector<NameEntryPtr> Listing() const;
  std::size_t size() const { return size_; }
  // Changes whenever an entry does.
  std::uint64_t generation() const { return generation_; }

  // What must hold between any two calls; for tests.
  absl::Status CheckInvariants() const;

 private:
  // By address, then as 2.8 would find them.
  struct AddressLess {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): as the standard calls it
    bool operator()(const NameEntryPtr& a, const NameEntryPtr& b) const;
    bool operator()(const NameEntryPtr& a, std::uint32_t b) const { return a->address < b; }
    bool operator()(std::uint32_t a, const NameEntryPtr& b) const { return a < b->address; }
  };

  struct OriginLess {
    bool operator()(const NameEntryPtr& a, const NameEntryPtr& b) const {
      return a->origin != b->origin ? a->origin < b->origin : IdentityOf(*a) < IdentityOf(*b);
    }
  };
  using OwnKey = std::tuple<std::string, std::string, std::uint32_t>;  // container, hostname, address

  absl::Status CheckClock(Now now, PeerName peer, std::int64_t timestamp);
  void NoteClock(Now now, PeerName peer, std::int64_t ahead_seconds);
  absl::StatusOr<NameMessage> Read(Now now, PeerName composer, ByteView payload);
  // Null: there is none of that identity.
  NameEntryPtr Find(const NameEntry& identity) const;
  // Made where there is none.
  NameBucket& BucketOf(absl::string_view folded);
  // Takes the place of what has its identity. False: there is no room.
  bool Put(NameEntryPtr entry);
  // `entry` has come into `bucket` or leaves it.
  void CountOf(const NameBucket& bucket, const NameEntryPtr& entry, bool in);
  bool IsForgotten(const NameEntry& entry, Now now) const;
  template <typename Predicate>
  void EraseIf(Predicate drop);
  // Puts an entry of our own and has it told.
  NameEntryPtr ChangeOwn(NameEntry entry);
  // One entry of a message: what of it is passed on, null for nothing, and whether it was news to us.
  NameEntryPtr Merge(Now now, const NameEntryView& told, bool& news);
  NameEntryPtr MergeOwn(Now now, const NameEntry& told, const NameEntryPtr& ours);
  bool WaitsFor(Now now, PeerName neighbour) const;
  void KeepForLater(Now now, NameEntry entry);
  void ForgetStrangers(Now now);
  void ForgetTombstones(Now now);
  void SchedulePurge(Now now);

  const PeerName self_;
  const std::string domain_;
  const KnownPeers& peers_;
  Logger& logger_;
  const Duration tombstone_life_;

  absl::btree_map<absl::string_view, std::unique_ptr<NameBucket>> buckets_;  // by folded name, which the bucket holds
  NameIndex index_;                                                          // the same
  absl::btree_set<NameEntryPtr, AddressLess> by_address_;                    // alive ones
  absl::btree_set<OwnKey> own_;                                              // alive ones
  absl::btree_set<NameEntryPtr, OriginLess> tombstones_;
  absl::btree_map<PeerName, std::size_t> origins_;  // how many entries each has here
  std::size_t size_ = 0;
  std::uint64_t generation_ = 0;
  bool said_full_ = false;  // that there is no room

  struct Stranger {
    MonotonicTime until;
    std::vector<NameEntryPtr> entries;
  };
  absl::btree_map<PeerName, Stranger> strangers_;
  std::size_t stranger_count_ = 0;  // entries

  absl::btree_map<PeerName, MonotonicTime> digests_;  // when those were sent that the neighbour is to answer

  absl::btree_map<PeerName, ClockReading> clock_readings_;

  std::vector<NameEntryPtr> to_broadcast_;
  std::vector<NameEntryPtr> own_changes_;
  std::optional<MonotonicTime> purge_at_;
};

}  // namespace weave
