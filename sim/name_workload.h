// What gives names on one host and takes them away: containers with a host name that start and die, with the peer up or
// down, and somebody who registers fixed names by hand. After a crash of the peer each container is attached once more,
// as a caller does who was not answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/random.h"
#include "base/time.h"
#include "sim/event_queue.h"
#include "sim/name_checker.h"
#include "sim/sim_host.h"
#include "sim/trace.h"

namespace weave::sim {

struct NameOptions {
  std::uint32_t containers = 3;  // on each host, alive or not
  std::uint32_t fixed = 3;       // names that are there without a container, or not
  std::uint32_t hostnames = 6;   // that all hosts share
  Duration max_think_time = absl::Seconds(5);
};

class NameWorkload {
 public:
  // References outlive the workload.
  NameWorkload(NameOptions options, SimHost& host, EventQueue& queue, Trace& trace, Random random);

  void Start() { Think(); }
  // Nothing starts or dies any more; containers that are there get their names.
  void Stop() { stopped_ = true; }

  // Nothing is under way, and what the peer was told before a crash is known.
  bool settled() const;
  // What this host's peer is to have told the network, once settled.
  void AddExpected(LiveNames& names) const;

 private:
  struct Container {
    std::string hostname;
    std::uint32_t address = 0;
    std::optional<SandboxRef> sandbox;  // absent: not running
    std::uint64_t attached_in = 0;      // the life of the peer that said so; 0: it has not
    bool asking = false;
  };
  struct Fixed {
    bool there = false;
    MonotonicTime since;
  };
  using FixedKey = std::pair<std::string, std::uint32_t>;

  std::uint64_t life() const { return host_.crash_count() + 1; }
  void Think();
  void Act();
  void Toggle(Container& container);
  void Attach(Container& container);
  void ToggleFixed();
  void NoticeCrash();
  void AskForHolders();

  const NameOptions options_;
  SimHost& host_;
  EventQueue& queue_;
  Trace& trace_;
  Random random_;
  std::vector<Container> containers_;
  absl::btree_map<FixedKey, Fixed> fixed_;
  std::uint64_t seen_life_ = 1;
  MonotonicTime seen_up_;
  std::uint64_t started_ = 0;  // containers
  bool stopped_ = false;
};

}  // namespace weave::sim
