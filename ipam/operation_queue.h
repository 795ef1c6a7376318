// Operations that wait for a ring, for space or for an owner's answer, in the order in which they came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "ipam/allocator_types.h"

namespace weave {

struct WaitingOperation {
  std::optional<OperationId> id;  // none: its caller is answered already, and it goes on
  std::variant<AwaitRingOperation, AllocateOperation, ClaimOperation> what;
  int failed_tries = 0;                          // of a claim: how often its owner could not be reached
  std::optional<PeerName> asked = std::nullopt;  // of a claim: the owner whose answer is awaited
};

// Allocations in one subnet stand in line as one: when the first gets nothing, none does. So an attempt to serve
// thousands costs what it serves.
class OperationQueue {
 public:
  using Ticket = std::uint64_t;  // ascending in the order of arrival

  static constexpr std::size_t kMaxSize = 65536;

  struct Line {
    absl::btree_set<Ticket> tickets;    // not empty
    std::optional<PeerName> asked;      // for space, on behalf of all; its answer is awaited
    absl::btree_set<PeerName> refused;  // have nothing to give; asked again after the next tick
  };

  bool empty() const { return operations_.empty(); }
  bool full() const { return operations_.size() >= kMaxSize; }
  std::size_t size() const { return operations_.size(); }

  Ticket Add(WaitingOperation operation);
  // Of a ticket that waits.
  WaitingOperation& At(Ticket ticket);
  WaitingOperation Remove(Ticket ticket);

  bool Waits(Ticket ticket) const { return operations_.contains(ticket); }
  std::optional<Ticket> Find(OperationId id) const;
  std::vector<Ticket> OfIdent(absl::string_view ident) const;
  std::vector<Ticket> Claims() const;
  std::vector<Ticket> ClaimsIn(const AddressRange& range) const;
  std::vector<Ticket> AwaitingRing() const { return {awaiting_ring_.begin(), awaiting_ring_.end()}; }

  const absl::btree_map<Ticket, WaitingOperation>& operations() const { return operations_; }
  absl::btree_map<Cidr, Line>& lines() { return lines_; }
  const absl::btree_map<Cidr, Line>& lines() const { return lines_; }
  // None: nobody waits for an address there.
  Line* FindLine(const Cidr& subnet);

 private:
  Ticket last_ = 0;
  absl::btree_map<Ticket, WaitingOperation> operations_;
  absl::btree_map<OperationId, Ticket> by_id_;
  absl::btree_map<std::string, absl::btree_set<Ticket>> by_ident_;
  absl::btree_map<Cidr, Line> lines_;
  absl::btree_set<std::pair<IpAddress, Ticket>> claims_;
  absl::btree_set<Ticket> awaiting_ring_;
};

}  // namespace weave
