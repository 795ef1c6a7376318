// Load between two hosts of a benchmark, and what of it arrives: one TCP stream, round trips, small UDP frames. Started
// by sleeve_bench and fastdp_bench in network namespaces.
//
//   net_load serve             takes everything, on any address
//   net_load tcp HOST SECONDS  prints Gbit/s that arrived
//   net_load rtt HOST COUNT    prints the round trip of a small datagram in microseconds: the median and p99
//   net_load udp HOST SECONDS  prints small datagrams that arrived, per second
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kTcpPort = 5201;
constexpr std::uint16_t kEchoPort = 5202;
constexpr std::uint16_t kCountPort = 5203;
constexpr std::size_t kSmall = 64;  // bytes

sockaddr_in Address(const char* host, std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  CHECK(inet_pton(AF_INET, host, &address.sin_addr) == 1) << host;
  return address;
}

int Open(int kind, const char* host, std::uint16_t port, bool listens) {
  const int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0) << errno;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = Address(host, port);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const int done = listens ? bind(fd, generic, sizeof address) : connect(fd, generic, sizeof address);
  CHECK(done == 0) << host << ":" << port << " errno " << errno;
  return fd;
}

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Reads until the other end is done, then tells how much came.
void Sink(int fd) {
  std::vector<char> buffer(1 << 20);
  std::uint64_t total = 0;
  for (ssize_t got = 0; (got = read(fd, buffer.data(), buffer.size())) > 0;) total += static_cast<std::uint64_t>(got);
  (void)!write(fd, &total, sizeof total);
  close(fd);
}

int Serve() {
  const int tcp = Open(SOCK_STREAM, "0.0.0.0", kTcpPort, true);
  const int echo = Open(SOCK_DGRAM, "0.0.0.0", kEchoPort, true);
  const int count = Open(SOCK_DGRAM, "0.0.0.0", kCountPort, true);
  const int size = 8 << 20;
  setsockopt(count, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  CHECK(listen(tcp, 4) == 0);
  std::uint64_t counted = 0;
  char buffer[2048];
  for (;;) {
    pollfd fds[] = {{tcp, POLLIN, 0}, {echo, POLLIN, 0}, {count, POLLIN, 0}};
    if (poll(fds, 3, -1) < 0) return 1;
    if (fds[0].revents != 0) Sink(accept(tcp, nullptr, nullptr));
    for (int i = 1; i < 3; ++i) {
      sockaddr_in from = {};
      socklen_t from_size = sizeof from;
      ssize_t got = 0;
      while (fds[i].revents != 0 && (got = recvfrom(fds[i].fd, buffer, sizeof buffer, MSG_DONTWAIT,
                                                    reinterpret_cast<sockaddr*>(&from), &from_size)) >= 0) {
        if (i == 2 && got > 1 && ++counted != 0) continue;  // a byte alone asks
        const auto* answer = i == 1 ? buffer : reinterpret_cast<const char*>(&counted);
        const std::size_t answer_size = i == 1 ? static_cast<std::size_t>(got) : sizeof counted;
        sendto(fds[i].fd, answer, answer_size, 0, reinterpret_cast<sockaddr*>(&from), from_size);
      }
    }
  }
}

int Tcp(const char* host, double seconds) {
  const int fd = Open(SOCK_STREAM, host, kTcpPort, false);
  const std::vector<char> data(256 << 10, 'w');
  const Clock::time_point start = Clock::now();
  while (SecondsSince(start) < seconds) CHECK(write(fd, data.data(), data.size()) > 0) << errno;
  shutdown(fd, SHUT_WR);
  std::uint64_t total = 0;
  CHECK(recv(fd, &total, sizeof total, MSG_WAITALL) == sizeof total) << errno;
  std::printf("%.3f %.3f\n", static_cast<double>(total) * 8 / 1e9 / SecondsSince(start),
              static_cast<double>(total) / 1e9);
  return 0;
}

int Rtt(const char* host, int count) {
  const int fd = Open(SOCK_DGRAM, host, kEchoPort, false);
  char buffer[kSmall] = {};
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const Clock::time_point start = Clock::now();
    CHECK(send(fd, buffer, sizeof buffer, 0) > 0) << errno;
    pollfd readable = {fd, POLLIN, 0};
    if (poll(&readable, 1, 1000) != 1 || recv(fd, buffer, sizeof buffer, 0) <= 0) continue;
    times.push_back(SecondsSince(start) * 1e6);
  }
  CHECK(!times.empty()) << "no answer";
  std::sort(times.begin(), times.end());
  std::printf("%.1f %.1f\n", times[times.size() / 2], times[times.size() * 99 / 100]);
  return 0;
}

std::uint64_t AskCount(int fd) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    CHECK(send(fd, "?", 1, 0) == 1 || errno == ECONNREFUSED) << errno;
    pollfd readable = {fd, POLLIN, 0};
    std::uint64_t count = 0;
    if (poll(&readable, 1, 200) == 1 && recv(fd, &count, sizeof count, 0) == sizeof count) return count;
  }
  CHECK(false) << "no answer";
  return 0;
}

int Udp(const char* host, double seconds) {
  const int fd = Open(SOCK_DGRAM, host, kCountPort, false);
  char buffer[kSmall] = {};
  const std::uint64_t before = AskCount(fd);
  const Clock::time_point start = Clock::now();
  std::uint64_t sent = 0;
  while (SecondsSince(start) < seconds)
    for (int i = 0; i < 16; ++i) sent += send(fd, buffer, sizeof buffer, 0) > 0 ? 1 : 0;
  const double took = SecondsSince(start);
  usleep(300'000);
  std::printf("%.0f %.0f\n", static_cast<double>(AskCount(fd) - before) / took, static_cast<double>(sent) / took);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "serve") return Serve();
  if (argc == 4 && what == "tcp") return Tcp(argv[2], std::atof(argv[3]));
  if (argc == 4 && what == "rtt") return Rtt(argv[2], std::atoi(argv[3]));
  if (argc == 4 && what == "udp") return Udp(argv[2], std::atof(argv[3]));
  std::fprintf(stderr, "usage: net_load serve | tcp HOST SECONDS | rtt HOST COUNT | udp HOST SECONDS\n");
  return 2;
}
