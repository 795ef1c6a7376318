#include "io/event_loop.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_join.h"
#include "io/fd.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Trace = std::vector<std::string>;

std::string Join(const Trace& trace) { return absl::StrJoin(trace, " "); }

TEST_CASE("Tasks run in the order they were posted, those of a task in the next turn", "[io]") {
  EventLoop loop;
  Trace trace;
  loop.SetEndOfTurn([&] { trace.push_back("end"); });
  loop.Post([&] {
    trace.push_back("a");
    loop.Post([&] {
      trace.push_back("c");
      loop.Stop();
    });
  });
  loop.Post([&] { trace.push_back("b"); });
  loop.Run();
  CHECK(Join(trace) == "a b end c end");
}

TEST_CASE("Every task posted from several threads runs once, on the loop's thread", "[io]") {
  constexpr int kThreads = 4, kTasks = 2000;
  EventLoop loop;
  std::thread::id loop_thread;
  int ran = 0, strays = 0;
  std::thread runner([&] {
    loop_thread = std::this_thread::get_id();
    loop.Run();
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (int task = 0; task < kTasks; ++task)
        loop.Post([&] {
          strays += std::this_thread::get_id() == loop_thread && loop.OnLoopThread() ? 0 : 1;
          if (++ran == kThreads * kTasks) loop.Stop();
        });
    });
  for (std::thread& thread : threads) thread.join();
  runner.join();
  CHECK(ran == kThreads * kTasks);
  CHECK(strays == 0);
}

TEST_CASE("Another thread is not the loop's while the loop runs", "[io]") {
  EventLoop loop;
  CHECK(loop.OnLoopThread());
  bool elsewhere = true;
  loop.Post([&] {
    std::thread([&] { elsewhere = loop.OnLoopThread(); }).join();
    loop.Stop();
  });
  loop.Run();
  CHECK_FALSE(elsewhere);
}

TEST_CASE("Timers fire by deadline, equal ones in the order they were armed", "[io]") {
  EventLoop loop;
  Trace trace;
  const MonotonicTime start = MonotonicNow();
  const auto make = [&](const char* name) { return loop.MakeTimer([&trace, name] { trace.push_back(name); }); };
  const auto late = make("late"), first = make("first"), second = make("second"), early = make("early");
  const auto last = loop.MakeTimer([&] { loop.Stop(); });
  late->Arm(start + absl::Milliseconds(20));
  first->Arm(start + absl::Milliseconds(10));
  second->Arm(start + absl::Milliseconds(10));
  early->Arm(start + absl::Milliseconds(5));
  last->Arm(start + absl::Milliseconds(30));
  loop.Run();
  CHECK(Join(trace) == "early first second late");
  CHECK(loop.now().monotonic >= start + absl::Milliseconds(30));
}

TEST_CASE("A timer can be moved, disarmed and destroyed by callbacks of timers", "[io]") {
  EventLoop loop;
  Trace trace;
  const MonotonicTime start = MonotonicNow();
  std::unique_ptr<Timer> own, moved, dropped, disarmed;
  own = loop.MakeTimer([&] {
    trace.push_back("own");
    own.reset();
    dropped.reset();
    disarmed->Disarm();
    moved->Arm(start + absl::Milliseconds(20));
  });
  moved = loop.MakeTimer([&] {
    trace.push_back("moved");
    loop.Stop();
  });
  dropped = loop.MakeTimer([&] { trace.push_back("dropped"); });
  disarmed = loop.MakeTimer([&] { trace.push_back("disarmed"); });
  own->Arm(start);
  moved->Arm(start);
  dropped->Arm(start);
  disarmed->Arm(start);
  loop.Run();
  CHECK(Join(trace) == "own moved");
  CHECK(loop.now().monotonic >= start + absl::Milliseconds(20));
  CHECK_FALSE(moved->armed());
}

TEST_CASE("A timer that keeps arming itself in the past does not hold up a turn", "[io]") {
  EventLoop loop;
  int fired = 0, turns = 0;
  std::unique_ptr<Timer> timer;
  timer = loop.MakeTimer([&] {
    if (++fired == 100) loop.Stop();
    timer->Arm(MonotonicTime(0));
  });
  loop.SetEndOfTurn([&] { ++turns; });
  timer->Arm(MonotonicTime(0));
  loop.Run();
  CHECK(fired == 100);
  CHECK(turns >= 100);
  timer.reset();
}

TEST_CASE("A descriptor that stays readable is told once a turn until its watch goes", "[io]") {
  EventLoop loop;
  const Fd event(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  Trace trace;
  int times = 0;
  std::unique_ptr<FdWatch> watch = loop.WatchReadable(event.get(), [&] {
    trace.push_back("readable");
    if (++times == 3) {
      watch.reset();
      loop.Stop();
    }
  });
  loop.SetEndOfTurn([&] { trace.push_back("end"); });
  loop.Run();
  CHECK(Join(trace) == "readable end readable end readable end");
  CHECK(::close(::dup(event.get())) == 0);  // the descriptor is still ours
}

TEST_CASE("The end of a stream counts as readable", "[io]") {
  EventLoop loop;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  ssize_t size = -1;
  const auto watch = loop.WatchReadable(ours.get(), [&] {
    char byte;
    size = ::read(ours.get(), &byte, 1);
    loop.Stop();
  });
  loop.Post([&] { theirs.reset(); });
  loop.Run();
  CHECK(size == 0);
}

TEST_CASE("Two readable descriptors share a turn, and one may end the other's watch", "[io]") {
  EventLoop loop;
  const Fd one(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)), two(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  std::unique_ptr<FdWatch> first, second;
  int calls = 0;
  const auto on_readable = [&](std::unique_ptr<FdWatch>& other) {
    ++calls;
    other.reset();
    loop.Stop();
  };
  first = loop.WatchReadable(one.get(), [&] { on_readable(second); });
  second = loop.WatchReadable(two.get(), [&] { on_readable(first); });
  loop.Run();
  CHECK(calls == 1);
}

TEST_CASE("Time stands still within a turn and does not go back between turns", "[io]") {
  EventLoop loop;
  Now within[2], next;
  loop.Post([&] {
    within[0] = loop.now();
    while (MonotonicNow() - within[0].monotonic < absl::Milliseconds(2)) {
    }
    within[1] = loop.now();
    loop.Post([&] {
      next = loop.now();
      loop.Stop();
    });
  });
  loop.Run();
  CHECK(within[0].monotonic == within[1].monotonic);
  CHECK(within[0].wall == within[1].wall);
  CHECK(next.monotonic - within[0].monotonic >= absl::Milliseconds(2));
}

TEST_CASE("A stopped loop can run again and finds what was posted meanwhile", "[io]") {
  EventLoop loop;
  int ran = 0;
  loop.Post([&] { loop.Stop(); });
  loop.Run();
  loop.Post([&] {
    ++ran;
    loop.Stop();
  });
  loop.Run();
  CHECK(ran == 1);
}

TEST_CASE("Tasks that never ran are destroyed with the loop, with what they own", "[io]") {
  const auto owned = std::make_shared<int>(1);
  {
    EventLoop loop;
    loop.Post([owned, timer = loop.MakeTimer([] {})] {});
    CHECK(owned.use_count() == 2);
  }
  CHECK(owned.use_count() == 1);
}

}  // namespace
}  // namespace weave
