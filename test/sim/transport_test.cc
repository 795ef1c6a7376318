// The simulated TCP alone: an echo workload under faults.
#include "sim/transport.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace weave::sim {
namespace {

constexpr HostId kClient = 0;
constexpr HostId kServer = 1;

// A server that sends back what it gets, and a client that counts on it.
class Echo {
 public:
  explicit Echo(std::uint64_t seed, TransportOptions options = {})
      : trace_(queue), net(options, queue, Random(seed), trace_) {
    net.Listen(kServer, [this](const TransportEvent& event) { Serve(event); });
    net.Listen(kClient, [this](const TransportEvent& event) { OnClient(event); });
    connection = net.Connect(kClient, kServer);
  }

  // Queues `count` more bytes, of a sequence that tells each from its neighbours.
  void Say(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) unsent.push_back(static_cast<std::uint8_t>(said++ * 131 >> 3));
    Flush();
  }

  void RunFor(Duration duration) {
    const MonotonicTime end = queue.time() + duration;
    while (queue.next_time().has_value() && *queue.next_time() <= end) queue.RunNext();
  }

  EventQueue queue;

 private:
  Trace trace_;

 public:
  Transport net;
  ConnectionId connection = 0;
  ConnectionId served = 0;
  Bytes unsent;
  std::uint64_t said = 0;
  std::uint64_t heard = 0;
  bool in_order = true;
  bool connected = false;
  std::vector<std::string> closed;  // at the client
  std::vector<std::string> closed_at_server;

 private:
  void Flush() {
    const std::size_t taken = net.Send(connection, unsent);
    unsent.erase(unsent.begin(), unsent.begin() + static_cast<std::ptrdiff_t>(taken));
  }

  void OnClient(const TransportEvent& event) {
    if (std::holds_alternative<Connected>(event)) connected = true;
    if (std::holds_alternative<Writable>(event)) Flush();
    if (const auto* received = std::get_if<Received>(&event))
      for (std::uint8_t byte : received->bytes)
        in_order = in_order && byte == static_cast<std::uint8_t>(heard++ * 131 >> 3);
    if (const auto* gone = std::get_if<Closed>(&event)) closed.emplace_back(gone->status.message());
  }

  void Serve(const TransportEvent& event) {
    if (const auto* accepted = std::get_if<Accepted>(&event)) served = accepted->connection;
    if (const auto* received = std::get_if<Received>(&event))
      backlog_.insert(backlog_.end(), received->bytes.begin(), received->bytes.end());
    if (const auto* gone = std::get_if<Closed>(&event)) closed_at_server.emplace_back(gone->status.message());
    const std::size_t taken = net.Send(served, backlog_);
    backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(taken));
  }

  Bytes backlog_;
};

TEST_CASE("Bytes arrive in order, each once, whatever the segments", "[sim]") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Echo echo(seed);
    echo.Say(300'000);
    echo.RunFor(absl::Minutes(1));
    CHECK(echo.connected);
    CHECK(echo.in_order);
    CHECK(echo.heard == 300'000);
    CHECK(echo.closed.empty());
  }
}

TEST_CASE("A sender is held back when the buffer is full, and told when there is room", "[sim]") {
  TransportOptions slow;
  slow.bytes_per_second = 1000;
  slow.send_buffer_size = 1000;
  Echo echo(1, slow);
  echo.Say(5000);
  CHECK(echo.unsent.size() == 4000);
  echo.RunFor(absl::Seconds(2));
  CHECK(echo.unsent.size() > 2000);
  echo.RunFor(absl::Minutes(5));
  CHECK(echo.heard == 5000);
}

TEST_CASE("A short partition only delays", "[sim]") {
  Echo echo(2);
  echo.Say(1000);
  echo.RunFor(absl::Seconds(1));
  echo.net.Block(kClient, kServer);
  echo.Say(1000);
  echo.RunFor(absl::Seconds(10));
  CHECK(echo.heard == 1000);
  echo.net.Heal();
  echo.RunFor(absl::Seconds(1));
  CHECK(echo.heard == 2000);
  CHECK(echo.in_order);
  CHECK(echo.closed.empty());
}

