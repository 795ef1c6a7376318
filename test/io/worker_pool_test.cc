#include "io/worker_pool.h"

#include <pthread.h>

#include <atomic>
#include <latch>
#include <string>

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
  std::latch one_done(1), both_run(2), met(2);
  WorkerPool pool("work", 2);
  CHECK(pool.started_count() == 0);
  pool.Submit([&] { one_done.count_down(); });
  one_done.wait();
  CHECK(pool.started_count() == 1);

  for (int i = 0; i < 2; ++i)
    pool.Submit([&] {
      both_run.arrive_and_wait();
      met.count_down();
    });
  met.wait();
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
