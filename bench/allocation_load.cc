// Callers that ask a peer for addresses over HTTP, the interface that Weave Net 2.8 has as well, each on a connection
// that it keeps and with one request open. Started by allocation_bench.sh in the peer's network namespace.
//
//   allocation_load first                 milliseconds until a peer gives its first address
//   allocation_load hold COUNT            asks until COUNT holders have one address each
//   allocation_load run CALLERS SECONDS   allocations a second, p50 and p99 in milliseconds
//   allocation_load borrow SUBNETS        one address of each /24, borrowed first: p50 and p99 in milliseconds
//
// `run` releases what it was given from time to time, which is not counted: about as many are held all the time.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "io/fd.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

constexpr std::uint16_t kPort = 6784;
constexpr std::size_t kChunk = 1000;  // given before they are released
constexpr std::size_t kFillingCallers = 16;
constexpr double kGiveUpSeconds = 60;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string Request(absl::string_view method, absl::string_view path) {
  return absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
}

class Caller {
 public:
  // None: nobody listens.
  static std::optional<Caller> Connect() {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const KernelAddress peer({IpAddress::V4(0x7f000001), kPort});
    if (::connect(fd.get(), peer.get(), peer.size()) != 0) return std::nullopt;
    const int on = 1;
    CHECK(::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    return Caller(std::move(fd));
  }

  int fd() const { return fd_.get(); }

  void Send(const std::string& request) {
    CHECK(::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
    sent_at_ = Now();
  }

  // Reads what has come. True once the answer is whole, which must be one of success.
  bool Receive() {
    char piece[4096];
    const ssize_t size = ::recv(fd_.get(), piece, sizeof piece, 0);
    CHECK(size > 0) << "the peer closed the connection";
    answer_.append(piece, static_cast<std::size_t>(size));
    const std::size_t head = answer_.find("\r\n\r\n");
    if (head == std::string::npos || answer_.size() < head + 4 + BodySize(answer_.substr(0, head))) return false;
    CHECK(absl::StartsWith(answer_, "HTTP/1.1 20")) << answer_;
    answer_.clear();
    return true;
  }

  double seconds() const { return Now() - sent_at_; }

 private:
  explicit Caller(Fd fd) : fd_(std::move(fd)) {}

  static std::size_t BodySize(absl::string_view head) {
    constexpr absl::string_view kLength = "\r\nContent-Length: ";
    const std::size_t place = head.find(kLength);
    return place == absl::string_view::npos ? 0 : std::strtoul(&head[place + kLength.size()], nullptr, 10);
  }

  Fd fd_;
  std::string answer_;
  double sent_at_ = 0;
};

std::vector<Caller> Connect(std::size_t count) {
  std::vector<Caller> callers;
  while (callers.size() < count) {
    std::optional<Caller> caller = Caller::Connect();
    CHECK(caller.has_value()) << "no peer at port " << kPort;
    callers.push_back(*std::move(caller));
  }
  return callers;
}

// Asks `request` of 0, 1, 2, … up to `count` and while there is time. Seconds of each answer.
std::vector<double> Ask(std::vector<Caller>& callers, std::size_t count, double until,
                        const std::function<std::string(std::size_t)>& request) {
  std::vector<double> times;
  std::vector<pollfd> open;
  std::size_t asked = 0;
  for (Caller& caller : callers) {
    open.push_back({caller.fd(), POLLIN, 0});
    if (asked < count) caller.Send(request(asked++));
  }
  while (times.size() < asked) {
    CHECK(::poll(open.data(), open.size(), -1) > 0);
    for (std::size_t i = 0; i < callers.size(); ++i) {
      if (open[i].revents == 0 || !callers[i].Receive()) continue;
      times.push_back(callers[i].seconds());
      if (asked < count && Now() < until) callers[i].Send(request(asked++));
    }
  }
  return times;
}

constexpr double kNoEnd = std::numeric_limits<double>::infinity();

void PrintQuantiles(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf("%.3f %.3f\n", 1e3 * times[times.size() / 2], 1e3 * times[times.size() * 99 / 100]);
}

void First() {
  const double start = Now();
  while (Now() < start + kGiveUpSeconds) {
    if (std::optional<Caller> caller = Caller::Connect()) {
      caller->Send(Request("POST", "/ip/first"));
      while (!caller->Receive()) {
      }
      std::printf("%.1f\n", 1e3 * (Now() - start));
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  CHECK(false) << "no peer at port " << kPort;
}

void Hold(std::size_t count) {
  std::vector<Caller> callers = Connect(kFillingCallers);
  Ask(callers, count, kNoEnd, [](std::size_t i) { return Request("POST", absl::StrCat("/ip/held-", i)); });
}

void Run(std::size_t caller_count, double seconds) {
  std::vector<Caller> callers = Connect(caller_count);
  std::vector<double> times;
  double took = 0;
  while (took < seconds) {
    const auto path = [](std::size_t i) { return absl::StrCat("/ip/run-", ::getpid(), "-", i); };
    const double start = Now();
    const std::vector<double> given =
        Ask(callers, kChunk, start + seconds - took, [&](std::size_t i) { return Request("POST", path(i)); });
    took += Now() - start;
    times.insert(times.end(), given.begin(), given.end());
    Ask(callers, given.size(), kNoEnd, [&](std::size_t i) { return Request("DELETE", path(i)); });
  }
  std::printf("%.0f ", static_cast<double>(times.size()) / took);
  PrintQuantiles(std::move(times));
}

void Borrow(std::size_t subnet_count) {
  std::vector<Caller> callers = Connect(1);
  PrintQuantiles(Ask(callers, subnet_count, kNoEnd,
                     [](std::size_t i) { return Request("POST", absl::StrCat("/ip/borrower/10.48.", i, ".0/24")); }));
}

std::size_t Number(const char* text) { return std::strtoul(text, nullptr, 10); }

}  // namespace
}  // namespace weave

int main(int argc, char** argv) {
  const absl::string_view what = argc > 1 ? argv[1] : "";
  if (what == "first" && argc == 2)
    weave::First();
  else if (what == "hold" && argc == 3)
    weave::Hold(weave::Number(argv[2]));
  else if (what == "run" && argc == 4)
    weave::Run(weave::Number(argv[2]), std::atof(argv[3]));
  else if (what == "borrow" && argc == 3)
    weave::Borrow(weave::Number(argv[2]));
  else
    return std::fprintf(stderr, "usage: allocation_load first | hold COUNT | run CALLERS SECONDS | borrow SUBNETS\n"),
           1;
  return 0;
}
