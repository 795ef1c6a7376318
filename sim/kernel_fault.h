// What others do to the kernels below the data paths, from the seed: a datapath or a port of it is deleted, flows are
// refused, the tunnels' UDP port is taken, and a start finds flows that another program has made.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "base/mac.h"
#include "base/random.h"
#include "base/time.h"
#include "sim/event_queue.h"
#include "sim/recurrence.h"
#include "sim/sim_host.h"
#include "sim/trace.h"

namespace weave::sim {

// Mean times between faults of a kind in the whole network; zero: never.
struct KernelFaultOptions {
  Duration datapath_deleted = absl::ZeroDuration();
  Duration port_deleted = absl::ZeroDuration();
  Duration refusal = absl::ZeroDuration();
  Duration port_taken = absl::ZeroDuration();
  Duration foreign_flows = absl::ZeroDuration();  // with a crash, so that a start finds them
  // Shorter than what keys outlive flows by: those that cannot be deleted would else outlive the keys.
  Duration max_refusal = absl::Seconds(10);
  Duration max_spell = absl::Minutes(1);  // of the others
};

class KernelFaults {
 public:
  // `nics`: of all containers there may be. References outlive the faults.
  KernelFaults(const KernelFaultOptions& options, std::vector<SimHost*> hosts, std::vector<MacAddress> nics,
               EventQueue& queue, Trace& trace, Random random);

  // Again after each Heal.
  void Start();
  // No new fault; kernels do what they are asked.
  void Heal();

 private:
  void DeleteDatapath();
  void DeletePort();
  void RefuseFlows();
  void TakePort();
  void LeaveFlows();
  SimHost& DrawHost(absl::string_view what);

  const KernelFaultOptions options_;
  const std::vector<SimHost*> hosts_;
  const std::vector<MacAddress> nics_;
  EventQueue& queue_;
  Trace& trace_;
  Random random_;
  Recurrence recurrence_{queue_, random_};
};

}  // namespace weave::sim
