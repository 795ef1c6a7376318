// Allocator: serving what waits, and asking others for space on its behalf (spec/ipam.md sections 6 and 7).
#include <utility>

#include "absl/strings/str_cat.h"
#include "ipam/allocator.h"

namespace weave {

void Allocator::Answer(Ticket ticket, absl::Status status, std::vector<Cidr> addresses) {
  const WaitingOperation operation = queue_.Remove(ticket);
  if (operation.id.has_value()) return Reply(*operation.id, std::move(status), std::move(addresses));
  if (status.ok() || absl::IsCancelled(status)) return;
  const auto& claim = std::get<ClaimOperation>(operation.what);
  logger_.Warning("claim given up", {{"holder", claim.ident}, {"reason", status.message()}});
}

// True when the operation waits no more.
bool Allocator::Serve(Ticket ticket) {
  const WaitingOperation& operation = queue_.At(ticket);
  if (std::holds_alternative<AwaitRingOperation>(operation.what)) {
    if (ring_.empty()) return false;
    Answer(ticket, absl::OkStatus());
    return true;
  }
  if (const auto* allocate = std::get_if<AllocateOperation>(&operation.what)) {
    const std::string ident = allocate->ident;
    const std::optional<Cidr> address = TryAllocate(*allocate);
    if (!address.has_value()) return false;
    Answer(ticket, absl::OkStatus(), {*address});
    if (!ident.empty()) ServeOthersOf(ident);
    return true;
  }
  const auto& claim = std::get<ClaimOperation>(operation.what);
  const std::string ident = claim.ident;
  std::optional<Outcome> outcome = TryClaim(claim, operation.id.has_value());
  if (!outcome.has_value()) return false;
  const bool given = outcome->status.ok();
  Answer(ticket, std::move(outcome->status), std::move(outcome->addresses));
  if (given) ServeOthersOf(ident);
  return true;
}

// `ident` has got an address; perhaps it waits for one there a second time.
void Allocator::ServeOthersOf(absl::string_view ident) {
  for (const Ticket ticket : queue_.OfIdent(ident)) {
    const auto* allocate = std::get_if<AllocateOperation>(&queue_.At(ticket).what);
    if (allocate == nullptr) continue;
    const std::vector<Cidr> held = Lookup(ident, allocate->subnet);
    if (held.empty()) continue;
    Confirm(ident, held[0].address(), allocate->is_container, allocate->upkeep);
    Answer(ticket, absl::OkStatus(), {held[0]});
  }
}

void Allocator::RetryWaiting(const std::vector<Ticket>& claims) {
  absl::btree_map<Ticket, std::optional<Cidr>> due;  // of a line: its first, and its subnet
  for (const Ticket claim : claims) due.emplace(claim, std::nullopt);
  if (!ring_.empty())
    for (const auto& [subnet, line] : queue_.lines()) due.emplace(*line.tickets.begin(), subnet);
  while (!due.empty()) {
    const auto [ticket, subnet] = *due.begin();
    due.erase(due.begin());
    // One that waits no more was answered together with another of its holder.
    const bool served = !queue_.Waits(ticket) || Serve(ticket);
    if (!subnet.has_value()) {
      if (!served) AskOwner(ticket);
      continue;
    }
    if (!served) {
      AskForSpace(*subnet);
      continue;
    }
    OperationQueue::Line* line = queue_.FindLine(*subnet);
    if (line == nullptr) continue;
    line->asked.reset();  // what was asked for has come, perhaps
    due.emplace(*line->tickets.begin(), *subnet);
  }
}

// What to ask others for.
AddressRange Allocator::Wanted(const Cidr& subnet) const {
  const AddressRange range = subnet.Range();
  return universe_.Contains(range.start) && range.size <= universe_.size ? range : universe_;
}

void Allocator::AskForSpace(const Cidr& subnet) {
  OperationQueue::Line* line = queue_.FindLine(subnet);
  if (line == nullptr) return;
  if (line->asked.has_value() && peers_.IsReachable(*line->asked)) return;
  line->asked.reset();
  const AddressRange wanted = Wanted(subnet);
  for (const PeerName peer : ring_.DonorCandidates(config_.self, wanted, random_)) {
    if (line->refused.contains(peer) || !peers_.IsReachable(peer)) continue;
    line->asked = peer;
    output_.telling.unicasts.push_back({peer, EncodeSpaceRequest(wanted)});
    return;
  }
}

void Allocator::AskOwner(Ticket ticket) {
  WaitingOperation& operation = queue_.At(ticket);
  const ClaimOperation claim = std::get<ClaimOperation>(operation.what);
  const IpAddress& address = claim.address.address();
  const std::optional<PeerName> owner = ring_.OwnerOf(address);
  // Nobody's or ours: it will be free in a moment, or there is no ring yet.
  if (!owner.has_value() || *owner == config_.self) return;
  if (!peers_.IsReachable(*owner)) {
    operation.asked.reset();
    if (++operation.failed_tries <= kClaimTries) return;
    return Answer(ticket, absl::FailedPreconditionError(absl::StrCat("address ", claim.address.ToString(),
                                                                     " is owned by other peer ", Describe(*owner),
                                                                     ", which cannot be reached")));
  }
  if (operation.asked == owner) return;
  operation.asked = owner;
  output_.telling.unicasts.push_back({*owner, EncodeSpaceRequest({address, 1})});
}

void Allocator::OnDenied(PeerName source, const AddressRange& range) {
  if (range.size == 1) {
    OnStrayDenied(source, range.start);
    for (const Ticket ticket : queue_.ClaimsIn(range)) {
      const WaitingOperation& operation = queue_.At(ticket);
      if (operation.asked != source) continue;
      const Cidr address = std::get<ClaimOperation>(operation.what).address;
      Answer(ticket, absl::FailedPreconditionError(
                         absl::StrCat("address ", address.ToString(), " is owned by other peer ", Describe(source))));
    }
    return;
  }
  for (auto& [subnet, line] : queue_.lines()) {
    if (line.asked != source || Wanted(subnet) != range) continue;
    line.refused.insert(source);
    line.asked.reset();
    AskForSpace(subnet);
  }
}

}  // namespace weave
