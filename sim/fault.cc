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
  ++round_;
  healed_ = false;
  Repeat(options_.crash, &Faults::Crash);
  Repeat(options_.disk_full, &Faults::FillDisk);
  Repeat(options_.bridge_deleted, &Faults::DeleteBridge);
  Repeat(options_.failing_host, &Faults::FailCommands);
  Repeat(options_.container_restart, &Faults::RestartContainer);
}

void Faults::Repeat(Duration mean, void (Faults::*fault)()) {
  if (mean == absl::ZeroDuration()) return;
  queue_.After(Draw(random_, absl::ZeroDuration(), 2 * mean), [this, mean, fault, round = round_] {
    if (round != round_) return;
    (this->*fault)();
    Repeat(mean, fault);
  });
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
  ++round_;
  host_.Heal();
  Restart();
}

}  // namespace weave::sim
