// Allocator: what it shows of itself, and what must always hold.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"

namespace weave {

std::vector<Cidr> Allocator::Lookup(absl::string_view ident, const std::optional<Cidr>& subnet) const {
  return holdings_.Lookup(ident, subnet);
}

IpamStatus Allocator::Status() const {
  IpamStatus status;
  status.range = config_.range;
  status.default_subnet = config_.default_subnet;
  status.elector = IsElector();
  status.priming = pleading_ || seed_wait_.has_value();
  if (proposing_) status.election = {paxos_->known_count(), paxos_->quorum()};
  status.entries = ring_.entries();

  absl::btree_map<PeerName, AddressCount> counts;
  for (std::size_t i = 0; i < ring_.entries().size(); ++i) counts[ring_.entries()[i].peer] += ring_.SizeOf(i);
  for (const auto& [peer, count] : counts) {
    IpamStatus::Owner owner;
    owner.peer = peer;
    owner.nickname = Name(peer).nickname;
    owner.count = count;
    owner.reachable = peer == config_.self || peers_.IsKnown(peer);
    status.owners.push_back(std::move(owner));
  }
  std::stable_partition(status.owners.begin(), status.owners.end(),
                        [&](const IpamStatus::Owner& owner) { return owner.peer == config_.self; });

  for (const auto& [address, holder] : holdings_.holders())
    if (universe_.Contains(address)) ++status.active_count;
  status.removals = Removals();
  status.strays = Strays();
  std::vector<PaxosNodeId> reachable;
  for (const CouncilMember& member : council_.state().members)
    if (member.name == config_.self || peers_.IsReachable(member.name)) reachable.push_back({member.name, member.uid});
  status.reachable_voter_count = reachable.size();
  status.unreachable_voter_count = council_.state().members.size() - reachable.size();
  status.quorum = council_.state().IsQuorum(reachable);
  for (const auto& [ticket, operation] : queue_.operations()) {
    if (const auto* claim = std::get_if<ClaimOperation>(&operation.what))
      status.pending_claims.push_back({claim->ident, claim->address});
    if (const auto* allocate = std::get_if<AllocateOperation>(&operation.what))
      status.pending_allocations.push_back({allocate->ident, allocate->subnet});
  }
  return status;
}

bool Allocator::IsExhausted(const Cidr& subnet) const {
  if (ring_.empty() || subnet.Range().size < kMinSubnetSize) return false;
  const AddressRange usable = UsableRange(subnet);
  if (!universe_.Overlaps(usable)) return false;
  if (space_.FreeIn(usable) > 0 || resting_.CountIn(usable) > 0) return false;
  for (std::size_t i = 0; i < ring_.entries().size(); ++i) {
    const RingEntry& entry = ring_.entries()[i];
    if (entry.peer == config_.self) continue;
    AddressCount useless = 0;  // the first and the last of the subnet, which nobody has been given
    bool overlaps = false;
    for (const AddressRange& part : ring_.PartsOf(i)) {
      overlaps = overlaps || part.Overlaps(usable);
      useless += part.Contains(subnet.Range().start) ? 1 : 0;
      useless += part.Contains(AddressAt(usable.start.family(), usable.start.value() + usable.size)) ? 1 : 0;
    }
    if (overlaps && entry.free > useless) return false;
  }
  return true;
}

absl::Status Allocator::CheckInvariants() const {
  const auto broken = [](const auto&... parts) { return absl::InternalError(absl::StrCat(parts...)); };
  if (absl::Status status = holdings_.CheckInvariants(); !status.ok()) return status;
  if (!ring_.empty()) {
    const absl::StatusOr<Ring> valid = Ring::Make(universe_, ring_.entries(), ring_.seeds());
    if (!valid.ok()) return valid.status();
    if (paxos_.has_value()) return broken("there is a ring, and still an election");
  }
  AddressCount resting = 0;
  for (const AddressRange& range : ring_.RangesOf(config_.self)) resting += resting_.CountIn(range);
  if (space_.owned_count() + resting != ring_.CountOf(config_.self))
    return broken("the free list does not fit the ring");
  if (shut_down_) return queue_.empty() ? absl::OkStatus() : broken("operations wait after the shutdown");

  AddressCount allocated = 0;
  const auto is_free = [&](const IpAddress& address) {
    if (!space_.Owns(address)) return false;
    ++allocated;
    return space_.IsFree(address);
  };
  for (const auto& [address, holder] : holdings_.holders()) {
    if (is_free(address)) return broken(address.ToString(), " of ", holder, " is free");
    if (universe_.Contains(address) && space_.Owns(address) == strays_.contains(address))
      return broken(address.ToString(), " of ", holder, " is ours and a stray, or neither");
  }
  for (const auto& [address, stray] : strays_)
    if (!holdings_.HolderOf(address).has_value()) return broken(address.ToString(), " is a stray of nobody");
  for (const auto& [address, idents] : stale_rows_.all())
    if (!holdings_.HolderOf(address).has_value() && is_free(address))
      return broken(address.ToString(), ", just released, is free");
  if (allocated != space_.owned_count() - space_.free_count()) return broken("addresses are allocated to nobody");
  return absl::OkStatus();
}

}  // namespace weave
