#include "ipam/operation_queue.h"

#include <utility>

#include "base/check.h"

namespace weave {
namespace {

// Of an operation that has one.
const std::string* IdentOf(const WaitingOperation& operation) {
  if (const auto* allocate = std::get_if<AllocateOperation>(&operation.what)) return &allocate->ident;
  if (const auto* claim = std::get_if<ClaimOperation>(&operation.what)) return &claim->ident;
  return nullptr;
}

}  // namespace

OperationQueue::Ticket OperationQueue::Add(WaitingOperation operation) {
  CHECK(!full());
  const Ticket ticket = ++last_;
  if (operation.id.has_value()) {
    const bool added = by_id_.emplace(*operation.id, ticket).second;
    CHECK(added) << "operation " << *operation.id << " waits already";
  }
  if (const std::string* ident = IdentOf(operation)) by_ident_[*ident].insert(ticket);
  if (const auto* allocate = std::get_if<AllocateOperation>(&operation.what)) {
    lines_[allocate->subnet].tickets.insert(ticket);
  } else if (const auto* claim = std::get_if<ClaimOperation>(&operation.what)) {
    claims_.insert({claim->address.address(), ticket});
  } else {
    awaiting_ring_.insert(ticket);
  }
  operations_.emplace(ticket, std::move(operation));
  return ticket;
}

WaitingOperation& OperationQueue::At(Ticket ticket) {
  const auto operation = operations_.find(ticket);
  CHECK(operation != operations_.end()) << ticket;
  return operation->second;
}

WaitingOperation OperationQueue::Remove(Ticket ticket) {
  WaitingOperation operation = std::move(At(ticket));
  operations_.erase(ticket);
  if (operation.id.has_value()) by_id_.erase(*operation.id);
  if (const std::string* ident = IdentOf(operation)) {
    const auto same = by_ident_.find(*ident);
    same->second.erase(ticket);
    if (same->second.empty()) by_ident_.erase(same);
  }
  if (const auto* allocate = std::get_if<AllocateOperation>(&operation.what)) {
    const auto line = lines_.find(allocate->subnet);
    line->second.tickets.erase(ticket);
    if (line->second.tickets.empty()) lines_.erase(line);
  } else if (const auto* claim = std::get_if<ClaimOperation>(&operation.what)) {
    claims_.erase({claim->address.address(), ticket});
  } else {
    awaiting_ring_.erase(ticket);
  }
  return operation;
}

std::optional<OperationQueue::Ticket> OperationQueue::Find(OperationId id) const {
  const auto ticket = by_id_.find(id);
  if (ticket == by_id_.end()) return std::nullopt;
  return ticket->second;
}

std::vector<OperationQueue::Ticket> OperationQueue::OfIdent(absl::string_view ident) const {
  const auto tickets = by_ident_.find(ident);
  if (tickets == by_ident_.end()) return {};
  return {tickets->second.begin(), tickets->second.end()};
}

std::vector<OperationQueue::Ticket> OperationQueue::Claims() const {
  std::vector<Ticket> tickets;
  tickets.reserve(claims_.size());
  for (const auto& [address, ticket] : claims_) tickets.push_back(ticket);
  return tickets;
}

std::vector<OperationQueue::Ticket> OperationQueue::ClaimsIn(const AddressRange& range) const {
  std::vector<Ticket> tickets;
  for (auto claim = claims_.lower_bound({range.start, 0}); claim != claims_.end() && range.Contains(claim->first);
       ++claim)
    tickets.push_back(claim->second);
  return tickets;
}

OperationQueue::Line* OperationQueue::FindLine(const Cidr& subnet) {
  const auto line = lines_.find(subnet);
  return line == lines_.end() ? nullptr : &line->second;
}

}  // namespace weave
