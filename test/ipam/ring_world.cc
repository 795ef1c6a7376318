#include "test/ipam/ring_world.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weave::test {
namespace {

constexpr std::size_t kMaxMessages = 40;
constexpr std::size_t kMaxTold = 400;  // kept for those who look at them afterwards

}  // namespace

void RingChecker::Add(PeerName peer, const Ring& view) {
  for (const AddressRange& range : view.RangesOf(peer)) {
    const absl::uint128 end = range.start.value() + range.size;
    const auto above = parts_.lower_bound(range.start.value());
    const bool overlaps_above = above != parts_.end() && above->first < end;
    const bool overlaps_below = above != parts_.begin() && std::prev(above)->second.end > range.start.value();
    if (overlaps_above || overlaps_below) {
      const PeerName other = overlaps_above ? above->second.owner : std::prev(above)->second.owner;
      violation_ = absl::StrCat(range.start.ToString(), " and what follows is owned by ", peer.ToString(),
                                ", part of it by ", other.ToString());
      return;
    }
    parts_.emplace(range.start.value(), Part{end, peer});
  }
}

RingWorld::RingWorld(RingWorldOptions options) : options_(options), random_(options.seed) {
  std::vector<PeerName> names;
  for (std::size_t i = 0; i < options_.peer_count; ++i) names.emplace_back(i + 1);
  // Some of them were not there when it was divided.
  std::vector<PeerName> seeds(names.begin(),
                              names.begin() + static_cast<std::ptrdiff_t>(1 + random_.Below(names.size())));
  Ring ring(options_.universe);
  ring.DivideAmong(seeds);
  for (const PeerName name : names) {
    Peer peer{.name = name, .record = {ring, {}}, .ring = ring, .space = {}, .given = {}};
    peer.space.SetOwned(ring.RangesOf(name));
    peers_.push_back(std::move(peer));
  }
}

RingWorld::Peer* RingWorld::RandomUp() {
  Peer& peer = peers_[random_.Below(peers_.size())];
  return peer.life == Life::kUp ? &peer : nullptr;
}

std::size_t RingWorld::IndexOf(PeerName name) const { return static_cast<std::size_t>(name.value()) - 1; }

void RingWorld::Step() {
  const std::uint64_t dice = random_.Below(100);
  if (dice < 45) {
    Deliver();
  } else if (Peer* peer = RandomUp(); peer != nullptr) {
    if (dice < 62)
      Allocate(*peer);
    else if (dice < 70)
      GiveBack(*peer);
    else if (dice < 76)
      Ask(*peer);
    else if (dice < 80)
      RecordNow(*peer);
    else if (dice < 92)
      Tell(*peer, random_.Below(peers_.size()));
    else if (dice < 94)
      TellAll(*peer);
    else if (dice < 96 && options_.crashes)
      Crash(*peer);
    else if (dice == 96 && options_.removals && random_.Chance(1, 6))
      Leave(*peer);
    else if (dice == 97 && options_.removals && random_.Chance(1, 6))
      TakeOver();
  }
  if (dice >= 98) {
    if (options_.partitions && random_.Chance(1, 3)) {
      partitioned_ = !partitioned_;
      for (Peer& peer : peers_) peer.side = random_.Chance(1, 2);
    }
    for (Peer& peer : peers_) {
      if (peer.life != Life::kDown || random_.Chance(1, 2)) continue;
      if (options_.careless_operator && random_.Chance(1, 3)) {
        // What was given since then is forgotten with the disk.
        if (peer.old_disk.has_value()) peer.record = *peer.old_disk;
        peer.old_disk = peer.record;
      }
      Restart(peer);
    }
  }
  CheckOwners();
}

// A peer answers behind the record. Sometimes it crashes in between, and nobody has got the address.
void RingWorld::Allocate(Peer& peer) {
  const std::optional<IpAddress> address = peer.space.Allocate(options_.universe);
  if (!address.has_value()) return Ask(peer);
  peer.given.insert(*address);
  peer.ring.ReportFree(peer.name, peer.space);
  if (options_.crashes && random_.Chance(1, 20)) return Crash(peer);  // nobody has got it
  RecordNow(peer);
  oracle_.OnGiven(peer.name, *address);
  CheckPeer(peer);
}

void RingWorld::GiveBack(Peer& peer) {
  if (peer.given.empty()) return;
  auto it = peer.given.begin();
  std::advance(it, random_.Below(peer.given.size()));
  const IpAddress address = *it;
  peer.given.erase(it);
  if (peer.space.Owns(address)) peer.space.Free(address);
  peer.ring.ReportFree(peer.name, peer.space);
  oracle_.OnBack(peer.name, address);
  if (random_.Chance(3, 4)) RecordNow(peer);  // else a crash brings it back as used, by nobody
  CheckPeer(peer);
}

