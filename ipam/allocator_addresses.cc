// Allocator: giving addresses to holders and taking them back (spec/ipam.md section 7).
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "ipam/allocator.h"

namespace weave {

AddressRange Allocator::UsableRange(const Cidr& subnet) {
  AddressRange range = subnet.Range();
  range.start = AddressAt(range.start.family(), range.start.value() + 1);
  range.size -= 2;
  return range;
}

std::optional<Cidr> Allocator::TryAllocate(const AllocateOperation& operation) {
  const Cidr& subnet = operation.subnet;
  if (!operation.ident.empty()) {
    const std::vector<Cidr> held = Lookup(operation.ident, subnet);
    if (!held.empty()) {
      Confirm(operation.ident, held[0].address(), operation.is_container, operation.upkeep);
      return held[0];
    }
  }
  const std::optional<IpAddress> address = space_.Allocate(UsableRange(subnet));
  if (!address.has_value()) return std::nullopt;
  const Cidr cidr(*address, subnet.prefix_length());
  Give(operation.ident.empty() ? address->ToString() : operation.ident, cidr, operation.is_container, operation.upkeep,
       /*answered=*/true);
  return cidr;
}

std::optional<Allocator::Outcome> Allocator::TryClaim(const ClaimOperation& operation, bool answered) {
  const std::string& ident = operation.ident;
  const IpAddress& address = operation.address.address();
  const bool inside = universe_.Contains(address);
  const std::string text = address.ToString();
  const std::optional<std::string> holder = holdings_.HolderOf(address);
  if (holder.has_value() && (ident == *holder || ident == text)) {
    const bool same = ident == *holder;
    Confirm(*holder, address, operation.is_container && same,
            same ? operation.upkeep : holdings_.Find(*holder)->upkeep);
    return Outcome{absl::OkStatus(), {*holdings_.CidrOf(address)}};
  }
  if (inside && ring_.OwnerOf(address) != config_.self) return std::nullopt;
  if (holder.has_value()) {
    const std::string claimed = operation.address.ToString();
    if (inside)
      return Outcome{absl::AlreadyExistsError(
                         *holder == text ? absl::StrCat("address ", claimed, " already in use")
                                         : absl::StrCat("address ", claimed, " is already owned by ", *holder)),
                     {}};
    if (!dead_.contains(*holder))
      return Outcome{absl::AlreadyExistsError(absl::StrCat("address ", claimed, " already in use by ", *holder)), {}};
    Release(*holder, address);
  } else if (inside && !space_.Owns(address)) {
    return std::nullopt;  // its former owner's ring is about to be settled
  }
  if (inside) {
    const bool free = space_.Claim(address);
    CHECK(free || stale_rows_.Name(address)) << address << " is allocated to nobody";
  }
  Give(ident, operation.address, operation.is_container, operation.upkeep, answered);
  return Outcome{absl::OkStatus(), {operation.address}};
}

void Allocator::Give(absl::string_view ident, const Cidr& address, bool is_container, Upkeep upkeep, bool answered) {
  holdings_.Add(ident, address, is_container, upkeep);
  ChangeRow(ident);
  Revive(ident);
  if (answered) fresh_.push_back({address.address(), std::string(ident)});
  if (!universe_.Contains(address.address())) return;
  relies_on_ring_ = true;
  report_is_stale_ = true;
}

// The answer that is about to be given says that `ident` has `address`: its row must be on disk before.
void Allocator::Confirm(absl::string_view ident, const IpAddress& address, bool is_container, Upkeep upkeep) {
  Revive(ident);
  if (holdings_.SetUpkeep(ident, upkeep)) ChangeRow(ident);
  if (is_container && holdings_.MarkContainer(ident)) ChangeRow(ident);
  if (!writes_.IsDurable(AllocationKey(ident))) {
    ChangeRow(ident);
    if (writes_.IsFresh(address)) fresh_.push_back({address, std::string(ident)});
  }
  if (universe_.Contains(address)) relies_on_ring_ = true;
}

void Allocator::Release(absl::string_view ident, const IpAddress& address) {
  const std::string former(ident);
  holdings_.Remove(former, address);
  writes_.Forget(address);
  strays_.erase(address);
  std::erase_if(fresh_, [&](const PendingWrites::Fresh& given) { return given.address == address; });
  if (holdings_.Find(former) == nullptr) Revive(former);
  ChangeRow(former);
  stale_rows_.Add(address, former);
}

void Allocator::ReleaseAll(absl::string_view ident) {
  for (const Cidr& cidr : Lookup(ident, std::nullopt)) Release(ident, cidr.address());
}

void Allocator::FreeBehind(absl::string_view ident) {
  for (const IpAddress& address : stale_rows_.Remove(ident)) {
    if (holdings_.HolderOf(address).has_value()) continue;  // the next one's already
    freed_.push_back(address);
    if (!space_.Owns(address)) continue;
    space_.Free(address);
    report_is_stale_ = true;
  }
  if (queue_.empty()) freed_.clear();
}

// ---- the life of containers (section 7.3) ----

void Allocator::OnContainerDied(Now now, absl::string_view ident) {
  now_ = now;
  CancelOfIdent(ident);
  const AllocationRecord* record = holdings_.Find(ident);
  if (record != nullptr && record->is_container) {
    Revive(ident);
    const MonotonicTime deadline = now.monotonic + kDeadContainerDelay;
    dead_[std::string(ident)] = deadline;
    dead_deadlines_.insert({deadline, std::string(ident)});
  }
  Settle();
}

void Allocator::OnContainerStarted(Now now, absl::string_view ident) {
  now_ = now;
  Revive(ident);
  Settle();
}

void Allocator::OnContainerDestroyed(Now now, absl::string_view ident) {
  now_ = now;
  CancelOfIdent(ident);
  const AllocationRecord* record = holdings_.Find(ident);
  if (record != nullptr && record->is_container) ReleaseAll(ident);
  Settle();
}

void Allocator::LeaveToInterface(Now now, absl::string_view ident) {
  now_ = now;
  if (holdings_.Find(ident) != nullptr && holdings_.SetUpkeep(ident, Upkeep::kInterface)) ChangeRow(ident);
  Settle();
}

void Allocator::Revive(absl::string_view ident) {
  const auto dead = dead_.find(ident);
  if (dead == dead_.end()) return;
  dead_deadlines_.erase({dead->second, dead->first});
  dead_.erase(dead);
}

void Allocator::ReleaseDeadContainers() {
  while (!dead_deadlines_.empty() && dead_deadlines_.begin()->first <= now_.monotonic) {
    const std::string ident = dead_deadlines_.begin()->second;
    logger_.Info("addresses of a dead container released", {{"container", ident}});
    ReleaseAll(ident);
  }
}

void Allocator::CancelOfIdent(absl::string_view ident) {
  for (const Ticket ticket : queue_.OfIdent(ident))
    Answer(ticket, absl::CancelledError(absl::StrCat("container ", ident, " has ended")));
}

}  // namespace weave
