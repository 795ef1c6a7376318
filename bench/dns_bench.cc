// What a query for a local name costs, however many names there are: the server on a loop of its own, one client on the
// loopback that keeps some queries open. Prints a line for each count of names; and what the resolver takes by itself,
// where there are no sockets.
//
//   dns_bench [QUERIES]     100000 by default
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "dns/os/dns_server.h"
#include "io/entropy.h"
#include "io/event_loop.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

constexpr std::size_t kOpenCount = 16;  // queries that the client has open

struct Everybody final : KnownPeers {
  bool IsKnown(PeerName) const override { return true; }
};

std::string HostOf(std::uint32_t i) { return "host" + std::to_string(i); }

Bytes Query(std::uint16_t id, const std::string& host) {
  Bytes query = {static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  for (const std::string& label : {host, std::string("weave"), std::string("local")}) {
    query.push_back(static_cast<std::uint8_t>(label.size()));
    query.insert(query.end(), label.begin(), label.end());
  }
  query.insert(query.end(), {0, 0, 1, 0, 1});
  return query;
}

double CpuSeconds(clockid_t clock) {
  timespec time = {};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Round trips in seconds, sorted.
std::vector<double> Ask(const SocketAddress& server, std::uint32_t names, std::size_t count, std::size_t open) {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const KernelAddress kernel(server);
  CHECK(::connect(fd.get(), kernel.get(), kernel.size()) == 0);
  std::vector<double> sent(65536), times;
  std::size_t asked = 0;
  Random random(1);
  const auto ask = [&] {
    const auto id = static_cast<std::uint16_t>(asked++);
    const Bytes query = Query(id, HostOf(static_cast<std::uint32_t>(random.Below(names))));
    sent[id] = Now();
    CHECK(::send(fd.get(), query.data(), query.size(), 0) > 0);
  };
  for (std::size_t i = 0; i < open; ++i) ask();
  while (times.size() < count) {
    std::uint8_t answer[512];
    CHECK(::recv(fd.get(), answer, sizeof answer, 0) > 0);
    CHECK(answer[7] == 1);
    times.push_back(Now() - sent[DnsIdOf(answer)]);
    if (asked < count) ask();
  }
  std::sort(times.begin(), times.end());
  return times;
}

void AddNames(std::uint32_t count, NameRegistry& names) {
  for (std::uint32_t i = 0; i < count; ++i)
    names.Add("c" + std::to_string(i), 0x0a200000 + i, HostOf(i) + ".weave.local");
  names.TakeOwnChanges();
}

// Time from query to answer in the resolver alone, of which making the query is a part.
void MeasureResolver(std::uint32_t name_count, std::size_t queries) {
  NullLogger logger;
  Everybody everybody;
  NameRegistry names(PeerName(1), "weave.local.", everybody, logger);
  AddNames(name_count, names);
  NameResolver resolver(names, 1, Random(1));
  Random random(1);
  Bytes answer;
  double best = 1;
  for (int round = 0; round < 5; ++round) {
    const double start = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
    for (std::size_t i = 0; i < queries; ++i) {
      const Bytes query = Query(1, HostOf(static_cast<std::uint32_t>(random.Below(name_count))));
      answer.clear();
      CHECK(resolver.Resolve(query, NameResolver::Transport::kUdp, answer) == NameResolver::Outcome::kAnswered);
    }
    best = std::min(best, (CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - start) / static_cast<double>(queries));
  }
  std::printf("%7u names, resolver: %5.0f ns of CPU a query, making it included\n", name_count, 1e9 * best);
}

void Measure(std::uint32_t name_count, std::size_t queries, std::size_t open) {
  NullLogger logger;
  KernelEntropy entropy;
  Everybody everybody;
  NameRegistry names(PeerName(1), "weave.local.", everybody, logger);
  AddNames(name_count, names);
  EventLoop loop;
  DnsServerOptions options;
  options.listen = {IpAddress::V4(0x7f000001), 0};
  const std::unique_ptr<DnsServer> server = DnsServer::Listen(loop, names, entropy, options, logger).value();
  std::thread thread([&] { loop.Run(); });
  clockid_t clock;
  CHECK(::pthread_getcpuclockid(thread.native_handle(), &clock) == 0);
  Ask(server->address(), name_count, queries / 10, open);
  const double cpu = CpuSeconds(clock), start = Now();
  const std::vector<double> times = Ask(server->address(), name_count, queries, open);
  const double took = Now() - start, cost = CpuSeconds(clock) - cpu;
  loop.Post([&] { loop.Stop(); });
  thread.join();
  const double n = static_cast<double>(queries);
  std::printf("%7u names, %2zu open: %8.0f queries/s, %5.2f us of CPU a query, p50 %6.1f us, p99 %6.1f us\n",
              name_count, open, n / took, 1e6 * cost / n, 1e6 * times[times.size() / 2],
              1e6 * times[times.size() * 99 / 100]);
}

}  // namespace
}  // namespace weave

int main(int argc, char** argv) {
  const std::size_t queries = argc > 1 ? static_cast<std::size_t>(std::atoll(argv[1])) : 100'000;
  for (const std::uint32_t names : {10u, 10'000u, 100'000u}) weave::MeasureResolver(names, queries);
  for (const std::size_t open : {std::size_t{1}, weave::kOpenCount})
    for (const std::uint32_t names : {10u, 10'000u, 100'000u}) weave::Measure(names, queries, open);
  return 0;
}
