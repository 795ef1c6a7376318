// Allocator: what callers ask for, and the turn of an event. Its other parts stand in allocator_*.cc.
#include "ipam/allocator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/attachment.h"
#include "base/check.h"

namespace weave {

Allocator::Allocator(AllocatorConfig config, const PeerDirectory& peers, Random random, Logger& logger)
    : config_(std::move(config)),
      universe_(config_.range.Range()),
      peers_(peers),
      random_(random),
      logger_(logger),
      ring_(universe_),
      council_(config_.self, peers, ring_, random_.Split("council"), logger),
      council_channel_(*this) {
  CHECK(config_.self.known());
  CHECK(config_.range.IsNetwork() && universe_.size >= kMinSubnetSize) << config_.range;
  CHECK(config_.default_subnet.Overlaps(config_.range)) << config_.default_subnet;
  nicknames_[config_.self] = config_.nickname;
}

void Allocator::OnOperation(Now now, OperationId id, IpamOperation operation) {
  CHECK(started_);
  now_ = now;
  if (shut_down_) {
    Reply(id, absl::CancelledError("this peer has given away its addresses"));
  } else {
    std::visit([&](auto& what) { Begin(id, std::move(what)); }, operation);
  }
  Settle();
}

void Allocator::Reply(OperationId id, absl::Status status, std::vector<Cidr> addresses) {
  output_.replies.push_back({id, std::move(status), std::move(addresses), 0});
}

void Allocator::Begin(OperationId id, AllocateOperation operation) {
  const Cidr& subnet = operation.subnet;
  if ((!subnet.address().IsV4() && subnet.prefix_length() == 0) || !subnet.IsNetwork() ||
      subnet.Range().size < kMinSubnetSize)
    return Reply(id,
                 absl::InvalidArgumentError(absl::StrCat("subnet ", subnet.ToString(), ": want a network of at least ",
                                                         kMinSubnetSize, " addresses, without host bits")));
  if (operation.ident == kUnknownHolder) operation.ident.clear();
  if (const std::optional<Cidr> address = TryAllocate(operation)) return Reply(id, absl::OkStatus(), {*address});
  if (!subnet.Overlaps(config_.range))
    return Reply(id, absl::InvalidArgumentError(
                         absl::StrCat("range ", subnet.ToString(), " out of bounds: ", config_.range.ToString())));
  if (!Wait({.id = id, .what = operation})) return;
  if (ring_.empty())
    Establish();
  else
    AskForSpace(subnet);
}

void Allocator::Begin(OperationId id, ClaimOperation operation) {
  if (operation.ident == kUnknownHolder) operation.ident = operation.address.address().ToString();
  if (const std::optional<Outcome> outcome = TryClaim(operation, /*answered=*/true))
    return Reply(id, outcome->status, outcome->addresses);
  WaitingOperation waiting{.id = id, .what = operation};
  if (operation.no_error_on_unknown) {
    if (queue_.full()) return RefuseToWait(id);
    Reply(id, absl::OkStatus());
    waiting.id.reset();
  }
  const bool inside = universe_.Contains(operation.address.address());
  const std::optional<Ticket> ticket = Wait(std::move(waiting));
  if (!ticket.has_value()) return;
  if (ring_.empty() && inside)
    Establish();
  else
    AskOwner(*ticket);
}

void Allocator::Begin(OperationId id, const AwaitRingOperation& operation) {
  if (!ring_.empty()) return Reply(id, absl::OkStatus());
  if (Wait({.id = id, .what = operation})) Establish();
}

void Allocator::Begin(OperationId id, const ReleaseOperation& operation) {
  const std::string& ident = operation.ident;
  std::vector<Cidr> released;
  if (!operation.address.has_value()) {
    released = Lookup(ident, std::nullopt);
    if (released.empty()) return Reply(id, absl::NotFoundError(absl::StrCat("Delete: no addresses for ", ident)));
  } else {
    if (holdings_.HolderOf(*operation.address) != ident)
      return Reply(id, absl::NotFoundError(
                           absl::StrCat("Free: address ", operation.address->ToString(), " not found for ", ident)));
    released.push_back(*holdings_.CidrOf(*operation.address));
  }
  for (const Cidr& cidr : released) Release(ident, cidr.address());
  Reply(id, absl::OkStatus(), std::move(released));
}

void Allocator::Begin(OperationId id, const DisownOperation& operation) {
  for (const IpAddress& address : operation.addresses) {
    const std::optional<std::string> holder = holdings_.HolderOf(address);
    if (holder.has_value() && holdings_.Find(*holder)->upkeep == Upkeep::kDocker) LeaveToInterface(now_, *holder);
  }
  Reply(id, absl::OkStatus());
}

void Allocator::Begin(OperationId id, const ShutdownOperation&) {
  shut_down_ = true;
  strays_.clear();
  strays_due_at_.reset();
  for (const auto& [ticket, operation] : absl::btree_map(queue_.operations()))
    Answer(ticket, absl::CancelledError("this peer has given away its addresses"));
  for (const auto& [waiting, takeover] : std::exchange(takeovers_, {}))
    Reply(waiting, absl::CancelledError("this peer has given away its addresses"));
  GiveAway();
  Reply(id, absl::OkStatus());
}

std::optional<Allocator::Ticket> Allocator::Wait(WaitingOperation operation) {
  if (!queue_.full()) return queue_.Add(std::move(operation));
  if (operation.id.has_value()) RefuseToWait(*operation.id);
  return std::nullopt;
}

void Allocator::RefuseToWait(OperationId id) {
  Reply(id, absl::ResourceExhaustedError(
                absl::StrCat("at most ", OperationQueue::kMaxSize, " requests can wait for addresses")));
}

void Allocator::GiveAway() {
  if (!ring_.Owns(config_.self)) return;
  const std::optional<PeerName> heir = ChooseHeir();
  if (!heir.has_value()) return logger_.Warning("nobody is there to be given this peer's addresses");
  ring_.Transfer(config_.self, *heir);
  logger_.Info("ranges given away", {{"peer", Describe(*heir)}});
  council_.Leave(*heir);
  broadcast_ = true;
  OnRingChanged(/*was_empty=*/false);
}

// Section 8: rather one that can be told now, rather one that owns something already.
std::optional<PeerName> Allocator::ChooseHeir() const {
  std::optional<PeerName> heir;
  int best = 0;
  const auto consider = [&](PeerName peer, bool owner) {
    const int rank = (peers_.IsReachable(peer) ? 2 : 0) + (owner ? 1 : 0) + 1;
    if (peer == config_.self || rank <= best) return;
    heir = peer;
    best = rank;
  };
  for (const PeerName peer : ring_.Owners()) consider(peer, true);
  for (const auto& [peer, nickname] : nicknames_) consider(peer, false);
  return heir;
}

std::optional<PeerName> Allocator::FindPeer(absl::string_view text) const {
  std::optional<PeerName> found;
  int best = -1;
  // Nicknames may repeat: rather one of the dead that own something.
  for (const auto& [peer, nickname] : nicknames_) {
    const int rank = (ring_.Owns(peer) ? 2 : 0) + (peers_.IsReachable(peer) || peer == config_.self ? 0 : 1);
    if (nickname != text || rank <= best) continue;
    found = peer;
    best = rank;
  }
  if (found.has_value()) return found;
  const absl::StatusOr<PeerName> name = PeerName::Parse(text);
  if (!name.ok()) return std::nullopt;
  return *name;
}

void Allocator::OnCancel(Now now, OperationId id) {
  now_ = now;
  if (const std::optional<Ticket> ticket = queue_.Find(id))
    Answer(*ticket, absl::CancelledError("the caller has gone"));
  else if (takeovers_.erase(id) > 0)
    Reply(id, absl::CancelledError("the caller has gone"));
  Settle();
}

void Allocator::OnTopologyChange(Now now) {
  now_ = now;
  ForgetNicknames();
  council_.OnTopologyChange(now);
  RetryWaiting({});
  AskForStrays();
  Settle();
}

void Allocator::OnTimer(Now now) {
  now_ = now;
  ReleaseDeadContainers();
  if (rest_until_.has_value() && now.monotonic >= *rest_until_) EndRest();
  if (!freed_.empty()) {
    std::vector<Ticket> claims;
    for (const IpAddress& address : std::exchange(freed_, {}))
      for (const Ticket claim : queue_.ClaimsIn({address, 1})) claims.push_back(claim);
    RetryWaiting(claims);
  }
  if (seed_wait_.has_value() && now.monotonic >= seed_wait_->look_at) DivideUnlessTold();
  if (strays_due_at_.has_value() && now.monotonic >= *strays_due_at_) RetryStrays();
  if (tick_at_.has_value() && now.monotonic >= *tick_at_) OnTick();
  if (council_.started()) council_.OnTimer(now);
  Settle();
}

void Allocator::OnTick() {
  tick_at_.reset();
  if (ring_.empty()) {
    if (proposing_) Propose();
    if (pleading_ && !queue_.empty()) broadcast_ = true;
  }
  for (auto& [subnet, line] : queue_.lines()) {
    line.asked.reset();
    line.refused.clear();
  }
  const std::vector<Ticket> claims = queue_.Claims();
  for (const Ticket claim : claims) queue_.At(claim).asked.reset();
  RetryWaiting(claims);
  if (std::exchange(report_is_stale_, false) && !ring_.empty()) {
    const bool named = !written_ring_.has_value() || written_ring_->nicknames != OwnersNicknames();
    if (ring_.ReportFree(config_.self, space_) || named) state_changed_ = true;
  }
}

bool Allocator::NeedsTick() const { return !queue_.empty() || proposing_ || (report_is_stale_ && !ring_.empty()); }

void Allocator::Settle() {
  SettleCouncil();
  if (!NeedsTick())
    tick_at_.reset();
  else if (!tick_at_.has_value())
    tick_at_ = now_.monotonic + kTick;
}

std::optional<MonotonicTime> Allocator::NextDeadline() const {
  std::optional<MonotonicTime> deadline = Earliest({tick_at_, rest_until_, strays_due_at_, council_.NextDeadline()});
  if (seed_wait_.has_value()) BringForward(deadline, seed_wait_->look_at);
  for (const auto& [id, takeover] : takeovers_) BringForward(deadline, takeover.deadline);
  if (!dead_deadlines_.empty()) BringForward(deadline, dead_deadlines_.begin()->first);
  if (!freed_.empty()) BringForward(deadline, now_.monotonic);
  return deadline;
}

}  // namespace weave
