#include "io/worker_pool.h"

#include <pthread.h>

#include <atomic>
#include <string>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("Everything submitted runs before the pool is gone, also what tasks submit", "[io]") {
  std::atomic<int> ran = 0;
  {
    WorkerPool pool("work", 3);
    for (int i = 0; i < 100; ++i)
      pool.Submit([&] {
        pool.Submit([&] { ++ran; });
        ++ran;
      });
  }
  CHECK(ran == 200);
}

TEST_CASE("Threads are started when needed, up to the count, and run side by side", "[io]") {
  WorkerPool pool("work", 2);
  CHECK(pool.started_count() == 0);
  absl::Notification one_done;
  pool.Submit([&] { one_done.Notify(); });
  one_done.WaitForNotification();
  CHECK(pool.started_count() == 1);

  auto* both = new absl::Barrier(2);  // deleted by whoever leaves last, as absl::Barrier wants it
  absl::Notification met;
  for (int i = 0; i < 2; ++i)
    pool.Submit([&, both] {
      if (both->Block()) {
        delete both;
        met.Notify();
      }
    });
  met.WaitForNotification();
  for (int i = 0; i < 20; ++i) pool.Submit([] {});
  CHECK(pool.started_count() == 2);
}

TEST_CASE("One thread runs tasks one after the other, in order, under its name", "[io]") {
  std::string order, name;
  {
    WorkerPool pool("packet-filter-and-more", 1);
    for (char c = 'a'; c <= 'j'; ++c) pool.Submit([&order, c] { order.push_back(c); });
    pool.Submit([&name] {
      char text[16];
      pthread_getname_np(pthread_self(), text, sizeof text);
      name = text;
    });
  }
  CHECK(order == "abcdefghij");
  CHECK(name == "packet-filter-0");
}

}  // namespace
}  // namespace weave
