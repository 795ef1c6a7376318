#include "io/signals.h"

#include <unistd.h>

#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("Signals arrive on the loop and no longer end the process", "[io]") {
  EventLoop loop;
  std::vector<int> received;
  auto watch = SignalWatch::Create(loop, {SIGTERM, SIGINT, SIGHUP, SIGQUIT}, [&](int signal) {
    CHECK(loop.OnLoopThread());
    received.push_back(signal);
    if (received.size() == 2) loop.Stop();
  });
  REQUIRE(watch.ok());
  REQUIRE(::kill(::getpid(), SIGTERM) == 0);
  REQUIRE(::kill(::getpid(), SIGHUP) == 0);
  loop.Run();
  CHECK(received == std::vector<int>{SIGHUP, SIGTERM});
}

TEST_CASE("Without the watch the thread has its old signal mask, and a late signal is dropped", "[io]") {
  EventLoop loop;
  auto watch = SignalWatch::Create(loop, {SIGTERM}, [](int) {});
  REQUIRE(watch.ok());
  REQUIRE(::kill(::getpid(), SIGTERM) == 0);
  watch->reset();
  sigset_t mask;
  REQUIRE(pthread_sigmask(SIG_BLOCK, nullptr, &mask) == 0);
  CHECK(sigismember(&mask, SIGTERM) == 0);
}

}  // namespace
}  // namespace weave
