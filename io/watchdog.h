// Watches a loop from its own thread: a turn over the limit is logged while it still runs and again with its duration
// when it ends, and systemd's watchdog is fed only while the loop answers (design: "a watchdog reports a turn over
// 100 ms").
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "base/log.h"
#include "base/time.h"
#include "io/event_loop.h"

namespace weave {

// Made and destroyed on the loop's thread or while it does not run; destroyed before the loop. Costs the loop two
// atomic stores a turn, and nothing while the loop sleeps.
class Watchdog {
 public:
  struct Options {
    Duration limit = absl::Milliseconds(100);

    // Every `ping_interval` the loop is asked for a sign of life; `ping` is called on the watchdog's thread each time
    // it gave one. Zero: never.
    Duration ping_interval = absl::ZeroDuration();
    absl::AnyInvocable<void()> ping = nullptr;
  };

  Watchdog(EventLoop& loop, Logger& log, Options options);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  // Metrics, from any thread: turns over the limit that were noticed so far (a running one included), and the longest
  // turn that has ended.
  std::uint64_t long_turn_count() const;
  Duration longest_turn() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
