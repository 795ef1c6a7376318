// Keeps the packet filter as we want it: applies a RuleSet, watches, and applies it again when something took rules
// away. Ties packet_filter.h (in a worker) to packet_filter_watch.h (on the loop).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/log.h"
#include "host/packet_filter.h"
#include "host/packet_filter_watch.h"
#include "io/event_loop.h"
#include "io/worker_pool.h"

namespace weave {

// Loop thread only; the workers must be in the same network namespace, and end before the loop does. At most one worker
// task at a time; a wish that arrives meanwhile replaces the one that waits. Destroying it stops watching and leaves
// the rules as they are; callers still waiting are told Cancelled.
class FirewallKeeper {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  struct Options {
    Duration retry_first = absl::Milliseconds(500);  // after a failure; doubles
    Duration retry_last = absl::Seconds(30);
    Duration displaced_pause = absl::Minutes(1);               // moves our rules back to the top at most this often
    absl::AnyInvocable<void(const absl::Status&)> on_failure;  // each failed attempt; may be empty
    absl::AnyInvocable<void()> on_recovery;                    // first success after a failure; may be empty
  };

  FirewallKeeper(EventLoop& loop, WorkerPool& workers, Logger& log, PacketFilter filter, Options options);
  ~FirewallKeeper();

  // From now on these rules. `done` (may be empty) hears of the first attempt; retries go on after a failure.
  void SetRules(RuleSet rules, Done done);

  // From now on the rules of these paths (AddIpsecRules) besides those of SetRules, which stay as they are. Before
  // SetRules was called nothing is changed: `done` (may be empty) hears of the first attempt that has both.
  // InvalidArgument, which `done` hears at once: the list before stays.
  void SetIpsecPaths(std::vector<IpsecPath> paths, Done done);

  // Times that rules taken away or displaced by others were restored.
  std::uint64_t reapplied_count() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace weave