TEST_CASE("A long partition in one direction leaves a half-open connection", "[sim]") {
  Echo echo(3);
  echo.RunFor(absl::Seconds(1));
  echo.net.Block(kServer, kClient);
  echo.Say(10);
  echo.RunFor(absl::Minutes(2));
  CHECK(echo.closed == std::vector<std::string>{"connection timed out"});
  CHECK(echo.closed_at_server == std::vector<std::string>{"connection timed out"});  // it tried to answer
  echo.net.Heal();
  const ConnectionId idle = echo.net.Connect(kClient, kServer);
  echo.RunFor(absl::Seconds(1));
  echo.net.Block(kClient, kServer);
  echo.net.Send(idle, Bytes{1});
  echo.RunFor(absl::Minutes(2));
  CHECK(echo.closed.size() == 2);
  CHECK(echo.closed_at_server.size() == 1);  // nothing to say, so it never knows
  CHECK(echo.net.open_count() == 1);
}

TEST_CASE("A crash is noticed by who sends", "[sim]") {
  Echo echo(4);
  echo.RunFor(absl::Seconds(1));
  echo.net.Crash(kServer);
  echo.RunFor(absl::Minutes(2));
  CHECK(echo.closed.empty());
  SECTION("as a reset when the host is up again") {
    echo.net.Listen(kServer, [](const TransportEvent&) {});
    echo.Say(1);
    echo.RunFor(absl::Seconds(1));
    CHECK(echo.closed == std::vector<std::string>{"connection reset by peer"});
  }
  SECTION("after a while when it stays down") {
    echo.Say(1);
    echo.RunFor(absl::Minutes(1));
    CHECK(echo.closed == std::vector<std::string>{"connection timed out"});
  }
}

TEST_CASE("Connecting to a host that is down or cut off fails", "[sim]") {
  Echo echo(5);
  echo.RunFor(absl::Seconds(1));
  echo.net.Connect(kClient, 9);
  echo.RunFor(absl::Seconds(1));
  CHECK(echo.closed == std::vector<std::string>{"connection refused"});
  echo.net.Block(kServer, kClient);
  echo.net.Connect(kClient, kServer);
  echo.RunFor(absl::Minutes(1));
  CHECK(echo.closed.back() == "connection timed out");
}

TEST_CASE("What was sent before a close arrives before it", "[sim]") {
  Echo echo(6);
  std::uint64_t got = 0;
  bool closed_in_order = false;
  echo.net.Listen(kServer, [&](const TransportEvent& event) {
    if (const auto* received = std::get_if<Received>(&event)) got += received->bytes.size();
    if (const auto* gone = std::get_if<Closed>(&event)) closed_in_order = gone->status.ok() && got == 50'000;
  });
  echo.RunFor(absl::Seconds(1));
  echo.Say(50'000);
  echo.net.Close(echo.connection);
  CHECK(echo.net.Send(echo.connection, Bytes{1}) == 0);
  echo.RunFor(absl::Seconds(10));
  CHECK(closed_in_order);
  CHECK(echo.closed.empty());
  CHECK(echo.net.open_count() == 0);
}

TEST_CASE("A reset tells both ends and loses what is on its way", "[sim]") {
  Echo echo(7);
  echo.RunFor(absl::Seconds(1));
  echo.Say(100'000);
  echo.net.Reset(echo.connection);
  echo.RunFor(absl::Seconds(10));
  CHECK(echo.closed == std::vector<std::string>{"connection reset by peer"});
  CHECK(echo.closed_at_server == std::vector<std::string>{"connection reset by peer"});
  CHECK(echo.in_order);
  CHECK(echo.heard < 100'000);
}

TEST_CASE("Under random faults what arrives is a prefix of what was sent", "[sim]") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Echo echo(seed);
    Random random(seed);
    for (int turn = 0; turn < 40; ++turn) {
      echo.Say(random.Below(5000));
      switch (random.Below(5)) {
        case 0:
          echo.net.Block(kClient, kServer);
          break;
        case 1:
          echo.net.Block(kServer, kClient);
          break;
        case 2:
          echo.net.Stall(echo.connection, absl::Milliseconds(random.Between(0, 2000)));
          break;
        default:
          echo.net.Heal();
      }
      echo.RunFor(absl::Milliseconds(random.Between(0, 1000)));
    }
    echo.net.Heal();
    echo.RunFor(absl::Minutes(2));
    CHECK(echo.in_order);
    CHECK(echo.heard == echo.said);  // no partition outlasted the patience of TCP
    CHECK(echo.closed.empty());
  }
}

}  // namespace
}  // namespace weave::sim
