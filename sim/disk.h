// The disk of one simulated host: records survive a crash once their commit is done; what was only asked for may be
// lost. As SQLite promises: commits are whole, and in order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/random.h"
#include "peer/core/records.h"
#include "sim/event_queue.h"
#include "sim/trace.h"

namespace weave::sim {

struct DiskOptions {
  Duration min_latency = absl::Microseconds(200);  // of one commit
  Duration max_latency = absl::Milliseconds(8);
  std::uint32_t error_permille = 0;  // commits that fail for no lasting reason

  bool lie_about_sync = false;  // mutant: a crash loses the last commit that was reported as done
};

class SimDisk {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  using Records = absl::btree_map<std::string, Record>;

  // References outlive the disk.
  SimDisk(HostId host, DiskOptions options, EventQueue& queue, Random random, Trace& trace);

  // Writes asked for while a commit runs share the next one; each `done` is called once, in order, unless the machine
  // crashes first.
  void Write(std::vector<RecordChange> changes, Done done);

  // The process died: the commit that runs is on disk or not, what waits is lost, nobody is told.
  void Crash();

  // Erases everything, as `weave reset` removes the file.
  void Wipe() {
    durable_.clear();
    ++change_count_;
  }

  void SetFull(bool full) { full_ = full; }
  void Heal();

  const Records& durable() const { return durable_; }
  // Grows whenever `durable` may have changed.
  std::uint64_t change_count() const { return change_count_; }
  bool idle() const { return committing_.empty() && waiting_.empty(); }

 private:
  struct PendingWrite {
    std::vector<RecordChange> changes;
    Done done;
  };

  void StartCommit();
  void FinishCommit();
  void Apply(const std::vector<RecordChange>& changes);

  const HostId host_;
  DiskOptions options_;
  EventQueue& queue_;
  Random random_;
  Trace& trace_;
  Records durable_;
  std::uint64_t change_count_ = 0;
  Records before_last_commit_;  // kept for the mutant only
  std::vector<PendingWrite> committing_;
  std::vector<PendingWrite> waiting_;
  bool full_ = false;
  std::uint64_t incarnation_ = 0;
};

}  // namespace weave::sim
