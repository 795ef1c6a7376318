// Ethernet frames with MAC addresses that nobody has seen, between two containers of a benchmark: what a datapath does
// with the first packet of everything. Started by fastdp_bench; reads and sends below the containers' own network
// stack.
//
//   miss_load first NETNS NETNS COUNT         median microseconds of COUNT first round trips of new pairs, after ARP
//   and
//                                             with it, and of a second one; how many of all were lost
//   miss_load pairs NETNS NETNS COUNT WINDOW  seconds for COUNT new sources, WINDOW of them under way, and how many
//   arrived
//
// NETNS: the path of a network namespace with the interface ethwe.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"

namespace {

using Clock = std::chrono::steady_clock;
using Mac = std::array<std::uint8_t, 6>;

constexpr std::uint16_t kEtherType = 0x88b5;  // for local experiments: no stack answers
constexpr Mac kEverybody = {255, 255, 255, 255, 255, 255};
constexpr int kLost = 1000;  // milliseconds, after which ping sends the next

struct Frame {
  Mac destination;
  Mac source;
  std::uint16_t type = htons(kEtherType);
  std::uint32_t number = 0;
  std::array<char, 78> rest = {};  // as long as ping's
} __attribute__((packed));

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Locally administered, and different in every run.
Mac NewMac() {
  static std::uint64_t next = static_cast<std::uint64_t>(getpid()) << 20;
  const std::uint64_t number = next++;
  Mac mac = {0x02};
  for (int i = 1; i < 6; ++i) mac[i] = static_cast<std::uint8_t>(number >> (8 * (5 - i)));
  return mac;
}

// A container's interface, as its wire sees it.
class Tap {
 public:
  explicit Tap(const char* netns) {
    const int ns = open(netns, O_RDONLY | O_CLOEXEC);
    CHECK(ns >= 0 && setns(ns, CLONE_NEWNET) == 0) << netns << " errno " << errno;
    close(ns);
    fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    CHECK(fd_ >= 0) << errno;
    const int size = 16 << 20;
    CHECK(setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0) << errno;
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEtherType);
    address.sll_ifindex = static_cast<int>(if_nametoindex("ethwe"));
    CHECK(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) << netns << " errno " << errno;
  }
  ~Tap() { close(fd_); }
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  void Send(const Mac& source, const Mac& destination, std::uint32_t number) {
    Frame frame;
    frame.source = source;
    frame.destination = destination;
    frame.number = number;
    while (send(fd_, &frame, sizeof frame, 0) != sizeof frame) CHECK(errno == ENOBUFS) << errno;
  }

  // None: nothing comes for so long.
  std::optional<Frame> Receive(int milliseconds) {
    pollfd readable = {fd_, POLLIN, 0};
    Frame frame;
    if (poll(&readable, 1, milliseconds) != 1) return std::nullopt;
    if (recv(fd_, &frame, sizeof frame, 0) != sizeof frame) return std::nullopt;
    return frame;
  }

  bool Await(std::uint32_t number) {
    std::optional<Frame> frame;
    do {
      frame = Receive(kLost);
    } while (frame.has_value() && frame->number != number);
    return frame.has_value();
  }

 private:
  int fd_ = -1;
};

std::uint32_t NextNumber() {
  static std::uint32_t next = 0;
  return ++next;
}

bool Cross(Tap& from, const Mac& source, Tap& to, const Mac& destination) {
  const std::uint32_t number = NextNumber();
  from.Send(source, destination, number);
  return to.Await(number);
}

bool Tell(Tap& from, const Mac& source, Tap& to) {
  for (int i = 0; i < 3; ++i)
    if (Cross(from, source, to, kEverybody)) return true;
  return false;
}

// Two containers come up: each tells all where it is, and all know before the next thing happens.
struct Pair {
  Mac a = NewMac();
  Mac b = NewMac();
};
Pair Arrive(Tap& at_a, Tap& at_b) {
  const Pair pair;
  CHECK(Tell(at_a, pair.a, at_b) && Tell(at_b, pair.b, at_a)) << "broadcasts do not arrive";
  usleep(2000);
  return pair;
}

struct Times {
  std::vector<double> microseconds;
  int lost = 0;

  double Median() {
    CHECK(!microseconds.empty()) << "all packets were lost";
    std::sort(microseconds.begin(), microseconds.end());
    return microseconds[microseconds.size() / 2];
  }
};

bool Ping(Tap& at_a, Tap& at_b, const Pair& pair) {
  return Cross(at_a, pair.a, at_b, pair.b) && Cross(at_b, pair.b, at_a, pair.a);
}
bool PingAfterArp(Tap& at_a, Tap& at_b, const Pair& pair) {
  return Cross(at_a, pair.a, at_b, kEverybody) && Cross(at_b, pair.b, at_a, pair.a) && Ping(at_a, at_b, pair);
}

void Measure(Times& times, Tap& at_a, Tap& at_b, const Pair& pair, bool (*exchange)(Tap&, Tap&, const Pair&)) {
  const Clock::time_point start = Clock::now();
  if (exchange(at_a, at_b, pair))
    times.microseconds.push_back(SecondsSince(start) * 1e6);
  else
    ++times.lost;
}

int First(Tap& at_a, Tap& at_b, int count) {
  Times known, unknown, second;
  for (int i = 0; i < count; ++i) {
    const Pair pair = Arrive(at_a, at_b);
    Measure(known, at_a, at_b, pair, Ping);
    usleep(2000);
    Measure(second, at_a, at_b, pair, Ping);
    Measure(unknown, at_a, at_b, Arrive(at_a, at_b), PingAfterArp);
  }
  std::printf("%.0f %.0f %.0f %d\n", known.Median(), unknown.Median(), second.Median(),
              known.lost + unknown.lost + second.lost);
  return 0;
}

int Pairs(Tap& at_a, Tap& at_b, int count, int window) {
  const Mac target = Arrive(at_a, at_b).b;
  const std::uint32_t first = NextNumber();
  const Clock::time_point start = Clock::now();
  double last = 0;
  int sent = 0, arrived = 0, under_way = 0;
  while (sent < count || under_way > 0) {
    for (; sent < count && under_way < window; ++sent, ++under_way) at_a.Send(NewMac(), target, first + sent);
    const std::optional<Frame> frame = at_b.Receive(kLost / 4);
    if (!frame.has_value()) {
      under_way = 0;  // what has not come by now is lost
    } else if (frame->destination == target) {
      ++arrived;
      --under_way;
      last = SecondsSince(start);
    }
  }
  std::printf("%.3f %d\n", last, arrived);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if ((what == "first" && argc == 5) || (what == "pairs" && argc == 6)) {
    Tap a(argv[2]);
    Tap b(argv[3]);
    return what == "first" ? First(a, b, std::atoi(argv[4])) : Pairs(a, b, std::atoi(argv[4]), std::atoi(argv[5]));
  }
  std::fprintf(stderr, "usage: miss_load first NETNS NETNS COUNT | pairs NETNS NETNS COUNT WINDOW\n");
  return 2;
}
