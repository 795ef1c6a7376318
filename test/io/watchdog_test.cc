#include "io/watchdog.h"

#include <atomic>
#include <thread>

#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {
namespace {

constexpr Duration kLimit = absl::Milliseconds(20);

TEST_CASE("A turn that hangs is reported while it hangs, once, and again when it ends", "[io]") {
  EventLoop loop;
  RememberingLogger log;
  Watchdog watchdog(loop, log, {.limit = kLimit});
  loop.Post([&] {
    log.WaitFor("stuck");
    // Several more looks of the watchdog's fall into the same turn.
    const MonotonicTime reported = MonotonicNow();
    while (MonotonicNow() - reported < 4 * kLimit) std::this_thread::yield();
    loop.Stop();
  });
  loop.Run();
  CHECK(log.CountOf("the loop is stuck in one turn") == 1);
  CHECK(log.CountOf("the loop was busy for too long") == 1);
  CHECK(watchdog.long_turn_count() == 1);
  CHECK(watchdog.longest_turn() > 4 * kLimit);
}

TEST_CASE("A loop that slept for long is watched again", "[io]") {
  EventLoop loop;
  RememberingLogger log;
  Watchdog watchdog(loop, log, {.limit = kLimit});
  const auto timer = loop.MakeTimer([&] {
    log.WaitFor("stuck");
    loop.Stop();
  });
  loop.Post([&] { timer->Arm(loop.now().monotonic + 5 * kLimit); });
  loop.Run();
  CHECK(watchdog.long_turn_count() == 1);
}

TEST_CASE("Short turns are not reported", "[io]") {
  EventLoop loop;
  RememberingLogger log;
  Watchdog watchdog(loop, log, {.limit = absl::Seconds(60)});
  loop.Post([&] { loop.Stop(); });
  loop.Run();
  CHECK(log.lines().empty());
  CHECK(watchdog.long_turn_count() == 0);
}

TEST_CASE("The service manager's watchdog is fed while the loop answers, and not while it hangs", "[io]") {
  EventLoop loop;
  RememberingLogger log;
  std::atomic<int> pings = 0;
  Watchdog watchdog(loop, log, {.limit = absl::Seconds(60), .ping_interval = absl::Milliseconds(5), .ping = [&] {
                                  if (++pings == 3)
                                    loop.Post([&] {
                                      // At most the answer that was already given is passed on.
                                      const MonotonicTime start = MonotonicNow();
                                      const int before = pings;
                                      while (MonotonicNow() - start < absl::Milliseconds(60)) std::this_thread::yield();
                                      CHECK(pings <= before + 1);
                                      loop.Stop();
                                    });
                                }});
  loop.Run();
  CHECK(pings >= 3);
}

}  // namespace
}  // namespace weave
