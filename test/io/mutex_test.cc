#include "io/mutex.h"

#include <thread>
#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

struct Counter {
  Mutex mutex;
  CondVar changed;
  int count ABSL_GUARDED_BY(mutex) = 0;
};

void AddMany(Counter& counter, int times) {
  for (int i = 0; i < times; ++i) {
    const MutexLock lock(&counter.mutex);
    ++counter.count;
    counter.changed.SignalAll();
  }
}

TEST_CASE("What threads do under one mutex adds up, and a waiter sees it", "[io]") {
  Counter counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { AddMany(counter, 1000); });
  {
    const MutexLock lock(&counter.mutex);
    while (counter.count < 4000) counter.changed.Wait(&counter.mutex);
    CHECK(counter.count == 4000);
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("A wait that nobody ends lasts its time-out and holds the mutex afterwards", "[io]") {
  Counter counter;
  const MutexLock lock(&counter.mutex);
  for (const Duration timeout : {absl::Milliseconds(5), absl::ZeroDuration(), absl::Seconds(-1)}) {
    const auto start = std::chrono::steady_clock::now();
    while (!counter.changed.WaitWithTimeout(&counter.mutex, timeout)) continue;  // woken for no reason
    CHECK(absl::FromChrono(std::chrono::steady_clock::now() - start) >= timeout);
  }
  std::thread other([&] { AddMany(counter, 1); });
  CHECK(counter.count == 0);
  while (counter.count == 0) CHECK_FALSE(counter.changed.WaitWithTimeout(&counter.mutex, absl::InfiniteDuration()));
  counter.mutex.Unlock();
  other.join();
  counter.mutex.Lock();
}

}  // namespace
}  // namespace weave
