// Watches of descriptors: both kinds, together and replaced.
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "io/event_loop.h"
#include "io/fd.h"
#include "test/support/catch.h"

namespace weave {
namespace {

struct SocketPair {
  SocketPair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }

  // Until nothing more fits; the count of bytes.
  std::size_t Fill() const {
    const std::string block(4096, 'x');
    std::size_t filled = 0;
    for (ssize_t size; (size = ::send(ours.get(), block.data(), block.size(), MSG_NOSIGNAL)) > 0;) filled += size;
    return filled;
  }
  void Drain() const {
    char block[4096];
    while (::read(theirs.get(), block, sizeof block) > 0) {
    }
  }

  Fd ours, theirs;
};

TEST_CASE("A full socket is not writable until its other end has read", "[io]") {
  EventLoop loop;
  const SocketPair pair;
  REQUIRE(pair.Fill() > 0);
  std::vector<std::string> trace;
  const auto watch = loop.WatchWritable(pair.ours.get(), [&] {
    trace.push_back("writable");
    loop.Stop();
  });
  loop.Post([&] {
    trace.push_back("turn");
    loop.Post([&] {
      trace.push_back("drain");
      pair.Drain();
    });
  });
  loop.Run();
  CHECK(absl::StrJoin(trace, " ") == "turn drain writable");
}

TEST_CASE("A descriptor that stays writable is told once a turn until its watch goes", "[io]") {
  EventLoop loop;
  const SocketPair pair;
  std::vector<std::string> trace;
  int times = 0;
  std::unique_ptr<FdWatch> watch = loop.WatchWritable(pair.ours.get(), [&] {
    trace.push_back("writable");
    if (++times < 3) return;
    watch.reset();
    loop.Stop();
  });
  loop.SetEndOfTurn([&] { trace.push_back("end"); });
  loop.Run();
  CHECK(absl::StrJoin(trace, " ") == "writable end writable end writable end");
}

TEST_CASE("One descriptor has a watch of each kind, and either may go and come again without the other", "[io]") {
  EventLoop loop;
  const SocketPair pair;
  const auto say = [&] { REQUIRE(::write(pair.theirs.get(), "x", 1) == 1); };
  const auto hear = [&] {
    char byte;
    REQUIRE(::read(pair.ours.get(), &byte, 1) == 1);
  };
  int read_count = 0, written_count = 0;
  std::unique_ptr<FdWatch> readable, writable;
  const auto watch_readable = [&] {
    readable = loop.WatchReadable(pair.ours.get(), [&] {
      hear();
      ++read_count;
      loop.Stop();
    });
  };
  const auto watch_writable = [&] {
    writable = loop.WatchWritable(pair.ours.get(), [&] {
      ++written_count;
      writable.reset();
      loop.Stop();
    });
  };
  for (int round = 1; round <= 3; ++round) {
    INFO("round " << round);
    watch_readable();
    watch_writable();
    loop.Run();
    CHECK(written_count == 2 * round - 1);
    CHECK(read_count == round - 1);
    say();
    loop.Run();
    CHECK(written_count == 2 * round - 1);
    CHECK(read_count == round);
    // The loop still waits for bytes when the watch for them goes; the next round's watch gets them all the same.
    watch_writable();
    readable.reset();
    loop.Run();
    CHECK(written_count == 2 * round);
  }
}

TEST_CASE("A watch that replaces itself in its callback does not hold up a turn", "[io]") {
  EventLoop loop;
  const Fd event(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  std::unique_ptr<FdWatch> watch;
  int calls = 0, turns = 0;
  absl::AnyInvocable<void()> replace;
  replace = [&] {
    watch = loop.WatchReadable(event.get(), [&] {
      if (++calls == 5) loop.Stop();
      watch.reset();
      replace();
    });
  };
  replace();
  loop.SetEndOfTurn([&] { ++turns; });
  loop.Run();
  CHECK(calls == 5);
  CHECK(turns >= 5);
}

TEST_CASE("A number that was closed and given to another file is watched anew", "[io]") {
  EventLoop loop;
  const SocketPair first;
  const int number = first.ours.get();
  auto watch = loop.WatchReadable(number, [] { FAIL("of the first socket"); });
  loop.Post([&] {
    const SocketPair second;
    watch.reset();
    REQUIRE(::dup2(second.ours.get(), number) == number);
    watch = loop.WatchReadable(number, [&] { loop.Stop(); });  // the end of the stream: `second` goes
  });
  loop.Run();
  char byte;
  CHECK(::read(number, &byte, 1) == 0);
}

}  // namespace
}  // namespace weave
