// What goes wrong on one host, from the seed.
#pragma once

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "base/random.h"
#include "sim/event_queue.h"
#include "sim/options.h"
#include "sim/recurrence.h"
#include "sim/sim_host.h"
#include "sim/workload.h"

namespace weave::sim {

class Faults {
 public:
  // References outlive the faults.
  Faults(const Options& options, SimHost& host, Workload& workload, EventQueue& queue, Random random);

  // Again after each Heal.
  void Start();
  // No new fault; disk and host work, and the peer runs unless its host is lost.
  void Heal();
  // The host is gone, and no fault brings it back.
  void Lose() { lost_ = true; }
  void Return() { lost_ = false; }

 private:
  void Crash();
  void Restart();
  void FillDisk();
  void DeleteBridge();
  void RestartContainer();
  void FailCommands();
  Duration Spell();

  const FaultOptions options_;
  const std::uint32_t usual_failure_permille_;
  SimHost& host_;
  Workload& workload_;
  EventQueue& queue_;
  Random random_;
  bool healed_ = false;
  bool lost_ = false;
  Recurrence recurrence_{queue_, random_};
};

}  // namespace weave::sim
