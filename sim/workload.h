// Callers of one host: each asks for something, waits for the answer, thinks, and asks again. Also starts the
// containers it asks for.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "sim/event_queue.h"
#include "sim/options.h"
#include "sim/sim_host.h"

namespace weave::sim {

class Workload {
 public:
  // References outlive the workload.
  Workload(WorkloadOptions options, SimHost& host, EventQueue& queue, Random random);

  void Start();
  // After Stop, once everything is at rest.
  void Resume();
  // Callers ask nothing new; what waits goes on waiting.
  void Stop() { stopped_ = true; }

  // Ends a container and starts it again after a while, under the same name, or another in its place.
  void RestartContainer();
  // After a reboot: the machine starts its containers anew.
  void StartContainers();

  bool resetting() const { return resetting_; }

 private:
  struct Container {
    std::string ident;
    std::optional<SandboxRef> sandbox;  // absent: not running
  };

  void Think(std::uint32_t caller);
  void Ask(std::uint32_t caller);
  ApiRequest MakeRequest();
  ApiRequest MakeNonsense();
  SandboxRef PickSandbox();
  std::vector<Cidr> PickAddresses(std::size_t min_count);
  std::vector<AddressWish> PickWishes(std::size_t min_count);
  std::string NewIdent();
  void Reset();

  const WorkloadOptions options_;
  SimHost& host_;
  EventQueue& queue_;
  Random random_;
  std::vector<Container> containers_;
  std::uint64_t idents_ = 0;
  bool stopped_ = false;
  bool resetting_ = false;
};

}  // namespace weave::sim
