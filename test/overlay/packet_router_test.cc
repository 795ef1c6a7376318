// What happens to captured and forwarded frames, rule by rule (spec/overlay.md section 5).
#include "overlay/packet_router.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/overlay/routes_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Lines = std::vector<std::string>;

PeerName Peer(std::uint64_t name) { return PeerName(name); }

const std::string kMacA = "02000000000a";
const std::string kMacB = "02000000000b";
const std::string kMacC = "02000000000c";
const std::string kEverybody = "ffffffffffff";
const std::string kSpanningTree = "0180c2000000";

// Peer 2 of the line 1 - 2 - 3, unless a test says otherwise.
struct RouterWorld final : FrameSink, MacObserver {
  explicit RouterWorld(int self = 2, const std::vector<std::pair<int, int>>& links = {{1, 2}, {2, 3}},
                       const std::vector<int>& neighbours = {1, 3}) {
    router.SetForwarding(MakeForwarding(self, links, neighbours));
    router.macs().AddObserver(*this);
  }

  void Deliver(const Frame& frame) override { lines.push_back("deliver " + ToHex(frame.bytes.first(12))); }
  void Send(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame&, bool broadcast) override {
    lines.push_back(absl::StrCat("to ", hop.neighbour.value(), " ", source.value(), ">", destination.value(),
                                 broadcast ? " broadcast" : ""));
  }
  void OnMacLearnt(const MacAddress&) override {}
  void OnMacMoved(const MacAddress& mac, PeerName to) override {
    lines.push_back(absl::StrCat("moved ", mac.ToString(), " to ", to.value()));
  }
  void OnMacForgotten(const MacAddress& mac) override { lines.push_back("forgot " + mac.ToString()); }

  Lines Capture(const std::string& to, const std::string& from) {
    const Bytes bytes = FromHex(to + from + "0800").value();
    router.OnCaptured(now, {bytes, {}}, *this);
    return std::exchange(lines, {});
  }
  // From the neighbour that is its source, unless a test says otherwise.
  Lines Forward(std::uint64_t source, std::uint64_t destination, const std::string& to, const std::string& from,
                std::optional<std::uint64_t> hop = std::nullopt) {
    const Bytes bytes = FromHex(to + from + "0800").value();
    router.OnForwarded(now, Peer(hop.value_or(source)), Peer(source), Peer(destination), {bytes, {}}, *this);
    return std::exchange(lines, {});
  }
  void Advance(Duration time) { now = now + time; }

  PacketRouter router;
  MonotonicTime now;
  Lines lines;
};

TEST_CASE("A captured frame for everybody, or for nobody knows whom, goes to each neighbour", "[overlay]") {
  RouterWorld world;
  CHECK(world.Capture(kEverybody, kMacA) == Lines{"to 1 2>1 broadcast", "to 3 2>3 broadcast"});
  CHECK(world.Capture(kMacB, kMacA) == Lines{"to 1 2>1 broadcast", "to 3 2>3 broadcast"});
  CHECK(world.router.counters().broadcast == 1);
  CHECK(world.router.counters().flooded == 1);
}

TEST_CASE("A captured frame goes to the peer of its destination, and nowhere when that is on this side", "[overlay]") {
  RouterWorld world;
  world.Forward(3, 2, kEverybody, kMacC);
  CHECK(world.Capture(kMacC, kMacA) == Lines{"to 3 2>3"});
  CHECK(world.Capture(kMacA, kMacB).empty());
  CHECK(world.router.counters().local == 1);
  CHECK(world.Capture(kSpanningTree, kMacA).empty());
  CHECK(world.router.counters().link_control == 1);
}

TEST_CASE("A frame for a peer far away takes the unicast route, its names as they are", "[overlay]") {
  RouterWorld first(1, {{1, 2}, {2, 3}}, {2});
  first.Forward(3, 1, kMacA, kMacC);
  CHECK(first.Capture(kMacC, kMacA) == Lines{"to 2 1>3"});
  RouterWorld relay;
  CHECK(relay.Forward(1, 3, kMacC, kMacA) == Lines{"to 3 1>3"});
  CHECK(relay.router.macs().size() == 0);  // a relay learns nothing
}

TEST_CASE("A broadcast is delivered and goes on with a new destination", "[overlay]") {
  RouterWorld relay;
  CHECK(relay.Forward(1, 2, kEverybody, kMacA) == Lines{"deliver ffffffffffff02000000000a", "to 3 1>3 broadcast"});
  RouterWorld last(3, {{1, 2}, {2, 3}}, {2});
  CHECK(last.Forward(1, 3, kEverybody, kMacA) == Lines{"deliver ffffffffffff02000000000a"});
}

TEST_CASE("In a full mesh a broadcast reaches everybody from its source alone", "[overlay]") {
  RouterWorld world(2, {{1, 2}, {2, 3}, {1, 3}}, {1, 3});
  CHECK(world.Forward(1, 2, kEverybody, kMacA) == Lines{"deliver ffffffffffff02000000000a"});
}

