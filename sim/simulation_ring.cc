// Simulation: a network whose hosts share a ring. Rounds of failures, after each of which all is healed, everyone is
// back, and all that was promised is demanded.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "sim/ring_checker.h"
#include "sim/simulation.h"

namespace weave::sim {

void Simulation::RunRing() {
  for (std::uint32_t round = 0; round < options_.ring->rounds && !trace_.violation().has_value(); ++round) {
    trace_.Note(0, "round", round);
    for (const auto& member : members_) {
      if (round == 0)
        member->workload.Start();
      else
        member->workload.Resume();
      member->faults.Start();
    }
    network_faults_.Start();
    operators_->Start();
    RunFor(options_.duration);
    network_faults_.Heal();
    operators_->Stop();
    for (const auto& member : members_) {
      member->workload.Stop();
      member->faults.Heal();
    }
    BringEverybodyBack();
    if (!trace_.violation().has_value()) CheckRingAtRest();
  }
}

void Simulation::BringEverybodyBack() {
  const RingOptions& ring = *options_.ring;
  operators_->JoinAll();
  operators_->BringBackSome();
  RunUntilOk(ring.remove_within, [this] { return operators_->CheckLeft(); });
  RunUntilAgreed(options_.agree_within);
  RunUntilOk(ring.remove_within, [this] { return operators_->CheckRemoved(); });
  if (trace_.violation().has_value()) return;
  for (const bool forgetful : {false, true}) {
    operators_->BringBackAll(forgetful);
    RunUntilOk(options_.agree_within, [this] { return operators_->CheckHeard(); });
    if (trace_.violation().has_value()) return;
  }
  RunUntilAgreed(options_.agree_within);
}

void Simulation::CheckRingAtRest() {
  operators_->StopCallers();
  for (const auto& member : members_) member->host.Submit(IpamRequest{AwaitRingOperation{}}, [](const Reply&) {});
  RunUntilOk(options_.ring->serve_within, [this] {
    if (absl::Status served = CheckServed(LiveAllocators()); !served.ok()) return served;
    for (const auto& member : members_)
      if (member->host.waiting_count() > member->host.core().allocator()->Status().pending_allocations.size())
        return absl::InternalError(absl::StrCat("host ", member->host.id(), " does not answer its callers"));
    return absl::OkStatus();
  });
  for (const auto& member : members_) member->host.CancelAll();  // who waits for space that there is not
  CheckAtRest(RunUntilQuiet(options_.rest_within));
  if (trace_.violation().has_value()) return;
  RunUntilOk(options_.ring->settle_within, [this] { return CheckRings(LiveAllocators(), operators_->forgetful()); });
  RunUntilFree();
  for (const auto& member : members_)
    if (const absl::Status given = CheckGiven(network_oracle_, member->host.id(), *member->host.core().allocator());
        !given.ok())
      trace_.Violation(member->host.id(), given.message());
}

// After every event: costs nothing where no disk has changed.
void Simulation::LookAtRing() {
  for (const HostId erased : operators_->TakeErased()) paxos_checker_->Forget(erased);
  bool changed = false;
  for (const auto& member : members_) {
    const std::uint64_t changes = member->host.disk().change_count();
    if (std::exchange(member->disk_changes_seen, changes) == changes) continue;
    changed = true;
    paxos_checker_->Look(member->host.id(), member->host.disk().durable());
  }
  if (!changed || operators_->Forced()) return;
  std::vector<const Allocator*> allocators;
  for (const auto& member : members_)
    if (member->host.up() && operators_->Counts(member->host.id()))
      allocators.push_back(member->host.core().allocator());
  if (const absl::Status owners = CheckOwners(allocators); !owners.ok()) trace_.Violation(0, owners.message());
}

}  // namespace weave::sim
