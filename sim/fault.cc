#include "sim/fault.h"

namespace weave::sim {

Faults::Faults(const Options& options, SimHost& host, Workload& workload, EventQueue& queue, Random random)
    : options_(options.faults),
      usual_failure_permille_(options.host.model.failure_permille),
      host_(host),
      workload_(workload),
      queue_(queue),
      random_(random) {}

void Faults::Start() {
  recurrence_.NewRound();
  healed_ = false;
  recurrence_.Repeat(options_.crash, *this, &Faults::Crash);
  recurrence_.Repeat(options_.disk_full, *this, &Faults::FillDisk);
  recurrence_.Repeat(options_.bridge_deleted, *this, &Faults::DeleteBridge);
  recurrence_.Repeat(options_.failing_host, *this, &Faults::FailCommands);
  recurrence_.Repeat(options_.container_restart, *this, &Faults::RestartContainer);
}

Duration Faults::Spell() { return Draw(random_, absl::ZeroDuration(), options_.max_spell); }

void Faults::Crash() {
  if (!host_.up() || lost_) return;
  if (random_.Chance(options_.reboot_permille, 1000)) {
    host_.Reboot();
    workload_.StartContainers();
  } else {
    host_.Crash();
  }
  queue_.After(random_.Chance(1, 2) ? absl::ZeroDuration() : Spell(), [this] { Restart(); });
}

void Faults::Restart() {
  if (!host_.up() && !lost_) host_.Start();
}

void Faults::FillDisk() {
  host_.disk().SetFull(true);
  queue_.After(Spell(), [this] { host_.disk().SetFull(false); });
}

void Faults::DeleteBridge() { host_.model().DeleteBridge(); }

void Faults::RestartContainer() { workload_.RestartContainer(); }

void Faults::FailCommands() {
  host_.model().SetFailurePermille(700);
  queue_.After(Spell(), [this] { host_.model().SetFailurePermille(healed_ ? 0 : usual_failure_permille_); });
}

void Faults::Heal() {
  healed_ = true;
  recurrence_.NewRound();
  host_.Heal();
  Restart();
}

}  // namespace weave::sim
