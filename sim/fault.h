// What goes wrong on one host, from the seed.
#pragma once

#include "absl/functional/any_invocable.h"
#include "base/random.h"
#include "sim/event_queue.h"
#include "sim/options.h"
#include "sim/sim_host.h"
#include "sim/workload.h"

namespace weave::sim {

class Faults {
 public:
  // References outlive the faults.
  Faults(const Options& options, SimHost& host, Workload& workload, EventQueue& queue, Random random);

  void Start();
  // No new fault; the peer runs, disk and host work.
  void Heal();

 private:
  void Repeat(Duration mean, void (Faults::*fault)());
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
};

}  // namespace weave::sim
