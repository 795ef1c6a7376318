// A loop, sockets on the loopback, and queries to be sent through them.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "dns/message.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/event_loop.h"
#include "io/fd.h"
#include "io/sockaddr.h"
#include "test/support/catch.h"

namespace weave::test {

inline SocketAddress Loopback(std::uint16_t port = 0) { return {IpAddress::V4(0x7f000001), port}; }

inline Fd Bound(int type, const SocketAddress& address = Loopback()) {
  Fd fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const KernelAddress kernel(address);
  REQUIRE(::bind(fd.get(), kernel.get(), kernel.size()) == 0);
  return fd;
}

// `name` for an address, of id 0xabcd.
inline Bytes Question(const std::string& name, std::uint16_t type = 1) {
  Bytes query = {0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  std::size_t at = 0;
  while (at < name.size()) {
    const std::size_t end = std::min(name.find('.', at), name.size());
    query.push_back(static_cast<std::uint8_t>(end - at));
    query.insert(query.end(), name.begin() + static_cast<std::ptrdiff_t>(at),
                 name.begin() + static_cast<std::ptrdiff_t>(end));
    at = end + 1;
  }
  query.insert(query.end(), {0, static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type), 0, 1});
  return query;
}

struct LoopWorld {
  // Runs the loop until `done` holds; a test that waits for more than 10 s fails.
  void RunUntil(const std::function<bool()>& done) {
    bool late = false;
    const std::unique_ptr<Timer> limit = loop.MakeTimer([&] {
      late = true;
      loop.Stop();
    });
    limit->Arm(MonotonicNow() + absl::Seconds(10));
    // What `done` looks at may be a socket that the loop does not watch.
    const std::unique_ptr<Timer> look = loop.MakeTimer([] {});
    loop.SetEndOfTurn([&] {
      if (done()) return loop.Stop();
      look->Arm(MonotonicNow() + absl::Milliseconds(2));
    });
    loop.Run();
    loop.SetEndOfTurn([] {});
    CHECK_FALSE(late);
  }

  NullLogger logger;
  KernelEntropy entropy;
  EventLoop loop;
};

}  // namespace weave::test
