// When targets are dialled (spec/mesh.md section 9).
#include "mesh/connection_maker.h"

#include <string>
#include <vector>

#include "test/mesh/records.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

constexpr std::uint16_t kPort = 6783;

SocketAddress At(absl::string_view text) { return SocketAddress::Parse(text).value(); }

// A maker of peer 1, its topology, and a clock.
struct MakerWorld {
  explicit MakerWorld(bool discovery = true, std::uint64_t seed = 1)
      : maker({Peer(1), kPort, discovery}, topology, Random(seed)) {}

  std::vector<ConnectionMaker::Attempt> Run() {
    std::vector<ConnectionMaker::Attempt> attempts;
    maker.Run(now, attempts);
    return attempts;
  }

  // Lets time pass until something is dialled: how long that took.
  Duration UntilNextDial() {
    const MonotonicTime before = now.monotonic;
    for (int i = 0; i < 100; ++i) {
      if (!Run().empty()) return now.monotonic - before;
      const std::optional<MonotonicTime> deadline = maker.NextDeadline();
      REQUIRE(deadline.has_value());
      now.monotonic = std::max(now.monotonic, *deadline);
    }
    FAIL("nothing is dialled");
    return {};
  }

  void Pass(Duration duration) { now.monotonic = now.monotonic + duration; }

  void Fail(absl::string_view address) {
    maker.OnAttemptFailed(now, At(address), absl::UnavailableError("refused"), ConnectionMaker::Ending::kFailed);
  }

