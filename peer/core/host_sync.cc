#include "peer/core/host_sync.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peer/core/backoff.h"

namespace weave {
namespace {

AddressHolder ExposeHolder(const IpAddress& address) { return {ExposureKey(address), kExposeName}; }

}  // namespace

HostSync::HostSync(AddressIndex& addresses, CommandIds& command_ids, std::function<std::vector<std::string>()> ports,
                   Logger& logger)
    : addresses_(addresses), command_ids_(command_ids), ports_(std::move(ports)), logger_(logger) {}

void HostSync::Hold(const std::vector<Cidr>& bridge_addresses) {
  for (const Cidr& found : bridge_addresses) addresses_.Take(found.address(), ExposeHolder(found.address()));
}

void HostSync::Restore(const std::vector<ExposureRecord>& records, const std::vector<Cidr>& bridge_addresses,
                       PeerOutput& out) {
  for (const ExposureRecord& record : records) {
    const IpAddress& address = record.cidr.address();
    if (addresses_.Take(address, ExposeHolder(address))) {
      desired_.emplace(address, record);
      continue;
    }
    logger_.Error("an exposed address is in use by a container",
                  {{"address", record.cidr.ToString()}, {"container", addresses_.HolderOf(address)->name}});
    out.persist.push_back({ExposureKey(address), std::nullopt});
  }
  for (const Cidr& found : bridge_addresses) {
    const auto known = desired_.find(found.address());
    if (known != desired_.end()) {
      if (known->second.cidr != found) retired_.insert(found);
      continue;
    }
    if (!addresses_.Take(found.address(), ExposeHolder(found.address()))) {
      logger_.Error("an address of the bridge is in use by a container",
                    {{"address", found.ToString()}, {"container", addresses_.HolderOf(found.address())->name}});
      continue;
    }
    const ExposureRecord adopted{found, true};
    desired_.emplace(found.address(), adopted);
    out.persist.push_back({ExposureKey(found.address()), adopted});
    logger_.Info("exposing an address found on the bridge", {{"address", found.ToString()}});
  }
  settled_ = desired_;
}

void HostSync::Refresh(PeerOutput& out) {
  ++generation_;
  Start(out);
}

void HostSync::Start(PeerOutput& out) {
  if (in_flight_.has_value() || closed_ || generation_ == applied_) return;
  in_flight_ = InFlight{command_ids_.Next(), generation_, {retired_.begin(), retired_.end()}};
  retry_at_.reset();
  out.commands.push_back({in_flight_->id, SyncHost{List(), in_flight_->retired, ports_()}});
}

void HostSync::SetDesired(const IpAddress& address, const std::optional<ExposureRecord>& exposure) {
  const auto current = desired_.find(address);
  if (current != desired_.end()) {
    if (!exposure.has_value() || exposure->cidr != current->second.cidr) retired_.insert(current->second.cidr);
    desired_.erase(current);
  }
  if (!exposure.has_value()) return;
  retired_.erase(exposure->cidr);
  desired_.emplace(address, *exposure);
}

void HostSync::OnExpose(RequestId id, const std::vector<Cidr>& addresses, bool masquerade, PeerOutput& out) {
  Waiter waiter{id, 0, {}, addresses};
  std::vector<IpAddress> taken;
  for (const Cidr& cidr : addresses) {
    const IpAddress& address = cidr.address();
    const auto current = desired_.find(address);
    const bool was_free = addresses_.HolderOf(address) == nullptr;
    absl::Status refusal;
    if (current != desired_.end() && current->second.cidr != cidr)
      refusal = absl::AlreadyExistsError(
          absl::StrCat("address ", cidr.ToString(), " is already exposed as ", current->second.cidr.ToString()));
    else if (!addresses_.Take(address, ExposeHolder(address)))
      refusal = absl::AlreadyExistsError(
          absl::StrCat("address ", cidr.ToString(), " is already in use by ", addresses_.HolderOf(address)->name));
    if (!refusal.ok()) {
      for (const IpAddress& free_again : taken) addresses_.Release(free_again, ExposeHolder(free_again));
      out.replies.push_back({id, std::move(refusal), {}});
      return;
    }
    if (was_free) taken.push_back(address);
    waiter.changes[address] = ExposureRecord{cidr, masquerade};
  }
  Accept(std::move(waiter), out);
}

void HostSync::OnHide(RequestId id, const std::vector<Cidr>& addresses, PeerOutput& out) {
  const auto asked = [&](const Cidr& cidr) {
    return addresses.empty() || std::find(addresses.begin(), addresses.end(), cidr) != addresses.end();
  };
  Waiter waiter{id, 0, {}, {}};
  for (const auto& [address, exposure] : desired_) {
    if (!asked(exposure.cidr)) continue;
    waiter.changes[address] = std::nullopt;
    waiter.answer.push_back(exposure.cidr);
  }
  // An address that somebody is hiding already is off only when the host says so.
  if (waiter.changes.empty() && std::none_of(retired_.begin(), retired_.end(), asked)) {
    out.replies.push_back({id, absl::OkStatus(), {}});
    return;
  }
  Accept(std::move(waiter), out);
}

void HostSync::Accept(Waiter waiter, PeerOutput& out) {
  for (const auto& [address, exposure] : waiter.changes) {
    SetDesired(address, exposure);
    out.persist.push_back({ExposureKey(address), exposure});
  }
  if (!waiter.changes.empty()) out.recorded.push_back(waiter.request);
  waiter.generation = ++generation_;
  waiters_.push_back(std::move(waiter));
  Start(out);
}

bool HostSync::OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out) {
  if (!in_flight_.has_value() || in_flight_->id != id) return false;
  const InFlight done = *std::exchange(in_flight_, std::nullopt);
  last_error_ = result.status;
  AnswerDue(done.generation, result.status, out);
  if (result.status.ok()) {
    synced_ = true;
    applied_ = done.generation;
    backoff_ = absl::ZeroDuration();
    ReleaseRetired(done.retired);
    Start(out);
    return true;
  }
  logger_.Error("setting up the host failed", {{"reason", result.status.message()}});
  backoff_ = NextBackoff(backoff_);
  retry_at_ = now.monotonic + backoff_;
  return true;
}