void RingWorld::Ask(Peer& peer) {
  const std::vector<PeerName> donors = peer.ring.DonorCandidates(peer.name, options_.universe, random_);
  if (donors.empty() || network_.size() >= kMaxMessages) return;
  network_.push_back({IndexOf(peer.name), IndexOf(donors.front()), std::nullopt});
}

void RingWorld::OnRequest(Peer& peer, std::size_t from) {
  const PeerName asker = peers_[from].name;
  if (const std::optional<AddressRange> donation = peer.space.Donation(options_.universe)) {
    peer.ring.Grant(peer.name, *donation, asker);
    peer.space.SetOwned(peer.ring.RangesOf(peer.name));
    peer.ring.ReportFree(peer.name, peer.space);
    ++grant_count_;
    if (options_.record_before_telling) RecordNow(peer);
  }
  Tell(peer, from);
  TellAll(peer);
  // A grant that is not on disk yet is not told; after a crash it has not happened.
  if (options_.crashes && random_.Chance(1, options_.record_before_telling ? 20 : 2)) Crash(peer);
}

void RingWorld::OnRing(Peer& peer, const Ring& ring) {
  const Ring before = peer.ring;
  const absl::StatusOr<bool> changed = peer.ring.Merge(peer.name, ring);
  if (!changed.ok()) return Fail(absl::StrCat(peer.name.ToString(), " refused a ring: ", changed.status().message()));
  if (*changed == (peer.ring == before)) Fail("a merge does not say whether it changed something");
  for (const IpAddress& address : peer.given)
    if (peer.space.Owns(address) && peer.ring.OwnerOf(address) != peer.name) ++stray_count_;
  OwnAsByRing(peer);
  peer.ring.ReportFree(peer.name, peer.space);
  if (random_.Chance(1, 2)) RecordNow(peer);
  CheckPeer(peer);
}

// What was given and is the peer's own again is in use.
void RingWorld::OwnAsByRing(Peer& peer) {
  peer.space.SetOwned(peer.ring.RangesOf(peer.name));
  for (const IpAddress& address : peer.given)
    if (peer.space.Owns(address)) peer.space.Claim(address);
}

void RingWorld::Tell(const Peer& peer, std::size_t to) {
  if (network_.size() >= kMaxMessages || &peers_[to] == &peer) return;
  const Ring& ring = Tellable(peer);
  network_.push_back({IndexOf(peer.name), to, ring});
  if (told_.size() < kMaxTold) told_.push_back(ring);
}

void RingWorld::TellAll(const Peer& peer) {
  for (std::size_t to = 0; to < peers_.size(); ++to) Tell(peer, to);
}

void RingWorld::Deliver() {
  if (network_.empty()) return;
  const std::size_t index = random_.Below(network_.size());
  const Message message = network_[index];
  const bool repeat = random_.Chance(1, 8);
  if (!repeat) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(index));
  Peer& to = peers_[message.to];
  if (to.life != Life::kUp || random_.Chance(1, 10)) return;
  if (partitioned_ && to.side != peers_[message.from].side) return;
  if (message.ring.has_value())
    OnRing(to, *message.ring);
  else
    OnRequest(to, message.from);
}

void RingWorld::Crash(Peer& peer) {
  if (settling_) return;
  peer.life = Life::kDown;
  ++crash_count_;
}

// With what was recorded. An address that was given is in the record.
void RingWorld::Restart(Peer& peer) {
  peer.life = Life::kUp;
  peer.ring = peer.record.ring;
  peer.given = peer.record.given;
  peer.space.Clear();
  OwnAsByRing(peer);
  peer.ring.ReportFree(peer.name, peer.space);
  CheckPeer(peer);
}

// Gives everything to somebody who is up, and is gone for good.
void RingWorld::Leave(Peer& peer) {
  Peer* heir = RandomUp();
  if (heir == nullptr || heir == &peer) return;
  oracle_.OnGone(peer.name);
  peer.given.clear();
  peer.space.Clear();
  peer.ring.Transfer(peer.name, heir->name);
  RecordNow(peer);
  TellAll(peer);
  peer.life = Life::kGone;
  ++removal_count_;
}