  Now now{MonotonicTime(1'000'000'000), absl::FromUnixSeconds(1'000'000)};
  Topology topology{Peer(1), "self", 500, Random(1)};
  ConnectionMaker maker;
};

TEST_CASE("Attempts follow after 2 s, half as much more each time, at most 6 minutes, each half of it off", "[mesh]") {
  double shortest = 2;
  double longest = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    MakerWorld w(true, seed);
    w.maker.Connect(w.now, {{{"far", {At("10.0.0.2:6783")}}}}, false);
    CHECK(w.UntilNextDial() == absl::ZeroDuration());
    double interval = 2;  // seconds
    for (int attempt = 0; attempt < 20; ++attempt) {
      CAPTURE(attempt);
      w.Fail("10.0.0.2:6783");
      const double part = absl::ToDoubleSeconds(w.UntilNextDial()) / interval;
      CHECK(part >= 0.5);
      CHECK(part <= 1.5);
      shortest = std::min(shortest, part);
      longest = std::max(longest, part);
      interval = std::min(interval * 1.5, 360.0);
    }
  }
  CHECK(shortest < 0.52);
  CHECK(longest > 1.48);
}

TEST_CASE("A connection that held for a minute is dialled again at once, one that did not later", "[mesh]") {
  const bool held = GENERATE(true, false);
  MakerWorld w;
  w.maker.Connect(w.now, {{{"far", {At("10.0.0.2:6783")}}}}, false);
  REQUIRE(w.Run().size() == 1);
  w.maker.OnConnected(1, Peer(2), At("10.0.0.2:6783"), true);
  w.Pass(absl::Seconds(held ? 61 : 59));
  CHECK(w.Run().empty());
  w.maker.OnDisconnected(w.now, 1, absl::UnavailableError("reset"), ConnectionMaker::Ending::kFailed);
  const Duration pause = w.UntilNextDial();
  if (held)
    CHECK(pause == absl::ZeroDuration());
  else
    CHECK(pause >= absl::Seconds(1));
}

TEST_CASE("To connect once more to a target that waits is to try it now", "[mesh]") {
  MakerWorld w;
  const std::vector<DirectPeer> peers = {{"far", {At("10.0.0.2:6783")}}};
  w.maker.Connect(w.now, peers, false);
  for (int i = 0; i < 10; ++i) {
    w.UntilNextDial();
    w.Fail("10.0.0.2:6783");
  }
  CHECK(w.Run().empty());
  w.maker.Connect(w.now, peers, false);
  CHECK(w.Run().size() == 1);
}

TEST_CASE("Each address of a host name is dialled, with our port where none was given", "[mesh]") {
  MakerWorld w;
  w.maker.Connect(w.now, {{{"name", {At("10.0.0.2:0"), At("10.0.0.3:0")}}, {"other", {At("10.0.0.4:99")}}}}, false);
  std::vector<std::string> dialled;
  for (const ConnectionMaker::Attempt& attempt : w.Run()) {
    CHECK(attempt.direct);
    dialled.push_back(attempt.address.ToString());
  }
  CHECK(dialled == std::vector<std::string>{"10.0.0.2:6783", "10.0.0.3:6783", "10.0.0.4:99"});
  CHECK(w.maker.DirectPeers(false) == std::vector<std::string>{"name", "other"});
}

TEST_CASE("A peer that has dialled us is not dialled where the user gave no port", "[mesh]") {
  const bool with_port = GENERATE(true, false);
  MakerWorld w;
  w.maker.OnConnected(7, Peer(2), At("10.0.0.2:41000"), false);
  w.maker.Connect(w.now, {{{"far", {At(with_port ? "10.0.0.2:6783" : "10.0.0.2:0")}}}}, false);
  CHECK(w.Run().size() == (with_port ? 1 : 0));
  // When that connection is gone it is our turn.
  w.maker.OnDisconnected(w.now, 7, absl::UnavailableError("reset"), ConnectionMaker::Ending::kFailed);
  CHECK(w.Run().size() == (with_port ? 0 : 1));
}

TEST_CASE("What never works is not tried again, and is not among the active ones if it is us", "[mesh]") {
  MakerWorld w;
  w.maker.Connect(
      w.now, {{{"self", {At("10.0.0.1:6783")}}, {"far", {At("10.0.0.2:6783")}}, {"namesake", {At("10.0.0.3:6783")}}}},
      false);
  REQUIRE(w.Run().size() == 3);
  w.maker.OnAttemptFailed(w.now, At("10.0.0.1:6783"), absl::FailedPreconditionError("it is us"),
                          ConnectionMaker::Ending::kNever);
  w.maker.OnAttemptFailed(w.now, At("10.0.0.3:6783"), absl::AlreadyExistsError("it has our name"),
                          ConnectionMaker::Ending::kNever);
  w.maker.OnConnected(1, Peer(2), At("10.0.0.2:6783"), true);
  CHECK(w.Run().empty());
  CHECK_FALSE(w.maker.NextDeadline().has_value());
  CHECK(w.maker.DirectPeers(false) == std::vector<std::string>{"far", "namesake", "self"});
  CHECK(w.maker.DirectPeers(true) == std::vector<std::string>{"far", "namesake"});
}

TEST_CASE("Who the user named is waited for until it has answered or failed once", "[mesh]") {
  MakerWorld w;
  CHECK_FALSE(w.maker.AwaitsFirstAnswer());
  w.maker.Connect(w.now, {{{"near", {At("10.0.0.2:6783")}}, {"far", {At("10.0.0.3:6783")}}}}, false);
  w.Run();
  CHECK(w.maker.AwaitsFirstAnswer());
  w.Fail("10.0.0.3:6783");
  w.Run();
  CHECK(w.maker.AwaitsFirstAnswer());
  w.maker.OnConnected(1, Peer(2), At("10.0.0.2:6783"), true);
  w.Run();
  CHECK_FALSE(w.maker.AwaitsFirstAnswer());
  w.Pass(absl::Minutes(1));
  CHECK_FALSE(w.Run().empty());  // dialled once more, and that it did not answer is known
  CHECK_FALSE(w.maker.AwaitsFirstAnswer());
}

TEST_CASE("Others' connections show where to dial, unless discovery is off", "[mesh]") {
  const bool discovery = GENERATE(true, false);
  MakerWorld w(discovery);
  TopologyChange change;
  w.topology.Reference(Record(Peer(2), 0, 2, std::nullopt, {}), change);
  w.topology.AddConnection(Peer(2), "10.0.0.2:6783", true, change);
  w.maker.OnConnected(1, Peer(2), At("10.0.0.2:6783"), true);
  const std::vector<ConnectionSummary> connections = {
      {.peer = Peer(1), .remote_address = "10.0.0.1:40000", .outbound = false, .established = true},  // ourselves
      {.peer = Peer(3), .remote_address = "10.0.0.3:7000", .outbound = true, .established = true},
      {.peer = Peer(4), .remote_address = "10.0.0.4:50000", .outbound = false, .established = true},
      {.peer = Peer(5), .remote_address = "nonsense", .outbound = true, .established = true}};
  w.topology.Apply(Update({Record(Peer(2), 9, 2, std::nullopt, connections)})).value();
  w.maker.OnTopologyChange(w.now);
  std::vector<std::string> dialled;
  for (const ConnectionMaker::Attempt& attempt : w.Run()) {
    CHECK_FALSE(attempt.direct);
    dialled.push_back(attempt.address.ToString());
  }
  if (!discovery) {
    CHECK(dialled.empty());
    return;
  }
  CHECK(dialled == std::vector<std::string>{"10.0.0.3:7000", "10.0.0.4:6783"});
  // Peer 3 came in by itself, peer 4 is gone: neither is a target any more.
  w.maker.OnConnected(2, Peer(3), At("10.0.0.3:40000"), false);
  w.topology.Apply(Update({Record(Peer(2), 10, 2, std::nullopt, {connections[0], connections[1]})})).value();
  w.Fail("10.0.0.3:7000");
  w.Fail("10.0.0.4:6783");
  CHECK(w.Run().empty());
  CHECK(w.maker.Targets(w.now).empty());
}

TEST_CASE("A topology that never stops changing is looked through ten times a second at most", "[mesh]") {
  MakerWorld w;
  w.maker.OnTopologyChange(w.now);
  w.Run();
  w.maker.OnTopologyChange(w.now);
  REQUIRE(w.maker.NextDeadline().has_value());
  CHECK(*w.maker.NextDeadline() - w.now.monotonic == absl::Milliseconds(100));
}

TEST_CASE("Status tells what a target is about", "[mesh]") {
  using State = MeshStatus::ConnectionState;
  MakerWorld w;
  w.maker.Connect(w.now, {{{"far", {At("10.0.0.2:6783")}}}}, false);
  const auto only = [&w] {
    const std::vector<ConnectionMaker::TargetStatus> targets = w.maker.Targets(w.now);
    REQUIRE(targets.size() == 1);
    return targets.front();
  };
  w.Run();
  CHECK(only().state == State::kConnecting);
  w.Fail("10.0.0.2:6783");
  w.Run();
  CHECK(only().state == State::kFailed);
  CHECK(only().last_error.message() == "refused");
  REQUIRE(only().retry.has_value());
  CHECK(*only().retry > w.now.wall);
  w.UntilNextDial();
  CHECK(only().state == State::kRetrying);
  w.maker.OnConnected(1, Peer(2), At("10.0.0.2:6783"), true);
  CHECK(w.maker.Targets(w.now).empty());
}

}  // namespace
}  // namespace weave::test
