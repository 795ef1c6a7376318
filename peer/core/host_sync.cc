#include "peer/core/host_sync.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weave {
namespace {

constexpr Duration kFirstBackoff = absl::Seconds(1);
constexpr Duration kMaxBackoff = absl::Seconds(30);

AddressHolder ExposeHolder(const IpAddress& address) {
  return {ExposureKey(address), "weave:expose"};  // spec/control.md section 6
}

}  // namespace

HostSync::HostSync(AddressIndex& addresses, CommandIds& command_ids, std::function<std::vector<std::string>()> ports,
                   Logger& logger)
    : addresses_(addresses), command_ids_(command_ids), ports_(std::move(ports)), logger_(logger) {}

void HostSync::Restore(const std::vector<ExposureRecord>& records, const std::vector<Cidr>& bridge_addresses,
                       PeerOutput& out) {
  for (const ExposureRecord& record : records) {
    if (addresses_.Take(record.cidr.address(), ExposeHolder(record.cidr.address()))) {
      Add(record);
      continue;
    }
    logger_.Error(
        "an exposed address is in use by a container",
        {{"address", record.cidr.ToString()}, {"container", addresses_.HolderOf(record.cidr.address())->name}});
    out.tidy.push_back({ExposureKey(record.cidr.address()), std::nullopt});
  }
  for (const Cidr& found : bridge_addresses) {
    if (exposures_.contains(found.address())) continue;
    if (!addresses_.Take(found.address(), ExposeHolder(found.address()))) {
      logger_.Error("an address of the bridge is in use by a container",
                    {{"address", found.ToString()}, {"container", addresses_.HolderOf(found.address())->name}});
      continue;
    }
    const ExposureRecord adopted{found, true};
    Add(adopted);
    out.persist.push_back({ExposureKey(found.address()), adopted});
    logger_.Info("exposing an address found on the bridge", {{"address", found.ToString()}});
  }
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

void HostSync::Add(const ExposureRecord& exposure) {
  exposures_.insert_or_assign(exposure.cidr.address(), exposure);
  retired_.erase(exposure.cidr);
}

void HostSync::Remove(const Cidr& address) {
  exposures_.erase(address.address());
  retired_.insert(address);
}

void HostSync::OnExpose(RequestId id, const ExposeRequest& request, PeerOutput& out) {
  Waiter waiter{id, 0, {}, {}, request.addresses};
  std::vector<IpAddress> taken;
  for (const Cidr& address : request.addresses) {
    const auto current = exposures_.find(address.address());
    const bool was_free = addresses_.HolderOf(address.address()) == nullptr;
    absl::Status refusal;
    if (current != exposures_.end() && current->second.cidr != address)
      refusal = absl::AlreadyExistsError(
          absl::StrCat("address ", address.ToString(), " is already exposed as ", current->second.cidr.ToString()));
    else if (!addresses_.Take(address.address(), ExposeHolder(address.address())))
      refusal = absl::AlreadyExistsError(absl::StrCat("address ", address.ToString(), " is already in use by ",
                                                      addresses_.HolderOf(address.address())->name));
    if (!refusal.ok()) {
      for (const IpAddress& free_again : taken) addresses_.Release(free_again, ExposeHolder(free_again));
      out.replies.push_back({id, std::move(refusal), {}});
      return;
    }
    if (was_free) taken.push_back(address.address());
    if (current != exposures_.end()) waiter.before.push_back(current->second);
    waiter.changed.push_back(address);
  }
  for (const Cidr& address : request.addresses) {
    const ExposureRecord record{address, request.masquerade};
    Add(record);
    out.persist.push_back({ExposureKey(address.address()), record});
  }
  waiter.generation = ++generation_;
  waiters_.push_back(std::move(waiter));
  Start(out);
}

void HostSync::OnHide(RequestId id, const HideRequest& request, PeerOutput& out) {
  Waiter waiter{id, 0, {}, {}, {}};
  for (const auto& [address, exposure] : exposures_) {
    const bool asked = request.addresses.empty() || std::find(request.addresses.begin(), request.addresses.end(),
                                                              exposure.cidr) != request.addresses.end();
    if (!asked) continue;
    waiter.before.push_back(exposure);
    waiter.changed.push_back(exposure.cidr);
  }
  if (waiter.changed.empty()) {
    out.replies.push_back({id, absl::OkStatus(), {}});
    return;
  }
  waiter.answer = waiter.changed;
  for (const Cidr& address : waiter.changed) {
    Remove(address);
    out.persist.push_back({ExposureKey(address.address()), std::nullopt});
  }
  waiter.generation = ++generation_;
  waiters_.push_back(std::move(waiter));
  Start(out);
}

bool HostSync::OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out) {
  if (!in_flight_.has_value() || in_flight_->id != id) return false;
  const InFlight done = *std::exchange(in_flight_, std::nullopt);
  last_error_ = result.status;
  if (result.status.ok()) {
    synced_ = true;
    applied_ = done.generation;
    backoff_ = absl::ZeroDuration();
    for (const Cidr& gone : done.retired) {
      if (retired_.erase(gone) == 0 || exposures_.contains(gone.address())) continue;
      addresses_.Release(gone.address(), ExposeHolder(gone.address()));
    }
    AnswerWaiters(done.generation, absl::OkStatus(), out);
    Start(out);
    return true;
  }
  logger_.Error("setting up the host failed", {{"reason", result.status.message()}});
  AnswerWaiters(done.generation, result.status, out);
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kMaxBackoff);
  retry_at_ = now.monotonic + backoff_;
  return true;
}