// `weave rmpeer`, as its manual wants it: the peer is gone for good, and all others know what the others know.
void RingWorld::TakeOver() {
  if (options_.careless_operator) return TakeOverCarelessly();
  partitioned_ = false;
  Settle();
  Peer* taker = RandomUp();
  Peer& dead = peers_[random_.Below(peers_.size())];
  if (taker == nullptr || taker == &dead) return;
  oracle_.OnGone(dead.name);
  dead.life = Life::kGone;
  taker->ring.Transfer(dead.name, taker->name);
  OwnAsByRing(*taker);
  taker->ring.ReportFree(taker->name, taker->space);
  RecordNow(*taker);
  TellAll(*taker);
  CheckPeer(*taker);
  ++removal_count_;
}

void RingWorld::TakeOverCarelessly() {
  Peer* taker = RandomUp();
  const Peer& victim = peers_[random_.Below(peers_.size())];
  if (taker == nullptr || taker == &victim) return;
  taker->ring.Transfer(victim.name, taker->name);
  OwnAsByRing(*taker);
  taker->ring.ReportFree(taker->name, taker->space);
  RecordNow(*taker);
  TellAll(*taker);
  CheckPeer(*taker);
  ++removal_count_;
}

void RingWorld::Settle() {
  partitioned_ = false;
  settling_ = true;
  for (Peer& peer : peers_) {
    if (peer.life == Life::kDown) Restart(peer);
    if (peer.life == Life::kUp) RecordNow(peer);
  }
  while (!network_.empty() && failure().empty()) Deliver();
  for (bool news = true; news && failure().empty();) {
    news = false;
    for (Peer& from : peers_) {
      if (from.life != Life::kUp) continue;
      for (Peer& to : peers_) {
        if (to.life != Life::kUp || &to == &from) continue;
        const Ring before = to.ring;
        OnRing(to, from.ring);
        news = news || !(to.ring == before);
      }
    }
  }
  for (Peer& peer : peers_)
    if (peer.life == Life::kUp) RecordNow(peer);
  settling_ = false;
}

bool RingWorld::Agreed() const {
  const Peer* first = nullptr;
  for (const Peer& peer : peers_) {
    if (peer.life != Life::kUp) continue;
    if (first == nullptr) first = &peer;
    if (!(peer.ring == first->ring)) return false;
  }
  return true;
}

bool RingWorld::AgreedOnOwners() const {
  const Peer* first = nullptr;
  for (const Peer& peer : peers_) {
    if (peer.life != Life::kUp) continue;
    if (first == nullptr) first = &peer;
    const auto same = [](const RingEntry& a, const RingEntry& b) { return a.token == b.token && a.peer == b.peer; };
    if (!std::equal(peer.ring.entries().begin(), peer.ring.entries().end(), first->ring.entries().begin(),
                    first->ring.entries().end(), same))
      return false;
  }
  return true;
}

std::string RingWorld::Describe() const {
  std::string text;
  for (const Peer& peer : peers_)
    absl::StrAppend(&text, peer.name.ToString(),
                    peer.life == Life::kUp     ? " up"
                    : peer.life == Life::kDown ? " down"
                                               : " gone",
                    ", ", peer.given.size(), " given: ", ToString(peer.ring), "\n");
  return text;
}

// Those who are down will come back with what is on their disk.
void RingWorld::CheckOwners() {
  RingChecker checker;
  for (const Peer& peer : peers_)
    if (peer.life != Life::kGone) checker.Add(peer.name, peer.life == Life::kUp ? peer.ring : peer.record.ring);
  if (!checker.violation().empty() && !options_.careless_operator) Fail(checker.violation());
}

void RingWorld::CheckPeer(const Peer& peer) {
  const auto valid = Ring::Make(peer.ring.universe(), peer.ring.entries(), peer.ring.seeds());
  if (!valid.ok()) Fail(absl::StrCat(peer.name.ToString(), ": ", valid.status().message()));
  if (peer.space.owned_count() != peer.ring.CountOf(peer.name))
    Fail(absl::StrCat(peer.name.ToString(), "'s space is not its part of the ring"));
  AddressCount own = 0;
  for (const IpAddress& address : peer.given) {
    own += peer.space.Owns(address) ? 1 : 0;
    if ((!peer.space.Owns(address) && !options_.careless_operator) || peer.space.IsFree(address))
      Fail(absl::StrCat(peer.name.ToString(), " gave ", address.ToString(), ", which is not its own or free"));
  }
  if (peer.space.owned_count() - peer.space.free_count() != own)
    Fail(absl::StrCat(peer.name.ToString(), " has other addresses in use than it gave"));
}

}  // namespace weave::test
