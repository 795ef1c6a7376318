#include "sim/kernel_fault.h"

#include <utility>

namespace weave::sim {

KernelFaults::KernelFaults(const KernelFaultOptions& options, std::vector<SimHost*> hosts, std::vector<MacAddress> nics,
                           EventQueue& queue, Trace& trace, Random random)
    : options_(options),
      hosts_(std::move(hosts)),
      nics_(std::move(nics)),
      queue_(queue),
      trace_(trace),
      random_(random) {}

void KernelFaults::Start() {
  recurrence_.NewRound();
  recurrence_.Repeat(options_.datapath_deleted, *this, &KernelFaults::DeleteDatapath);
  recurrence_.Repeat(options_.port_deleted, *this, &KernelFaults::DeletePort);
  recurrence_.Repeat(options_.refusal, *this, &KernelFaults::RefuseFlows);
  recurrence_.Repeat(options_.port_taken, *this, &KernelFaults::TakePort);
  recurrence_.Repeat(options_.foreign_flows, *this, &KernelFaults::LeaveFlows);
}

void KernelFaults::Heal() {
  recurrence_.NewRound();
  for (SimHost* host : hosts_) {
    host->data_path().Refuse(absl::OkStatus(), /*full=*/false);
    host->data_path().ReturnPort();
  }
}

SimHost& KernelFaults::DrawHost(absl::string_view what) {
  SimHost& host = *hosts_[random_.Below(hosts_.size())];
  trace_.Note(host.id(), what);
  return host;
}

void KernelFaults::DeleteDatapath() { DrawHost("datapath deleted").data_path().DeleteDatapath(); }

void KernelFaults::DeletePort() {
  SimHost& host = DrawHost("port of the datapath deleted");
  host.data_path().DeletePort(random_.Chance(1, 2) ? VportKind::kVxlan : VportKind::kNetdev);
}

// As a kernel without memory does, or one whose flows are limited.
void KernelFaults::RefuseFlows() {
  SimDataPath& data_path = DrawHost("flows refused").data_path();
  const bool full = random_.Chance(1, 2);
  data_path.Refuse(full ? absl::OkStatus() : absl::ResourceExhaustedError("no memory"), full);
  queue_.After(Draw(random_, absl::ZeroDuration(), options_.max_refusal),
               [&data_path] { data_path.Refuse(absl::OkStatus(), /*full=*/false); });
}

void KernelFaults::TakePort() {
  SimDataPath& data_path = DrawHost("tunnels' port taken").data_path();
  data_path.TakePort();
  queue_.After(Draw(random_, absl::ZeroDuration(), options_.max_spell), [&data_path] { data_path.ReturnPort(); });
}

void KernelFaults::LeaveFlows() {
  SimHost& host = DrawHost("foreign flows");
  host.Crash();
  host.data_path().LeaveForeignFlows(nics_, random_);
  queue_.After(Draw(random_, absl::ZeroDuration(), absl::Seconds(2)), [&host] {
    if (!host.up()) host.Start();
  });
}

}  // namespace weave::sim
