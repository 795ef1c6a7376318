// What many or half-open connections may cost: the rate of accepting, the limit of those not introduced, descriptors.
#include <sys/resource.h>

#include "absl/strings/match.h"
#include "io/token_bucket.h"
#include "test/io/transport_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const IpAddress kLoopback = IpAddress::V4(0x7f000001);

TEST_CASE("A token bucket gives its capacity at once, then one each interval, and no more after a long rest", "[io]") {
  const auto at = [](int milliseconds) { return MonotonicTime(0) + absl::Milliseconds(milliseconds); };
  TokenBucket bucket(3, absl::Milliseconds(50));
  const auto take_all = [&](MonotonicTime now) {
    int count = 0;
    while (bucket.Take(now)) ++count;
    return count;
  };
  CHECK(take_all(at(1000)) == 3);
  CHECK(bucket.NextToken() == at(1050));
  CHECK(take_all(at(1049)) == 0);
  CHECK(take_all(at(1050)) == 1);
  CHECK(take_all(at(1150)) == 2);
  CHECK(take_all(at(1175)) == 0);
  CHECK(take_all(at(1200)) == 1);
  CHECK(take_all(at(100'000)) == 3);
}

TEST_CASE("A burst is accepted at once, what comes on top one each interval", "[io][tcp]") {
  constexpr Duration kInterval = absl::Milliseconds(20);
  EventLoop loop;
  Endpoint server(loop, {.host = kLoopback, .accept_burst = 3, .accept_interval = kInterval});
  REQUIRE(server.transport.Listen().ok());
  std::vector<PlainSocket> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(PlainSocket::Connect(server.transport.listen_address()));
  RunUntil(loop, [&] { return server.accepted.size() == clients.size(); });
  std::vector<Duration> after;
  for (const std::uint64_t id : server.accepted)
    after.push_back(server.seen[id].opened_at - server.seen[server.accepted[0]].opened_at);
  CHECK(after[2] == absl::ZeroDuration());
  for (int i = 3; i < 6; ++i) CHECK(after[i] >= (i - 2) * kInterval);
}

TEST_CASE("Half-open connections of one address displace each other, not those of others", "[io][tcp]") {
  EventLoop loop;
  Endpoint server(loop, {.host = kLoopback, .max_pending_count = 4});
  REQUIRE(server.transport.Listen().ok());
  std::vector<PlainSocket> clients;
  // The id of the next connection, from that address.
  const auto come = [&](const char* from) {
    clients.push_back(PlainSocket::Connect(server.transport.listen_address(), from));
    RunUntil(loop, [&] { return server.accepted.size() == clients.size(); });
    return server.accepted.back();
  };
  const auto displaced = [&](std::uint64_t id) { return !server.seen[id].closed.empty(); };

  const std::uint64_t admitted = come("127.0.0.2:0");
  server.transport.Admit(admitted);
  const std::uint64_t flood1 = come("127.0.0.2:0"), other = come("127.0.0.3:0"), flood2 = come("127.0.0.2:0"),
                      flood3 = come("127.0.0.2:0");
  CHECK(server.transport.stats().displaced_count == 0);  // the admitted one does not count

  const std::uint64_t third = come("127.0.0.4:0");
  CHECK(displaced(flood1));
  CHECK(server.seen[flood1].closed == "closed for another: 4 connections have not introduced themselves");
  CHECK(server.seen[flood1].code == absl::StatusCode::kResourceExhausted);
  CHECK(clients[1].Read() == "");
  CHECK(clients[1].error() == ECONNRESET);

  const std::uint64_t flood4 = come("127.0.0.2:0");
  CHECK(displaced(flood2));
  for (const std::uint64_t id : {admitted, other, flood3, third, flood4}) CHECK_FALSE(displaced(id));
  CHECK(server.transport.stats().displaced_count == 2);

  // Room that one makes by going, and one by introducing itself.
  server.transport.Close(flood3);
  server.transport.Admit(flood4);
  come("127.0.0.2:0");
  come("127.0.0.2:0");
  CHECK(server.transport.stats().displaced_count == 2);
  CHECK(server.transport.stats().accepted_count == 9);
}

TEST_CASE("The limit of half-open connections counts each once, however it ends", "[io][tcp]") {
  EventLoop loop;
  Endpoint server(loop, {.host = kLoopback, .max_pending_count = 2, .accept_interval = absl::Milliseconds(1)});
  REQUIRE(server.transport.Listen().ok());
  std::size_t count = 0;
  for (int round = 0; round < 10; ++round) {
    PlainSocket client = PlainSocket::Connect(server.transport.listen_address());
    ++count;
    RunUntil(loop, [&] { return server.accepted.size() == count; });
    const std::uint64_t id = server.accepted.back();
    if (round % 2 == 0) server.transport.Admit(id);
    if (round % 3 == 0) server.transport.Admit(id);
    if (round % 4 != 0) client.Reset();
    if (round % 4 == 0) server.transport.Close(id);
    RunUntil(loop, [&] { return server.transport.connection_count() == 0; });
  }
  CHECK(server.transport.stats().displaced_count == 0);
  const PlainSocket one = PlainSocket::Connect(server.transport.listen_address());
  const PlainSocket two = PlainSocket::Connect(server.transport.listen_address());
  RunUntil(loop, [&] { return server.accepted.size() == count + 2; });
  CHECK(server.transport.stats().displaced_count == 0);
}

// The sanitizers look at objects by way of a pipe and take a failure of pipe() for a wild pointer.
#if defined(__SANITIZE_ADDRESS__)
#define WEAVE_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEAVE_TEST_SANITIZED 1
#endif
#endif
#ifndef WEAVE_TEST_SANITIZED

// While it lives, this process can open nothing more.
class DescriptorShortage {
 public:
  DescriptorShortage() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit low = before_;
    low.rlim_cur = std::min<rlim_t>(before_.rlim_cur, 128);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) fillers_.emplace_back(fd);
    REQUIRE(errno == EMFILE);
  }
  ~DescriptorShortage() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
  std::vector<Fd> fillers_;
};

TEST_CASE("Without descriptors, who comes is reset and the loop stays calm; with some again, all is well",
          "[io][tcp]") {
  EventLoop loop;
  Endpoint server(loop);
  REQUIRE(server.transport.Listen().ok());
  std::vector<PlainSocket> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(PlainSocket::Connect(server.transport.listen_address()));
  {
    const DescriptorShortage shortage;
    RunUntil(loop, [&] { return server.transport.stats().refused_count == clients.size(); });
    int turns = 0;
    loop.SetEndOfTurn([&] { ++turns; });
    const auto timer = loop.MakeTimer([&] { loop.Stop(); });
    timer->Arm(MonotonicNow() + absl::Milliseconds(20));
    loop.Run();
    CHECK(turns <= 3);

    const std::uint64_t id = server.Connect(server.transport.listen_address());
    RunUntil(loop, [&] { return server.seen.count(id) == 1; });
    CHECK(server.seen[id].closed == "open a socket: Too many open files");
    CHECK(server.seen[id].code == absl::StatusCode::kResourceExhausted);
  }
  for (PlainSocket& client : clients) {
    CHECK(client.Read() == "");
    CHECK(client.error() == ECONNRESET);
  }
  CHECK(server.log.CountOf("refusing connections: no descriptor is free") == 1);
  CHECK(server.log.CountOf("too many open files") == 1);

  const PlainSocket late = PlainSocket::Connect(server.transport.listen_address());
  RunUntil(loop, [&] { return server.accepted.size() == 1; });
  CHECK(server.log.CountOf("accepting connections again") == 1);
  CHECK(server.log.CountOf("refused=5") == 1);
}

#endif  // WEAVE_TEST_SANITIZED

TEST_CASE("Those who were gone before they were accepted cost nobody anything", "[io][tcp]") {
  EventLoop loop;
  Endpoint server(loop);
  REQUIRE(server.transport.Listen().ok());
  for (int i = 0; i < 5; ++i) PlainSocket::Connect(server.transport.listen_address()).Reset();
  const PlainSocket stays = PlainSocket::Connect(server.transport.listen_address());
  RunUntil(loop, [&] {
    return !server.accepted.empty() && server.seen[server.accepted.back()].remote == stays.local() &&
           server.transport.connection_count() == 1;
  });
  CHECK(server.seen[server.accepted.back()].closed == "");
}

}  // namespace
}  // namespace weave
