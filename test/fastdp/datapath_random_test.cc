// The datapath under random changes of everything it decides by. After each step the checker asks every flow whether it
// would be made now, and the kernel whether it has these flows and no others.
#include <algorithm>

#include "base/random.h"
#include "test/fastdp/datapath_world.h"
#include "test/support/seeds.h"

namespace weave {
namespace {

constexpr int kPeers = 6;
constexpr int kMacs = 24;
constexpr int kSteps = 400;

MacAddress MacOf(std::uint64_t i) { return MacAddress({2, 0, 0, 0, 0, static_cast<std::uint8_t>(i)}); }

class Churn {
 public:
  explicit Churn(std::uint64_t seed) : random_(seed) {
    world_.dpif.checks_sizes = random_.Chance(1, 2);
    DrawIds();
    Reroute(/*tell=*/true);
    world_.Attach();
  }

  void Step() {
    const std::uint64_t what = random_.Below(100);
    if (what < 45) {
      world_.Packet(random_.Below(world_.dpif.vports.size()), DrawMac(/*group=*/true), DrawMac());
    } else if (what < 80) {
      world_.Tunnelled(DrawPeer(), random_.Chance(3, 4) ? world_.self : DrawPeer(), DrawPeer(), DrawMac(true),
                       DrawMac());
    } else if (what < 85) {
      Reroute(/*tell=*/true);
    } else if (what < 88) {
      world_.Tunnel(DrawPeer(), random_.Chance(1, 5) ? 7001 : 6784, random_.Chance(1, 5) ? 8950 : 1376);
    } else if (what < 90) {
      world_.CloseTunnel(DrawPeer());
    } else if (what < 91) {
      DrawIds();
      Reroute(/*tell=*/true);
    } else if (what < 93) {
      ChangePorts();
    } else if (what < 94) {
      world_.datapath.Detach();
      world_.Attach();
    } else {
      world_.Advance(absl::Milliseconds(1) * random_.Between(1, 200'000));
    }
  }

  // The routes change; with `tell` false, nobody tells the datapath.
  void Reroute(bool tell) {
    std::vector<std::pair<int, int>> links;
    std::vector<int> neighbours;
    for (int a = 1; a <= kPeers; ++a)
      for (int b = a + 1; b <= kPeers; ++b)
        if (random_.Chance(1, 2)) links.emplace_back(a, b);
    links.emplace_back(world_.self, world_.self == 1 ? 2 : 1);  // the topology has ourselves
    for (const auto& [a, b] : links) {
      if (a == world_.self) neighbours.push_back(b);
      if (b == world_.self) neighbours.push_back(a);
    }
    std::sort(neighbours.begin(), neighbours.end());
    neighbours.erase(std::unique(neighbours.begin(), neighbours.end()), neighbours.end());
    const std::vector<Way> ways =
        random_.Chance(1, 4) ? std::vector<Way>{Way::kSleeve} : std::vector<Way>{Way::kFastdp, Way::kSleeve};
    if (tell) return world_.Route(links, neighbours, ways);
    ForwardingSnapshot snapshot = *MakeForwarding(world_.self, links, neighbours);
    for (ForwardingHop& hop : snapshot.hops) hop.ways = ways;
    snapshot.short_ids = world_.short_ids;
    world_.router.SetForwarding(std::make_shared<const ForwardingSnapshot>(snapshot));
  }

  DatapathWorld& world() { return world_; }

 private:
  int DrawPeer() { return 1 + static_cast<int>(random_.Below(kPeers)); }
  MacAddress DrawMac(bool group = false) {
    if (group && random_.Chance(1, 5)) return *MacAddress::Parse("ff:ff:ff:ff:ff:ff");
    return MacOf(random_.Below(kMacs));
  }
  // Packets always come with the number of the peer as its id, so that they meet owners and strangers alike.
  void DrawIds() {
    std::vector<std::pair<ShortId, PeerName>> owners;
    for (int id = 1; id <= kPeers; ++id) {
      if (id != world_.self && random_.Chance(1, 8)) continue;
      owners.emplace_back(static_cast<ShortId>(id), PeerName(static_cast<std::uint64_t>(id)));
    }
    world_.short_ids = std::make_shared<const ShortIdMap>(std::move(owners));
  }
  void ChangePorts() {
    if (world_.dpif.vports.size() < 6) {
      world_.datapath.OnVportAdded(world_.dpif.Add({0, "vethwl", VportKind::kNetdev, 0}));
    } else {
      // A kernel takes the highest numbers again, so that flows meet new ports under old numbers.
      const VportNumber last = world_.dpif.vports.rbegin()->first;
      world_.dpif.vports.erase(last);
      world_.datapath.OnVportGone(world_.now, last);
    }
    world_.Settle();
  }

  Random random_;
  DatapathWorld world_;
};

TEST_CASE("Every flow is at any time what would be decided then", "[fastdp]") {
  std::uint64_t made = 0, changed = 0, deleted = 0, idle = 0;
  for (const std::uint64_t seed : SeedsToRun(60)) {
    INFO("WEAVE_TEST_SEED=" << seed);
    Churn churn(seed);
    for (int step = 0; step < kSteps; ++step) churn.Step();
    const DatapathCounters& counters = churn.world().datapath.counters();
    made += counters.flows_made;
    changed += counters.flows_changed;
    deleted += counters.flows_deleted;
    idle += counters.flows_idle;
  }
  // The schedules come by everything.
  if (!GivenSeed().has_value()) CHECK((made > 1000 && changed > 100 && deleted > 100 && idle > 100));
}

TEST_CASE("The checker notices a change that nobody told the datapath of", "[fastdp]") {
  int noticed = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Churn churn(seed);
    for (int step = 0; step < kSteps; ++step) churn.Step();
    bool wrong = false;
    for (int change = 0; change < 5; ++change) {
      churn.Reroute(/*tell=*/false);
      wrong = wrong || !churn.world().datapath.CheckFlows(churn.world().now).ok();
    }
    if (wrong) ++noticed;
  }
  CHECK(noticed > 2);
}

}  // namespace
}  // namespace weave
