// Which overlay a connection uses, and what its control messages look like (spec/overlay.md section 1).
#include "overlay/overlay_switch.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/log.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

namespace weave {
namespace {

using Calls = std::vector<std::string>;

// Writes down what the switch asks of it, and tells what the test says.
class FakeOverlay final : public SubOverlay {
 public:
  FakeOverlay(std::string name, Calls& calls) : name_(std::move(name)), calls_(calls) {}

  absl::Status refusal;  // of the next Prepare
  std::vector<SubOverlayEvent> output;
  std::optional<MonotonicTime> deadline;

  void Tell(ConnectionId connection, decltype(SubOverlayEvent::what) what) {
    output.push_back({connection, std::move(what)});
  }

  absl::string_view name() const override { return name_; }
  Way way() const override { return name_ == "fastdp" ? Way::kFastdp : Way::kSleeve; }
  absl::Status Prepare(Now, const OverlayConnection& connection) override {
    Note("prepare", connection.connection);
    return refusal;
  }
  void Confirm(Now, ConnectionId connection) override { Note("confirm", connection); }
  void OnControl(Now, ConnectionId connection, std::uint8_t tag, ByteView data) override {
    Note("control", connection, " ", tag, " ", ToHex(data));
  }
  void Stop(Now, ConnectionId connection) override { Note("stop", connection); }
  absl::btree_map<std::string, std::string> Attributes(ConnectionId) const override { return {{"of", name_}}; }
  std::optional<MonotonicTime> NextDeadline() const override { return deadline; }
  void OnTimer(Now) override { calls_.push_back(absl::StrCat(name_, " timer")); }
  std::vector<SubOverlayEvent> TakeEvents() override { return std::exchange(output, {}); }

 private:
  template <typename... Rest>
  void Note(absl::string_view call, ConnectionId connection, const Rest&... rest) {
    calls_.push_back(absl::StrCat(name_, " ", call, " ", connection, rest...));
  }

  const std::string name_;
  Calls& calls_;
};

std::string ToString(const OverlayEvent& event) {
  if (const auto* established = std::get_if<OverlayEstablished>(&event))
    return absl::StrCat("established ", established->connection);
  if (const auto* failed = std::get_if<OverlayFailed>(&event))
    return absl::StrCat("failed ", failed->connection, " ", failed->status.message());
  const auto& control = std::get<OverlayControl>(event);
  return absl::StrCat("control ", control.connection, " ", ToHex(control.message));
}

const PeerName kRemote(2);

// A peer with both overlays.
struct World {
  Calls calls;
  NullLogger logger;
  FakeOverlay fastdp{"fastdp", calls};
  FakeOverlay sleeve{"sleeve", calls};
  OverlaySwitch overlays{{&fastdp, &sleeve}, &sleeve, logger};
  Now now;

