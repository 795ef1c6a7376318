// Networks of forwarders over paths that lose, delay, reorder, duplicate and limit: what containers send arrives where
// it should, once, and nothing goes round (spec/overlay.md sections 2.7 and 5).
#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/random.h"
#include "test/overlay/routes_world.h"
#include "test/sleeve/datagrams.h"
#include "test/sleeve/packets.h"
#include "test/support/catch.h"
#include "test/support/seeds.h"

namespace weave {
namespace {

constexpr std::uint16_t kPort = 6783;
constexpr std::size_t kClearOverhead = 34;   // bytes of a datagram beside a packet: 1472 - 1438 (spec section 2.5)
constexpr std::size_t kSealedOverhead = 58;  // the same: 1472 - 1414

struct Faults {
  bool sealed = false;
  int loss_percent = 0;
  int duplication_percent = 0;
};

// One container at each peer, whose MAC ends with the peer's number.
class Network {
 public:
  Network(std::uint64_t seed, Faults faults) : faults_(faults), random_(seed) {
    MakeLinks();
    for (int self = 1; self <= count_; ++self) {
      nodes_.push_back(std::make_unique<Node>(self));
      std::vector<int> neighbours;
      for (const auto& [link, carries] : paths_)
        if (link.first == self) neighbours.push_back(link.second);
      nodes_.back()->router.SetForwarding(MakeForwarding(self, links_, neighbours));
      for (const int neighbour : neighbours) OpenPath(*nodes_.back(), neighbour);
    }
  }

  int count() const { return count_; }
  Random& random() { return random_; }

  static std::string MacOf(int peer) { return absl::StrFormat("0200000000%02x", peer); }

  // A packet from the container at `from`, and all that comes of it. `to`: 0 for everybody.
  void Send(int from, int to, std::size_t size, bool dont_fragment) {
    ++packet_;
    Bytes frame = MakeIpv4({.dont_fragment = dont_fragment,
                            .payload = Counting(size),
                            .to = to == 0 ? "ffffffffffff" : MacOf(to),
                            .from = MacOf(from)});
    Write16(packet_, frame.data() + 18);
    WriteIpv4Checksum(20, absl::MakeSpan(frame));
    Node& node = *nodes_[static_cast<std::size_t>(from - 1)];
    node.forwarder.OnCaptured(now_, {frame, {}});
    Take(node);
    while (!in_flight_.empty()) Step();
    now_ = now_ + absl::Seconds(1);
  }

  // How often each byte of the last packet arrived at the container of `peer`: all of them equally often, or -1.
  int Arrivals(int peer, std::size_t size) const {
    std::vector<int> times(size);
    for (const Bytes& frame : nodes_[static_cast<std::size_t>(peer - 1)]->arrived) {
      const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame);
      if (!ip.has_value() || ip->protocol != 17 || Read16(frame.data() + 18) != packet_) continue;
      const std::size_t payload_size = ip->packet_size - ip->header_size;
      REQUIRE(ip->fragment_offset + payload_size <= size);
      for (std::size_t i = 0; i < payload_size; ++i) ++times[ip->fragment_offset + i];
    }
    return std::equal(times.begin() + 1, times.end(), times.begin()) ? times[0] : -1;
  }

  // The container was told that its last packet is too large for the way.
  bool Refused(int peer) const {
    const auto& arrived = nodes_[static_cast<std::size_t>(peer - 1)]->arrived;
    return std::any_of(arrived.begin(), arrived.end(), [&](const Bytes& frame) {
      const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame);
      return ip.has_value() && ip->protocol == 1 && Read16(frame.data() + 14 + 20 + 8 + 4) == packet_;
    });
  }

  std::size_t datagram_count() const { return datagram_count_; }
  std::uint64_t replayed() const {
    std::uint64_t sum = 0;
    for (const auto& node : nodes_) sum += node->forwarder.counters().replayed;
    return sum;
  }

 private:
  struct Node {
    explicit Node(int self) : number(self) {}
    const int number;
    RecordingIo io;
    PacketRouter router;
    SleeveForwarder forwarder{PeerName(static_cast<std::uint64_t>(number)), router, io};
    std::vector<Bytes> arrived;  // at the container
  };
  struct Path {
    std::size_t max_payload_size = 0;
    bool fragments_pass = true;
  };
  struct InFlight {
    int from = 0;
    int to = 0;
    Bytes payload;
  };

  static IpAddress AddressOf(int peer) { return IpAddress::V4(0x0a4d0000 + static_cast<std::uint32_t>(peer)); }

  // A tree, and some links more.
  void MakeLinks() {
    count_ = static_cast<int>(random_.Between(2, 8));
    const auto link = [&](int a, int b) {
      if (a == b || paths_.contains({a, b})) return;
      links_.emplace_back(a, b);
      const Path path{static_cast<std::size_t>(random_.Between(600, 1472)), random_.Below(2) == 0};
      paths_[{a, b}] = paths_[{b, a}] = path;
    };
    for (int peer = 2; peer <= count_; ++peer) link(peer, static_cast<int>(random_.Between(1, peer - 1)));
    for (std::uint64_t more = random_.Below(8); more > 0; --more)
      link(static_cast<int>(random_.Between(1, count_)), static_cast<int>(random_.Between(1, count_)));
  }

