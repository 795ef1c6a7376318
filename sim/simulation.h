// A run: hosts, workloads, faults and checkers on one queue. First faults and safety, then healing, rest and
// convergence. Tests also use it without workload and faults, to make their own story.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "sim/address_callers.h"
#include "sim/checker.h"
#include "sim/event_queue.h"
#include "sim/fault.h"
#include "sim/frame_book.h"
#include "sim/frame_workload.h"
#include "sim/guests.h"
#include "sim/kernel_fault.h"
#include "sim/name_checker.h"
#include "sim/name_workload.h"
#include "sim/network_fault.h"
#include "sim/options.h"
#include "sim/paxos_checker.h"
#include "sim/ring_operators.h"
#include "sim/sim_host.h"
#include "sim/trace.h"
#include "sim/workload.h"

namespace weave::sim {

struct Outcome {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;
  std::uint64_t requests = 0;
  std::uint64_t crashes = 0;
  std::uint64_t trace_hash = 0;
  std::optional<std::string> violation;  // the first
};

class Simulation {
 public:
  // Hosts are started; workloads and faults begin with Run.
  explicit Simulation(const Options& options);

  // Both phases. Ends at the first violation.
  Outcome Run();

  EventQueue& queue() { return queue_; }
  Trace& trace() { return trace_; }
  Transport& transport() { return transport_; }
  SimHost& host(HostId id = 0) { return members_[id]->host; }

  // Stops at a violation.
  void RunFor(Duration duration);
  // Until nothing is left to do; false when `within` was not enough.
  bool RunUntilQuiet(Duration within = absl::Minutes(10));
  // Until all hosts that are up agree who is in the network and how to reach them. Violation when `within` was not
  // enough.
  void RunUntilAgreed(Duration within);
  // Until all hosts that are up answer for the names of all of these, and no others; they agree already. Violation when
  // `within` was not enough.
  void RunUntilNamed(Duration within);
  // Until nobody waits for an answer; some need other hosts. False when `within` was not enough.
  bool RunUntilAnswered(Duration within);
  // What must hold at rest.
  void CheckAtRest(bool quiet);

  Outcome outcome() const;

 private:
  struct Member {
    Member(HostId id, const Options& options, const World& world, NetworkOracle& network, const Random& random);
    ~Member() { host.Abandon(); }

    AddressOracle oracle;
    SimHost host;
    Workload workload;
    NameWorkload names;
    Faults faults;
    AddressCallers callers;
    Guests guests;
    std::uint64_t disk_changes_seen = 0;
  };

  void RunTo(MonotonicTime end);
  void RunNext();
  // Asks every second of virtual time. Violation when `within` was not enough.
  void RunUntilOk(Duration within, absl::FunctionRef<absl::Status()> check);
  // Until nothing is on record any more for guests that are not there. Violation when it takes too long.
  void RunUntilFree();
  void ConnectAtRandom(Random random);
  absl::Status CheckNamesNow() const;
  void ConnectAround(Random random);
  std::vector<const Allocator*> LiveAllocators() const;

  // ---- a ring (simulation_ring.cc) ----
  void RunRing();
  void BringEverybodyBack();
  void CheckRingAtRest();
  void LookAtRing();

  // ---- frames (simulation_frames.cc) ----
  void CheckFlows();
  void RunFrames();
  std::vector<FrameId> SendToEach();
  void ProbeSizes();
  absl::Status CheckHeardByAll(const FrameStory& story) const;
  absl::Status CheckArrived(const FrameStory& story) const;
  absl::Status CheckArrivedOrAnswered(const FrameStory& story) const;
  absl::Status CheckFastPaths() const;
  const ForwardingHop* HopTo(HostId from, HostId to) const;
  std::optional<HostId> HostOf(const MacAddress& mac) const;
  bool IsOnlyWay(HostId a, HostId b) const;
  // By which data paths send frames: each has routes and ways, and has let go so many flows because nobody used them.
  struct Knowledge {
    std::vector<std::pair<ForwardingSnapshotPtr, std::uint64_t>> data_paths;
    std::uint64_t too_large = 0;  // datagrams, from which their senders have learnt

    friend bool operator==(const Knowledge&, const Knowledge&) = default;
  };
  Knowledge KnowledgeNow() const;
  // Each frame must fare so, unless that changes meanwhile: then they are sent again.
  void Probe(absl::string_view what, absl::FunctionRef<std::vector<FrameId>()> send,
             absl::FunctionRef<absl::Status(const FrameStory&)> judge);
  void RestartOne(const std::vector<FrameId>& established);

  // A host whose end leaves the others connected.
  HostId PickLeaf() const;
  // A peer that is lost takes its names with it, and brings them back.
  void LoseOne();

  const Options options_;
  EventQueue queue_;
  Trace trace_;
  const Random random_;
  Transport transport_;
  Datagrams datagrams_;
  NetworkFaults network_faults_;
  NetworkOracle network_oracle_;
  NameChecker name_checker_;
  FrameBook frame_book_;
  std::vector<std::unique_ptr<Member>> members_;
  std::optional<PaxosChecker> paxos_checker_;  // as the next: of a ring
  std::optional<RingOperators> operators_;
  std::optional<FrameWorkload> frames_;
  std::optional<KernelFaults> kernel_faults_;
};

}  // namespace weave::sim