  absl::Status Prepare(ConnectionId id, std::optional<std::string> remote_overlays) {
    OverlayConnection connection;
    connection.connection = id;
    connection.remote = kRemote;
    connection.remote_overlays = std::move(remote_overlays);
    return overlays.Prepare(now, connection);
  }
  void Start(ConnectionId id, std::optional<std::string> remote_overlays) {
    REQUIRE(Prepare(id, std::move(remote_overlays)).ok());
    overlays.Confirm(now, id);
    calls.clear();
  }
  std::vector<std::string> Events() {
    std::vector<std::string> events;
    for (const OverlayEvent& event : overlays.TakeEvents(now)) events.push_back(ToString(event));
    return events;
  }
  Calls TakeCalls() { return std::exchange(calls, {}); }
  absl::Status Control(ConnectionId id, absl::string_view hex) {
    return overlays.OnControl(now, id, FromHex(hex).value());
  }
  std::string Used(ConnectionId id) const { return overlays.Status(id).name; }
};

TEST_CASE("A peer announces its overlays in order of preference", "[overlay]") {
  World world;
  CHECK(world.overlays.Names() == "fastdp sleeve");
}

TEST_CASE("The overlays of a connection are those both ends know, in our order", "[overlay]") {
  struct Row {
    std::optional<std::string> theirs;
    Calls prepared;
  };
  const Row rows[] = {
      {"fastdp sleeve", {"fastdp prepare 7", "sleeve prepare 7"}},
      {"sleeve fastdp", {"fastdp prepare 7", "sleeve prepare 7"}},
      {"sleeve", {"sleeve prepare 7"}},
      {"awsvpc  sleeve sleeve ", {"sleeve prepare 7"}},
      {std::nullopt, {"sleeve prepare 7"}},  // an old peer
  };
  for (const Row& row : rows) {
    World world;
    CAPTURE(row.theirs.value_or("none"));
    CHECK(world.Prepare(7, row.theirs).ok());
    CHECK(world.calls == row.prepared);
    world.overlays.Stop(world.now, 7);
  }
}

TEST_CASE("Without an overlay in common a connection is refused, naming both lists", "[overlay]") {
  for (const std::string theirs : {"awsvpc", "", " ", "sleeves", "fastdpsleeve"}) {
    World world;
    CAPTURE(theirs);
    const absl::Status refused = world.Prepare(7, theirs);
    CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(absl::StrContains(refused.message(), absl::StrCat("we have \"fastdp sleeve\", it has \"", theirs, "\"")));
    CHECK(world.calls.empty());
    CHECK(world.Used(7).empty());
  }
  World world;
  OverlaySwitch no_compatibility({&world.fastdp}, nullptr, world.logger);
  CHECK(no_compatibility.Prepare(world.now, {}).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A connection is established by its first overlay and then uses the best", "[overlay]") {
  World world;
  world.Start(7, "fastdp sleeve");
  CHECK(world.Used(7) == "fastdp");  // hoped for
  CHECK(world.Events().empty());

  world.sleeve.Tell(7, SubOverlayEstablished{});
  CHECK(world.Events() == Calls{"established 7"});
  CHECK(world.Used(7) == "sleeve");
  CHECK(world.overlays.Status(7).attributes.at("of") == "sleeve");

  world.fastdp.Tell(7, SubOverlayEstablished{});
  CHECK(world.Events().empty());  // once per connection
  CHECK(world.Used(7) == "fastdp");

  world.fastdp.Tell(7, SubOverlayHealth{false});
  CHECK(world.Events().empty());
  CHECK(world.Used(7) == "sleeve");
  world.fastdp.Tell(7, SubOverlayHealth{true});
  CHECK(world.Events().empty());
  CHECK(world.Used(7) == "fastdp");
}

TEST_CASE("An overlay that fails is dropped, the connection with the last", "[overlay]") {
  World world;
  world.Start(7, "fastdp sleeve");
  world.sleeve.Tell(7, SubOverlayEstablished{});
  world.fastdp.Tell(7, SubOverlayFailed{absl::UnavailableError("no vport")});
  CHECK(world.Events() == Calls{"established 7"});
  CHECK(world.TakeCalls() == Calls{"fastdp stop 7"});

  world.fastdp.Tell(7, SubOverlayEstablished{});  // too late
  CHECK(world.Events().empty());
  CHECK(world.Used(7) == "sleeve");

  world.sleeve.Tell(7, SubOverlayFailed{absl::DeadlineExceededError("timed out")});
  world.sleeve.Tell(7, SubOverlayFailed{absl::DeadlineExceededError("timed out")});
  CHECK(world.Events() ==
        Calls{"failed 7 no working forwarders to 00:00:00:00:00:02: fastdp no vport; sleeve timed out"});
  CHECK(world.TakeCalls() == Calls{"sleeve stop 7"});
  CHECK(world.Used(7).empty());
  CHECK(world.Control(7, "070101").ok());  // on its way when we gave up
  CHECK(world.TakeCalls().empty());
}

TEST_CASE("An overlay that cannot start keeps its index", "[overlay]") {
  World world;
  world.fastdp.refusal = absl::UnavailableError("no datapath");
  world.Start(7, "fastdp sleeve");
  CHECK(world.Used(7) == "sleeve");

  CHECK(world.Control(7, "070001").ok());  // for the one that did not start
  CHECK(world.TakeCalls().empty());
  CHECK(world.Control(7, "070101").ok());
  CHECK(world.TakeCalls() == Calls{"sleeve control 7 1 "});
  world.sleeve.Tell(7, SubOverlayControl{1, {}});
  CHECK(world.Events() == Calls{"control 7 070101"});

  world.overlays.Stop(world.now, 7);
  CHECK(world.TakeCalls() == Calls{"sleeve stop 7"});
}

TEST_CASE("A connection that no overlay can start for is refused with their reasons", "[overlay]") {
  World world;
  world.fastdp.refusal = absl::UnavailableError("no datapath");
  world.sleeve.refusal = absl::FailedPreconditionError("not IPv4");
  const absl::Status refused = world.Prepare(7, "sleeve fastdp");
  CHECK(refused.message() == "no working forwarders to 00:00:00:00:00:02: fastdp no datapath; sleeve not IPv4");
  CHECK(world.Used(7).empty());
}

TEST_CASE("Control messages of captured connections reach their overlay and are written as captured", "[overlay]") {
  const nlohmann::json json = ReadGolden("overlay_control");
  REQUIRE(json["vectors"].size() == 12);
  for (const nlohmann::json& vector : json["vectors"]) {
    const std::string message = vector["message"];
    CAPTURE(message);
    World world;
    const bool sleeve_only = vector["from_capture"] == "sleeve only";
    world.Start(7, sleeve_only ? "sleeve" : "fastdp sleeve");
    const nlohmann::json& decoded = vector["decoded"];
    FakeOverlay& overlay = sleeve_only || decoded["forwarder"] == 1 ? world.sleeve : world.fastdp;
    const int tag = decoded["subtag"];
    const std::string body = decoded["body_hex"];

    CHECK(world.Control(7, message).ok());
    CHECK(world.TakeCalls() == Calls{absl::StrCat(overlay.name(), " control 7 ", tag, " ", body)});
    overlay.Tell(7, SubOverlayControl{static_cast<std::uint8_t>(tag), FromHex(body).value()});
    CHECK(world.Events() == Calls{absl::StrCat("control 7 ", message)});
  }
}

TEST_CASE("A peer without overlay selection gets sleeve and its bare control tags", "[overlay]") {
  World world;
  world.Start(7, std::nullopt);
  CHECK(world.Control(7, "03059e").ok());
  CHECK(world.TakeCalls() == Calls{"sleeve control 7 3 059e"});
  CHECK(world.Control(7, "070001").ok());  // a tag that sleeve does not know
  CHECK(world.TakeCalls().empty());

  world.sleeve.Tell(7, SubOverlayControl{1, {}});
  world.sleeve.Tell(7, SubOverlayControl{3, {0x05, 0x9e}});
  world.sleeve.Tell(7, SubOverlayEstablished{});
  CHECK(world.Events() == Calls{"control 7 01", "control 7 03059e", "established 7"});
}

// The reference peer's process aborts on each of these.
TEST_CASE("A malformed control message is an error and reaches no overlay", "[overlay]") {
  const absl::string_view messages[] = {"", "07", "0700", "070201", "07ff01", "01", "02", "03059e"};
  for (const absl::string_view message : messages) {
    World world;
    CAPTURE(std::string(message));
    world.Start(7, "fastdp sleeve");
    CHECK(world.Control(7, message).code() == absl::StatusCode::kInvalidArgument);
    CHECK(world.TakeCalls().empty());
    CHECK(world.Events().empty());
  }
  World world;
  CHECK_FALSE(world.Control(7, "070001").ok());  // a connection nobody prepared
}

TEST_CASE("Nothing is told of a connection that was stopped", "[overlay]") {
  World world;
  world.Start(7, "fastdp sleeve");
  world.sleeve.Tell(7, SubOverlayEstablished{});
  world.overlays.Stop(world.now, 7);
  CHECK(world.TakeCalls() == Calls{"fastdp stop 7", "sleeve stop 7"});
  CHECK(world.Events().empty());
  world.overlays.Stop(world.now, 7);
  world.overlays.Confirm(world.now, 7);
  CHECK(world.TakeCalls().empty());
}

TEST_CASE("Connections do not disturb each other", "[overlay]") {
  World world;
  world.Start(7, "sleeve");
  world.Start(8, "fastdp sleeve");
  world.sleeve.Tell(7, SubOverlayFailed{absl::DeadlineExceededError("timed out")});
  world.sleeve.Tell(8, SubOverlayEstablished{});
  CHECK(world.Events() ==
        Calls{"failed 7 no working forwarders to 00:00:00:00:00:02: sleeve timed out", "established 8"});
  CHECK(world.Used(8) == "sleeve");
}

TEST_CASE("The earliest deadline of the overlays counts", "[overlay]") {
  World world;
  CHECK_FALSE(world.overlays.NextDeadline().has_value());
  world.sleeve.deadline = MonotonicTime(5);
  CHECK(world.overlays.NextDeadline() == MonotonicTime(5));
  world.fastdp.deadline = MonotonicTime(3);
  CHECK(world.overlays.NextDeadline() == MonotonicTime(3));
  world.overlays.OnTimer(world.now);
  CHECK(world.TakeCalls() == Calls{"fastdp timer", "sleeve timer"});
}

// "connection>remote: ways" of every connection.
std::vector<std::string> Hops(const World& world) {
  std::vector<std::string> hops;
  for (const ForwardingHop& hop : world.overlays.Hops()) {
    hops.push_back(absl::StrCat(hop.connection, ">", hop.neighbour.value(), ":"));
    for (const Way way : hop.ways) absl::StrAppend(&hops.back(), way == Way::kFastdp ? " 0" : " 1");
  }
  return hops;
}

TEST_CASE("What the overlays tell their other ends leaves the ways of data as they are", "[overlay]") {
  World world;
  world.Start(1, "fastdp sleeve");
  const std::uint64_t generation = world.overlays.generation();
  world.fastdp.Tell(1, SubOverlayControl{18, {5, 0xaa}});
  CHECK(world.Events() == std::vector<std::string>{"control 1 07001205aa"});
  CHECK(world.overlays.generation() == generation);
}

TEST_CASE("Data takes the best way, and after it those that could take its place", "[overlay]") {
  World world;
  const std::string name = absl::StrCat("7>", kRemote.value(), ":");
  CHECK(Hops(world).empty());
  REQUIRE(world.Prepare(7, "fastdp sleeve").ok());
  CHECK(Hops(world) == std::vector<std::string>{name + " 0"});  // hoped for
  std::uint64_t generation = world.overlays.generation();
  const auto tell = [&](FakeOverlay& overlay, decltype(SubOverlayEvent::what) what) {
    overlay.Tell(7, std::move(what));
    world.overlays.TakeEvents(world.now);
    CHECK(world.overlays.generation() > generation);
    generation = world.overlays.generation();
  };
  tell(world.sleeve, SubOverlayEstablished{});
  CHECK(Hops(world) == std::vector<std::string>{name + " 1"});
  tell(world.fastdp, SubOverlayEstablished{});
  CHECK(Hops(world) == std::vector<std::string>{name + " 0 1"});
  tell(world.fastdp, SubOverlayHealth{false});
  CHECK(Hops(world) == std::vector<std::string>{name + " 1"});
  tell(world.sleeve, SubOverlayFailed{absl::UnavailableError("gone")});
  CHECK(Hops(world) == std::vector<std::string>{name});
  world.overlays.Stop(world.now, 7);
  CHECK(Hops(world).empty());
}

}  // namespace
}  // namespace weave
