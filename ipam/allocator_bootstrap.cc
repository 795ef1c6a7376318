// Allocator: how a ring comes to be, from the records of the last run, from seeds or by agreement (spec/ipam.md
// sections 5 and 10), and what every change of it brings.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "ipam/allocator.h"

namespace weave {

void Allocator::OnStart(Now now, const std::vector<IpamRecord>& records) {
  CHECK(!started_);
  started_ = true;
  now_ = now;
  // The ring decides what the other rows are worth.
  bool discard = false;
  for (const IpamRecord& record : records)
    if (const auto* ring = std::get_if<RingRecord>(&record)) discard = !RestoreRing(*ring);
  for (const IpamRecord& record : records) {
    if (const auto* paxos = std::get_if<PaxosRecord>(&record)) RestorePaxos(*paxos);
    const auto* allocation = std::get_if<AllocationRecord>(&record);
    if (allocation == nullptr) continue;
    RestoreAllocation(*allocation, discard);
  }
  if (!paxos_.has_value() && ring_.empty() && IsElector())
    paxos_.emplace(PaxosNodeId{config_.self, config_.uid}, Quorum(), PaxosClaims());

  const auto* seeds = std::get_if<SeedBootstrap>(&config_.bootstrap);
  if (seeds != nullptr && ring_.empty()) {
    ring_.ExpectSeeds(seeds->seeds);
    seed_wait_ = {.look_at = now.monotonic, .until = now.monotonic + kSeedPatience, .heard = {}};
  }
  told_ = ComposeState();  // from the disk, so everybody may know
  if (council_.started()) told_digest_ = ComposeDigest();
  Settle();
}

// All seeds make the same ring, so none needs to ask. But one whose disk is new may have been there before: what it
// then owned can be somebody else's by now, and in use.
void Allocator::DivideUnlessTold() {
  const std::vector<PeerName> neighbours = peers_.Neighbours();
  const bool silent = std::any_of(neighbours.begin(), neighbours.end(),
                                  [&](PeerName peer) { return !seed_wait_->heard.contains(peer); });
  if ((silent || peers_.AwaitsFirstAnswer()) && now_.monotonic < seed_wait_->until) {
    seed_wait_->look_at = now_.monotonic + kSeedPause;
    return;
  }
  ring_.DivideAmong(ring_.seeds());
  broadcast_ = true;
  OnRingChanged(/*was_empty=*/true);
}

// False when it is set aside, with all that was recorded beside it.
bool Allocator::RestoreRing(const RingRecord& record) {
  const auto refuse = [&](absl::string_view why) {
    logger_.Warning("recorded addresses are set aside", {{"reason", why}});
    writes_.MarkUnsaved(RingKey());
    state_changed_ = true;
    return false;
  };
  if (record.self != config_.self)
    return refuse(absl::StrCat("they are of peer ", record.self.ToString(), ", and this is ", config_.self.ToString()));
  if (record.universe != universe_)
    return refuse(absl::StrCat("their range begins at ", record.universe.start.ToString(),
                               " or has another size, and today's is ", config_.range.ToString()));
  absl::StatusOr<Ring> ring = Ring::Make(record.universe, record.entries, record.seeds);
  if (!ring.ok()) return refuse(ring.status().message());
  if (ring->empty()) return refuse("the ring is empty");
  ring_ = *std::move(ring);
  for (const auto& [peer, nickname] : record.nicknames)
    if (peer != config_.self) nicknames_[peer] = nickname;
  written_ring_ = record;
  council_.Start(now_, config_.uid, record.council);
  UpdateSpace();
  ownership_is_durable_ = true;
  report_is_stale_ = true;
  return true;
}

void Allocator::RestorePaxos(const PaxosRecord& record) {
  const bool mine = record.node.name == config_.self;
  if (ring_.empty() && mine && !std::holds_alternative<SeedBootstrap>(config_.bootstrap)) {
    paxos_.emplace(record.node, Quorum(), record.claims);
    written_paxos_ = record;
    return;
  }
  if (!mine) logger_.Warning("recorded promises are set aside", {{"peer", record.node.name.ToString()}});
  writes_.MarkUnsaved(PaxosKey());
  state_changed_ = true;
}

void Allocator::RestoreAllocation(const AllocationRecord& record, bool discard) {
  bool whole = !record.addresses.empty();
  for (const Cidr& cidr : record.addresses) {
    const IpAddress& address = cidr.address();
    const bool inside = universe_.Contains(address);
    if (discard || holdings_.HolderOf(address).has_value() || (inside && ring_.empty())) {
      if (!discard)
        logger_.Warning("recorded address is set aside: it is somebody else's, or nobody's",
                        {{"holder", record.ident}, {"address", cidr.ToString()}});
      whole = false;
      stale_rows_.Add(address, record.ident);
      continue;
    }
    if (inside && !space_.Owns(address)) {
      strays_.try_emplace(address);
    } else if (inside) {
      const bool free = space_.Claim(address);
      CHECK(free) << address;
    }
    holdings_.Add(record.ident, cidr, record.is_container, record.upkeep);
  }
  if (!whole) ChangeRow(record.ident);
}

std::size_t Allocator::Quorum() const {
  const auto* consensus = std::get_if<ConsensusBootstrap>(&config_.bootstrap);
  if (consensus == nullptr) return 1;  // never asked
  const std::size_t count = consensus->peer_count.value_or((peers_.DirectPeerCount() + 1));
  return count / 2 + 1;
}

void Allocator::Establish() {
  // A seed that waits is told by its neighbours what they know without asking.
  if (!ring_.empty() || shut_down_ || seed_wait_.has_value()) return;
  if (IsElector()) {
    if (!std::exchange(proposing_, true)) Propose();
  } else if (!std::exchange(pleading_, true)) {
    broadcast_ = true;
  }
}

void Allocator::Propose() {
  paxos_->SetQuorum(Quorum());
  paxos_->Propose();
  state_changed_ = broadcast_ = true;
  CreateRingWhenAgreed();
}

void Allocator::CreateRingWhenAgreed() {
  const std::optional<AcceptedValue> agreed = paxos_->Consensus();
  if (!agreed.has_value()) return;
  ring_.DivideAmong(agreed->peers);
  broadcast_ = true;
  logger_.Info("peers agreed on the first owners", {{"count", absl::StrCat(ring_.seeds().size())}});
  OnRingChanged(/*was_empty=*/true);
}

void Allocator::OnRingChanged(bool was_empty) {
  state_changed_ = true;
  proposing_ = pleading_ = false;
  seed_wait_.reset();
  paxos_.reset();
  if (council_.started())
    council_.OnRing(now_);
  else
    council_.Start(now_, config_.uid, std::nullopt);
  std::vector<Ticket> claims;
  for (const AddressRange& gained : UpdateSpace())
    for (const Ticket claim : queue_.ClaimsIn(gained)) claims.push_back(claim);
  ForgetNicknames();
  if (shut_down_) return GiveAway();
  AskForStrays();
  // Perhaps they have something by now. What was asked for and came without helping is not asked for again before the
  // tick: two peers that wait could hand each other the first address of the subnet for ever.
  for (auto& [subnet, line] : queue_.lines()) line.refused.clear();
  if (was_empty) {
    for (const Ticket ticket : queue_.AwaitingRing()) Serve(ticket);
    claims = queue_.Claims();
  }
  RetryWaiting(claims);
}

// Makes the free list fit the ring. Returns ranges that are ours since, each perhaps with addresses that were before.
std::vector<AddressRange> Allocator::UpdateSpace() {
  AddressSet usable;
  for (const AddressRange& range : ring_.RangesOf(config_.self)) usable.Add(range);
  resting_.ForEach([&](const AddressRange& range) { usable.Remove(range); });
  std::vector<AddressRange> ranges;
  usable.ForEach([&](const AddressRange& range) { ranges.push_back(range); });
  SortStrays(space_.SetOwned(ranges));
  std::vector<AddressRange> gained;
  absl::btree_set<std::pair<IpAddress, AddressCount>> now_owned;
  for (const AddressRange& range : ranges) {
    now_owned.insert({range.start, range.size});
    if (!owned_ranges_.contains({range.start, range.size})) gained.push_back(range);
  }
  if (!gained.empty()) {
    ownership_is_durable_ = false;
    ownership_since_ = 0;
  }
  owned_ranges_ = std::move(now_owned);
  report_is_stale_ = true;
  return gained;
}

// What we owned in a life that we have forgotten, or before we were removed, may be somebody's by now.
void Allocator::RestWhatWasOurs() {
  if (!ring_.Owns(config_.self)) return;
  for (const AddressRange& range : ring_.RangesOf(config_.self)) resting_.Add(range);
  rest_until_ = now_.monotonic + kTakeoverRest;
}

// It was made a moment ago, and nobody can have lost anything of it.
bool Allocator::VotedForRing() const {
  if (!paxos_.has_value()) return false;
  const auto own = paxos_->claims().find(paxos_->self());
  if (own == paxos_->claims().end() || !own->second.accepted.valid()) return false;
  const std::vector<PeerName>& peers = own->second.value.peers;
  return absl::btree_set<PeerName>(peers.begin(), peers.end()) ==
         absl::btree_set<PeerName>(ring_.seeds().begin(), ring_.seeds().end());
}

void Allocator::EndRest() {
  if (council_.PromiseOf(config_.self) != nullptr || council_.IsBehind()) {
    rest_until_ = now_.monotonic + kTakeoverRest;
    return;
  }
  promised_away_ = false;
  rest_until_.reset();
  resting_ = AddressSet();
  if (!ring_.Owns(config_.self)) return;
  broadcast_ = true;  // others may ask for it from now on
  OnRingChanged(/*was_empty=*/false);
}

}  // namespace weave