  void OpenPath(Node& node, int neighbour) {
    const auto connection = static_cast<ConnectionId>(neighbour);
    const Path& path = paths_.at({node.number, neighbour});
    // Both ends of a link have one key, and one of them dialled.
    std::optional<SessionKey> key;
    if (faults_.sealed)
      key = SessionKey{static_cast<std::uint8_t>(std::min(node.number, neighbour)),
                       static_cast<std::uint8_t>(std::max(node.number, neighbour))};
    node.forwarder.OnCommand(OpenSleevePath{connection, PeerName(static_cast<std::uint64_t>(neighbour)),
                                            /*outbound=*/node.number < neighbour, key});
    const std::size_t overhead = faults_.sealed ? kSealedOverhead : kClearOverhead;
    node.forwarder.OnCommand(UpdateSleevePath{connection,
                                              {std::nullopt, {AddressOf(neighbour), kPort}},
                                              path.max_payload_size - overhead,
                                              path.max_payload_size,
                                              path.fragments_pass});
  }

  void Take(Node& node) {
    node.forwarder.Flush();
    for (RecordingIo::Injected& frame : std::exchange(node.io.injected, {}))
      node.arrived.push_back(std::move(frame.bytes));
    for (const RecordingIo::Sent& datagram : std::exchange(node.io.sent, {})) Carry(node.number, datagram);
  }

  void Carry(int from, const RecordingIo::Sent& datagram) {
    ++datagram_count_;
    const int to = static_cast<int>(datagram.route.remote.ip.v4() & 0xff);
    const Path& path = paths_.at({from, to});
    if (datagram.payload.size() > path.max_payload_size) {
      CHECK_FALSE(datagram.dont_fragment);  // the forwarder knows better
      if (datagram.dont_fragment || !path.fragments_pass) return;
    }
    for (int copies = Happens(faults_.duplication_percent) ? 2 : 1; copies > 0; --copies)
      if (!Happens(faults_.loss_percent)) in_flight_.push_back({from, to, datagram.payload});
  }
  bool Happens(int percent) { return random_.Below(100) < static_cast<std::uint64_t>(percent); }

  // Any of the next few arrives.
  void Step() {
    const auto at =
        in_flight_.begin() + static_cast<std::ptrdiff_t>(random_.Below(std::min<std::size_t>(in_flight_.size(), 16)));
    const InFlight datagram = std::move(*at);
    in_flight_.erase(at);
    now_ = now_ + absl::Microseconds(100);
    Node& node = *nodes_[static_cast<std::size_t>(datagram.to - 1)];
    node.forwarder.OnDatagram(now_, AddressOf(datagram.to), {AddressOf(datagram.from), kPort}, datagram.payload);
    Take(node);
  }

  const Faults faults_;
  Random random_;
  int count_ = 0;
  std::vector<std::pair<int, int>> links_;
  std::map<std::pair<int, int>, Path> paths_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::deque<InFlight> in_flight_;
  MonotonicTime now_;
  std::uint16_t packet_ = 0;
  std::size_t datagram_count_ = 0;
};

// Everybody knows where each container is.
void Introduce(Network& network) {
  for (int peer = 1; peer <= network.count(); ++peer) network.Send(peer, 0, 100, /*dont_fragment=*/false);
}

TEST_CASE("Whatever the order, every packet arrives whole and once where it should, and nowhere else", "[sleeve]") {
  for (const std::uint64_t seed : SeedsToRun(60)) {
    INFO("WEAVE_TEST_SEED=" << seed);
    Network network(seed, {.sealed = seed % 2 == 0});
    Introduce(network);
    for (int i = 0; i < 40; ++i) {
      Random& random = network.random();
      const int from = static_cast<int>(random.Between(1, network.count()));
      const int to = static_cast<int>(random.Between(0, network.count()));
      const auto size = static_cast<std::size_t>(random.Between(8, 4000));
      const bool dont_fragment = random.Below(3) == 0;
      CAPTURE(i, from, to, size, dont_fragment);
      const std::size_t before = network.datagram_count();
      network.Send(from, to, size, dont_fragment);
      // Each peer sends to each other at most once, in as many pieces as the narrowest path asks for, cut again at
      // most.
      CHECK(network.datagram_count() - before <= static_cast<std::size_t>(network.count()) * 2 * (size / 500 + 2));
      const bool refused = network.Refused(from);
      CHECK((!refused || (dont_fragment && to != 0)));
      for (int peer = 1; peer <= network.count(); ++peer) {
        CAPTURE(peer);
        const int arrivals = network.Arrivals(peer, size);
        if (peer == from || (to != 0 && to != peer)) {
          CHECK(arrivals == 0);
        } else if (dont_fragment && to == 0) {
          CHECK((arrivals == 0 || arrivals == 1));  // it ends where it is too large
        } else {
          CHECK(arrivals == (refused ? 0 : 1));
        }
      }
    }
  }
}

TEST_CASE("Loss and duplication lose and repeat what was sent, sealed they only lose", "[sleeve]") {
  for (const std::uint64_t seed : SeedsToRun(40)) {
    INFO("WEAVE_TEST_SEED=" << seed);
    const bool sealed = seed % 2 == 0;
    Network network(seed, {.sealed = sealed, .loss_percent = 10, .duplication_percent = 20});
    Introduce(network);
    for (int i = 0; i < 40; ++i) {
      Random& random = network.random();
      const int from = static_cast<int>(random.Between(1, network.count()));
      network.Send(from, 0, 100, /*dont_fragment=*/false);
      CHECK(network.Arrivals(from, 100) == 0);
      // Each hop of the tree may double it.
      const int most = sealed ? 1 : 1 << network.count();
      for (int peer = 1; peer <= network.count(); ++peer) CHECK(network.Arrivals(peer, 100) <= most);
    }
    CHECK((network.replayed() > 0) == sealed);
  }
}

}  // namespace
}  // namespace weave