TEST_CASE("A broadcast is passed on only as it comes from the neighbour that the routes have it come from",
          "[overlay]") {
  // 1 reaches 4 by way of 2; that 3 passes it on as well shows that it has not heard of the link from 2 to 4.
  RouterWorld world(4, {{1, 2}, {1, 3}, {2, 4}, {3, 4}, {4, 5}}, {2, 3, 5});
  const Lines delivered = {"deliver ffffffffffff02000000000a"};
  CHECK(world.Forward(1, 4, kEverybody, kMacA, 2) == Lines{delivered[0], "to 5 1>5 broadcast"});
  CHECK(world.Forward(1, 4, kEverybody, kMacA, 3) == delivered);
  CHECK(world.Forward(1, 4, kEverybody, kMacA, 5) == delivered);
  CHECK(world.router.counters().strays == 2);
  // What goes to one peer is passed on, whoever brings it.
  CHECK(world.Forward(1, 5, kMacB, kMacA, 3) == Lines{"to 5 1>5"});
  // At a peer that passes nothing on there is nothing to withhold.
  RouterWorld leaf(5, {{1, 4}, {4, 5}, {5, 6}, {1, 6}}, {4, 6});
  CHECK(leaf.Forward(1, 5, kEverybody, kMacA, 6) == delivered);
  CHECK(leaf.router.counters().strays == 0);
}

TEST_CASE("A frame for a MAC known to be here goes no further", "[overlay]") {
  RouterWorld world;
  world.Capture(kEverybody, kMacB);
  CHECK(world.Forward(1, 2, kMacB, kMacA) == Lines{"deliver 02000000000b02000000000a"});
  CHECK(world.Forward(1, 2, kMacC, kMacA) == Lines{"deliver 02000000000c02000000000a", "to 3 1>3 broadcast"});
}

TEST_CASE("A container that moved here is believed when it was quiet elsewhere, a frame that came back is not",
          "[overlay]") {
  RouterWorld world;
  world.Forward(1, 2, kEverybody, kMacA);
  CHECK(world.Capture(kEverybody, kMacA).empty());
  CHECK(world.router.counters().foreign_sources == 1);
  world.Advance(absl::Milliseconds(500));
  CHECK(world.Capture(kEverybody, kMacA) ==
        Lines{"moved 02:00:00:00:00:0a to 2", "to 1 2>1 broadcast", "to 3 2>3 broadcast"});
}

TEST_CASE("What another peer says of a MAC is believed at once", "[overlay]") {
  RouterWorld world;
  world.Capture(kEverybody, kMacA);
  CHECK(world.Forward(3, 2, kMacB, kMacA) ==
        Lines{"moved 02:00:00:00:00:0a to 3", "deliver 02000000000b02000000000a", "to 1 3>1 broadcast"});
  CHECK(world.Capture(kMacA, kMacB) == Lines{"to 3 2>3"});
}

TEST_CASE("Frames that have nowhere to go are dropped and counted", "[overlay]") {
  RouterWorld world(2, {{1, 2}, {2, 3}}, {1});
  CHECK(world.Forward(1, 9, kMacB, kMacA).empty());  // an unknown peer
  CHECK(world.Forward(1, 3, kMacB, kMacA).empty());  // no way to the neighbour just now
  CHECK(world.router.counters().unroutable == 2);
  CHECK(world.Forward(2, 1, kMacB, kMacA).empty());  // in our own name
  CHECK(world.Forward(2, 2, kMacB, kMacA).empty());
  CHECK(world.router.counters().returned == 2);
  world.router.OnCaptured(world.now, {Bytes(13), {}}, world);
  world.router.OnForwarded(world.now, Peer(1), Peer(1), Peer(2), {Bytes(13), {}}, world);
  CHECK(world.router.counters().without_header == 2);
  PacketRouter lost;  // that has heard of no routes
  lost.OnCaptured(world.now, {Bytes(14), {}}, world);
  lost.OnForwarded(world.now, Peer(1), Peer(1), Peer(2), {Bytes(14), {}}, world);
  CHECK(lost.counters().unroutable == 2);
  CHECK(world.lines.empty());
}

TEST_CASE("New routes hold from the next frame on", "[overlay]") {
  RouterWorld world;
  world.Forward(3, 2, kEverybody, kMacC);
  world.router.SetForwarding(MakeForwarding(2, {{1, 2}, {1, 3}}, {1}));
  CHECK(world.Capture(kMacC, kMacA) == Lines{"to 1 2>3"});
}

TEST_CASE("MACs that are not seen any more are forgotten", "[overlay]") {
  RouterWorld world;
  world.Capture(kEverybody, kMacA);
  while (world.router.NextDeadline().has_value()) {
    world.now = *world.router.NextDeadline();
    world.router.OnTimer(world.now);
  }
  CHECK(world.router.macs().size() == 0);
  CHECK(world.now == MonotonicTime() + absl::Minutes(10));
  CHECK(world.lines == Lines{"forgot 02:00:00:00:00:0a"});
}

}  // namespace
}  // namespace weave