bool HostSync::OnCommandDropped(CommandId id, PeerOutput& out) {
  if (!in_flight_.has_value() || in_flight_->id != id) return false;
  in_flight_.reset();
  Start(out);
  return true;
}

bool HostSync::Retiring(const IpAddress& address) const {
  const auto first = retired_.lower_bound(Cidr(address, 0));
  return first != retired_.end() && first->address() == address;
}

// Wanted now, or wanted again should a waiter fail.
bool HostSync::Wanted(const IpAddress& address) const {
  return desired_.contains(address) || settled_.contains(address) ||
         std::any_of(waiters_.begin(), waiters_.end(),
                     [&](const Waiter& waiter) { return waiter.changes.contains(address); });
}

void HostSync::ReleaseRetired(const std::vector<Cidr>& retired) {
  for (const Cidr& gone : retired) {
    const IpAddress& address = gone.address();
    if (Wanted(address) || retired_.erase(gone) == 0 || Retiring(address)) continue;
    addresses_.Release(address, ExposeHolder(address));
  }
}

void HostSync::AnswerDue(std::uint64_t generation, const absl::Status& status, PeerOutput& out) {
  const auto first_later = std::find_if(waiters_.begin(), waiters_.end(),
                                        [&](const Waiter& waiter) { return waiter.generation > generation; });
  std::vector<Waiter> due(std::make_move_iterator(waiters_.begin()), std::make_move_iterator(first_later));
  waiters_.erase(waiters_.begin(), first_later);
  if (status.ok())
    for (const Waiter& waiter : due) Settle(waiter);
  else
    Undo(due, out);
  for (Waiter& waiter : due)
    out.replies.push_back({waiter.request, status, status.ok() ? std::move(waiter.answer) : std::vector<Cidr>{}});
}

void HostSync::Settle(const Waiter& waiter) {
  for (const auto& [address, exposure] : waiter.changes) {
    if (exposure.has_value())
      settled_.insert_or_assign(address, *exposure);
    else
      settled_.erase(address);
  }
}

// `failed` has been taken out of the waiters. What it changed becomes what the others leave of it; a part of it may be
// on the bridge, so addresses that are not wanted any more are retired, not released.
void HostSync::Undo(const std::vector<Waiter>& failed, PeerOutput& out) {
  absl::btree_set<IpAddress> touched;
  for (const Waiter& waiter : failed)
    for (const auto& [address, exposure] : waiter.changes) touched.insert(address);
  if (touched.empty()) return;
  for (const IpAddress& address : touched) {
    std::optional<ExposureRecord> wanted;
    if (const auto settled = settled_.find(address); settled != settled_.end()) wanted = settled->second;
    for (const Waiter& waiter : waiters_)
      if (const auto change = waiter.changes.find(address); change != waiter.changes.end()) wanted = change->second;
    SetDesired(address, wanted);
    out.persist.push_back({ExposureKey(address), wanted});
  }
  ++generation_;
  // A command under way may still do what failed: it cannot speak for those who want the same address otherwise.
  const auto misled = [&](const Waiter& waiter) {
    return std::any_of(waiter.changes.begin(), waiter.changes.end(),
                       [&](const auto& change) { return touched.contains(change.first); });
  };
  for (auto waiter = std::find_if(waiters_.begin(), waiters_.end(), misled); waiter != waiters_.end(); ++waiter)
    waiter->generation = generation_;
}

void HostSync::OnPersistFailed(const std::vector<RequestId>& requests, const absl::Status& status, PeerOutput& out) {
  std::vector<Waiter> failed;
  for (const RequestId request : requests) {
    const auto found = std::find_if(waiters_.begin(), waiters_.end(),
                                    [request](const Waiter& waiter) { return waiter.request == request; });
    if (found == waiters_.end()) continue;
    failed.push_back(std::move(*found));
    waiters_.erase(found);
  }
  Undo(failed, out);
  for (const Waiter& waiter : failed) out.replies.push_back({waiter.request, status, {}});
  if (!failed.empty()) Start(out);
}

void HostSync::OnTimer(Now now, PeerOutput& out) {
  if (retry_at_.has_value() && now.monotonic >= *retry_at_) {
    retry_at_.reset();
    Start(out);
  }
}

void HostSync::Close(const absl::Status& status, PeerOutput& out) {
  closed_ = true;
  retry_at_.reset();
  for (const Waiter& waiter : waiters_) out.replies.push_back({waiter.request, status, {}});
  waiters_.clear();
}

std::vector<ExposureRecord> HostSync::List() const {
  std::vector<ExposureRecord> list;
  for (const auto& [address, exposure] : desired_) list.push_back(exposure);
  return list;
}

}  // namespace weave