void HostSync::AnswerWaiters(std::uint64_t generation, const absl::Status& status, PeerOutput& out) {
  std::vector<Waiter> due;
  std::vector<Waiter> later;
  for (Waiter& waiter : waiters_) (waiter.generation <= generation ? due : later).push_back(std::move(waiter));
  waiters_ = std::move(later);
  // Newest first, so that undoing several changes of one address ends at the oldest state.
  if (!status.ok())
    for (auto waiter = due.rbegin(); waiter != due.rend(); ++waiter) Revert(*waiter, out);
  for (Waiter& waiter : due)
    out.replies.push_back({waiter.request, status, status.ok() ? std::move(waiter.answer) : std::vector<Cidr>{}});
}

void HostSync::Revert(const Waiter& waiter, PeerOutput& out) {
  for (const Cidr& address : waiter.changed) {
    const auto before = std::find_if(waiter.before.begin(), waiter.before.end(),
                                     [&](const ExposureRecord& r) { return r.cidr == address; });
    if (before != waiter.before.end()) {
      Add(*before);
      out.tidy.push_back({ExposureKey(address.address()), *before});
    } else if (exposures_.contains(address.address())) {
      Remove(address);
      out.tidy.push_back({ExposureKey(address.address()), std::nullopt});
    }
  }
  ++generation_;
}

void HostSync::OnPersistFailed(const std::vector<RecordChange>& changes, const absl::Status& status, PeerOutput& out) {
  const auto concerns = [&](const Waiter& waiter) {
    return std::any_of(changes.begin(), changes.end(), [&](const RecordChange& change) {
      return std::any_of(waiter.changed.begin(), waiter.changed.end(),
                         [&](const Cidr& c) { return change.key == ExposureKey(c.address()); });
    });
  };
  const auto first = std::find_if(waiters_.begin(), waiters_.end(), concerns);
  if (first == waiters_.end()) return;
  // An output carries the change of one request, and outputs fail in order: the oldest concerned is the one.
  const Waiter failed = std::move(*first);
  waiters_.erase(first);
  Revert(failed, out);
  out.replies.push_back({failed.request, status, {}});
  Start(out);
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
  for (const auto& [address, exposure] : exposures_) list.push_back(exposure);
  return list;
}

}  // namespace weave
