// Next hops and fan-outs against a slow model written down from spec/mesh.md section 7, and what a network of peers
// that route so does with a broadcast.
#include "mesh/routes.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "test/mesh/records.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

// ---- the model ----

struct ModelWalk {
  bool found = false;
  std::map<PeerName, PeerName> via;  // everything reached
};

bool ModelLink(const Network& network, PeerName from, PeerName to, Links links) {
  const auto says = [&](PeerName a, PeerName b, bool established) {
    if (!network.contains(a)) return false;
    const std::vector<ConnectionSummary>& all = network.at(a).connections;
    return std::any_of(all.begin(), all.end(),
                       [&](const ConnectionSummary& c) { return c.peer == b && (c.established || !established); });
  };
  if (links == Links::kAll) return says(from, to, false);
  return says(from, to, true) && says(to, from, true);
}

ModelWalk WalkModel(const Network& network, PeerName start, PeerName stop, Links links) {
  ModelWalk walk;
  walk.via[start] = PeerName();
  std::set<PeerName> level = {start};
  while (!level.empty()) {
    std::set<PeerName> next;
    for (const PeerName peer : level) {
      if (peer == stop) {
        walk.found = true;
        return walk;
      }
      const auto record = network.find(peer);
      if (record == network.end()) continue;
      for (const ConnectionSummary& connection : record->second.connections) {
        const PeerName other = connection.peer;
        if (!network.contains(other) || walk.via.contains(other) || !ModelLink(network, peer, other, links)) continue;
        walk.via[other] = peer == start ? other : walk.via[peer];
        next.insert(other);
      }
    }
    level = std::move(next);
  }
  return walk;
}

std::vector<PeerName> BroadcastModel(const Network& network, PeerName self, PeerName source, Links links) {
  std::vector<PeerName> hops;
  if (!network.contains(source)) return hops;
  const ModelWalk walk = WalkModel(network, source, self, links);
  if (!walk.found) return hops;
  for (const auto& [other, record] : network) {
    if (ModelLink(network, self, other, links) && !walk.via.contains(other)) hops.push_back(other);
  }
  return hops;
}

void CheckAgainstModel(const Network& network, PeerName self, const RouteTable& routes) {
  INFO("self " << self);
  for (const Links links : {Links::kEstablished, Links::kAll}) {
    INFO((links == Links::kAll ? "all links" : "established links"));
    const ModelWalk unicast = WalkModel(network, self, PeerName(), links);
    const std::vector<RouteTable::UnicastRoute> listed = routes.UnicastRoutes(links);
    CHECK(listed.size() == unicast.via.size());
    for (const RouteTable::UnicastRoute& route : listed) {
      INFO("destination " << route.destination);
      REQUIRE(unicast.via.contains(route.destination));
      CHECK(route.via == unicast.via.at(route.destination));
    }
    std::uint64_t count = 0;
    for (const auto& [other, record] : network) {
      INFO("other " << other);
      const std::optional<PeerName> hop = routes.NextHop(links, other);
      CHECK(hop.has_value() == unicast.via.contains(other));
      if (hop.has_value()) CHECK(*hop == unicast.via.at(other));
      // The model is slow: of a large network, a few sources.
      if (++count % (1 + network.size() / 40) != 0) continue;
      CHECK(routes.Broadcast(links, other) == BroadcastModel(network, self, other, links));
    }
  }
}

struct Member {
  Member(PeerName name, const Network& network, std::uint64_t seed)
      : topology(name, "self", network.at(name).uid, Random(seed)) {
    Load(topology, network);
    routes.Update(topology.View());
  }

  Topology topology;
  RouteTable routes{topology.self(), topology.View()};
};

TEST_CASE("Routes are those of the model in networks of any shape", "[mesh]") {
  struct Shape {
    std::uint64_t peers;
    std::uint64_t link_percent;
    int networks;
  };
  const Shape shape = GENERATE(Shape{1, 0, 1}, Shape{2, 100, 8}, Shape{5, 50, 100}, Shape{12, 20, 60},
                               Shape{12, 60, 30}, Shape{40, 5, 6}, Shape{40, 30, 3});
  for (int i = 0; i < shape.networks; ++i) {
    const std::uint64_t seed = shape.peers * 100000 + shape.link_percent * 100 + static_cast<std::uint64_t>(i);
    INFO("seed " << seed);
    Random random(seed);
    const Network network = RandomNetwork(random, shape.peers, shape.link_percent);
    const PeerName self = Peer(1 + random.Below(shape.peers));
    const Member member(self, network, seed);
    CheckAgainstModel(network, self, member.routes);
  }
}

TEST_CASE("Routes are those of the model in long and narrow networks", "[mesh]") {
  constexpr std::uint64_t kLength = 80;
  constexpr std::uint64_t kWidth = 4;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    std::vector<PeerName> names;
    for (std::uint64_t i = 1; i <= kLength * kWidth; ++i) names.push_back(Peer(i));
    for (std::size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[random.Below(i)]);
    Network network;
    for (const PeerName name : names) network[name] = Record(name, 1, name.value(), std::nullopt, {});
    for (std::size_t i = 0; i + kWidth < names.size(); ++i) {
      const std::size_t next_row = (i / kWidth + 1) * kWidth;
      for (std::size_t j = next_row; j < next_row + kWidth; ++j) {
        if (!random.Chance(2, 3)) continue;
        network[names[i]].connections.push_back(To(names[j]));
        network[names[j]].connections.push_back(To(names[i]));
      }
    }
    const PeerName self = names[random.Below(names.size())];
    const Member member(self, network, seed);
    CheckAgainstModel(network, self, member.routes);
  }
}

TEST_CASE("Routes follow a network that changes", "[mesh]") {
  const std::uint64_t seed = 4711;
  INFO("seed " << seed);
  Random random(seed);
  Network network = RandomNetwork(random, 14, 25);
  Member member(Peer(7), network, seed);
  for (std::uint64_t round = 2; round < 60; ++round) {
    INFO("round " << round);
    // A few peers connect anew, everybody else stays.
    std::vector<PeerSummary> update;
    const Network other = RandomNetwork(random, 14, 25);
    for (const auto& [name, summary] : other) {
      if (name == Peer(7) || !random.Chance(1, 4)) continue;
      network[name] = Record(name, round, name.value(), std::nullopt, summary.connections);
      update.push_back(network[name]);
    }
    REQUIRE(member.topology.Apply(Update(update)).ok());
    member.routes.Update(member.topology.View());
    CheckAgainstModel(network, Peer(7), member.routes);
  }
}

TEST_CASE("Levels are walked in order of names, however large", "[mesh]") {
  // Two ways lead from 1 to each of 400 peers: over 3, which names the even ones, and over 2, which names all. The
  // lower one comes first. Beyond them is one more peer, which the lowest of them leads to.
  const std::uint64_t beyond = 1000;
  Network network;
  network[Peer(1)] = Record(Peer(1), 1, 1, std::nullopt, {To(Peer(2)), To(Peer(3))});
  network[Peer(2)] = Record(Peer(2), 1, 2, std::nullopt, {To(Peer(1))});
  network[Peer(3)] = Record(Peer(3), 1, 3, std::nullopt, {To(Peer(1))});
  for (std::uint64_t i = 100; i < 500; ++i) {
    network[Peer(i)] = Record(Peer(i), 1, i, std::nullopt, {To(Peer(2)), To(Peer(beyond))});
    network[Peer(2)].connections.push_back(To(Peer(i)));
    if (i % 2 == 0) network[Peer(3)].connections.push_back(To(Peer(i)));
  }
  network[Peer(beyond)] = Record(Peer(beyond), 1, beyond, std::nullopt, {});
  for (std::uint64_t i = 100; i < 500; ++i) network[Peer(beyond)].connections.push_back(To(Peer(i)));
  const Member member(Peer(1), network, 1);
  for (std::uint64_t i = 100; i < 500; ++i) CHECK(member.routes.NextHop(Links::kAll, Peer(i)) == Peer(2));
  const Member lowest(Peer(100), network, 1);
  const Member other(Peer(101), network, 1);
  CHECK(lowest.routes.Broadcast(Links::kAll, Peer(1)) == std::vector<PeerName>{Peer(beyond)});
  CHECK(other.routes.Broadcast(Links::kAll, Peer(1)).empty());
}

TEST_CASE("A walk comes to whoever it can reach, also when nobody is left to be reached", "[mesh]") {
  Network network;
  network[Peer(1)] = Record(Peer(1), 1, 1, std::nullopt, {To(Peer(2))});
  network[Peer(2)] = Record(Peer(2), 1, 2, std::nullopt, {To(Peer(1)), To(Peer(3))});
  network[Peer(3)] = Record(Peer(3), 1, 3, std::nullopt, {To(Peer(2))});
  const Member member(Peer(1), network, 1);
  const std::shared_ptr<const TopologyView> view = member.topology.View();
  TopologyWalk walk;
  CHECK(walk.Run(*view, 1, 2, Links::kEstablished));
  CHECK(walk.Run(*view, 0, 0, Links::kEstablished));
  CHECK(walk.reached_count() == 1);
  CHECK_FALSE(walk.Run(*view, 0, kNoPeer, Links::kEstablished));
  CHECK(walk.reached_count() == 3);
}

TEST_CASE("A chain is walked from end to end", "[mesh]") {
  const std::uint64_t count = 3000;
  Network network;
  for (std::uint64_t i = 1; i <= count; ++i) {
    network[Peer(i)] = Record(Peer(i), 1, i, std::nullopt, {});
    if (i > 1) network[Peer(i)].connections.push_back(To(Peer(i - 1)));
    if (i < count) network[Peer(i)].connections.push_back(To(Peer(i + 1)));
  }
  const Member member(Peer(2), network, 1);
  CHECK(member.routes.NextHop(Links::kEstablished, Peer(count)) == Peer(3));
  CHECK(member.routes.NextHop(Links::kEstablished, Peer(1)) == Peer(1));
  CHECK(member.routes.Broadcast(Links::kEstablished, Peer(count)) == std::vector<PeerName>{Peer(1)});
}

TEST_CASE("A broadcast reaches everybody once, from the neighbour that it is expected from", "[mesh]") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    // Random links that both ends have established; what is not connected to peer 1 is not counted.
    Network network;
    const std::uint64_t count = 30;
    for (std::uint64_t i = 1; i <= count; ++i) network[Peer(i)] = Record(Peer(i), 1, i, std::nullopt, {});
    for (std::uint64_t i = 1; i <= count; ++i) {
      for (std::uint64_t j = i + 1; j <= count; ++j) {
        if (!random.Chance(1, 6)) continue;
        network[Peer(i)].connections.push_back(To(Peer(j)));
        network[Peer(j)].connections.push_back(To(Peer(i)));
      }
    }
    std::map<PeerName, std::unique_ptr<Member>> members;
    for (const auto& [name, summary] : network) members[name] = std::make_unique<Member>(name, network, seed);

    for (const Links links : {Links::kEstablished, Links::kAll}) {
      const PeerName source = Peer(1 + random.Below(count));
      const std::size_t reachable = WalkModel(network, source, PeerName(), links).via.size();
      std::map<PeerName, int> received;
      std::vector<std::pair<PeerName, std::optional<PeerName>>> inbox = {{source, std::nullopt}};  // to whom, from whom
      while (!inbox.empty()) {
        const auto [peer, from] = inbox.back();
        inbox.pop_back();
        ++received[peer];
        REQUIRE(received[peer] == 1);
        REQUIRE(members[peer]->routes.BroadcastFrom(links, source) == from);
        for (const PeerName to : members[peer]->routes.Broadcast(links, source)) inbox.emplace_back(to, peer);
      }
      CHECK(received.size() == reachable);
      for (const auto& [name, member] : members)
        if (!received.contains(name)) CHECK_FALSE(member->routes.BroadcastFrom(links, source).has_value());
    }
  }
}

TEST_CASE("Nobody relays what a peer without a record broadcasts", "[mesh]") {
  Topology topology(Peer(1), "self", 1, Random(1));
  RouteTable routes(topology.self(), topology.View());
  TopologyChange change;
  for (const std::uint64_t i : {2, 3}) {
    topology.Reference(Record(Peer(i), 0, i, std::nullopt, {}), change);
    topology.AddConnection(Peer(i), "10.77.0.2:6783", true, change);
    topology.SetEstablished(Peer(i), change);
  }
  REQUIRE(topology.Apply(Update({Record(Peer(3), 1, 3, std::nullopt, {To(Peer(1))})})).ok());
  routes.Update(topology.View());
  CHECK(routes.Broadcast(Links::kAll, Peer(2)).empty());
  CHECK(routes.Broadcast(Links::kAll, Peer(99)).empty());
  REQUIRE(topology.Apply(Update({Record(Peer(2), 1, 2, std::nullopt, {To(Peer(1), false)})})).ok());
  routes.Update(topology.View());
  CHECK(routes.Broadcast(Links::kAll, Peer(2)) == std::vector<PeerName>{Peer(3)});
  CHECK(routes.Broadcast(Links::kEstablished, Peer(2)).empty());  // one end does not call it established
  REQUIRE(topology.Apply(Update({Record(Peer(2), 2, 2, std::nullopt, {To(Peer(1))})})).ok());
  routes.Update(topology.View());
  CHECK(routes.Broadcast(Links::kEstablished, Peer(2)) == std::vector<PeerName>{Peer(3)});
}

TEST_CASE("Routes stay as they are until the topology is taken anew", "[mesh]") {
  Topology topology(Peer(1), "self", 1, Random(1));
  RouteTable routes(topology.self(), topology.View());
  CHECK(routes.NextHop(Links::kAll, Peer(1)) == PeerName());
  CHECK(routes.NextHop(Links::kAll, Peer(2)) == std::nullopt);

  TopologyChange change;
  topology.Reference(Record(Peer(2), 0, 2, std::nullopt, {}), change);
  topology.AddConnection(Peer(2), "10.77.0.2:6783", true, change);
  CHECK(routes.NextHop(Links::kAll, Peer(2)) == std::nullopt);
  CHECK(routes.Broadcast(Links::kAll, Peer(1)).empty());
  routes.Update(topology.View());
  CHECK(routes.NextHop(Links::kAll, Peer(2)) == Peer(2));
  CHECK(routes.NextHop(Links::kEstablished, Peer(2)) == std::nullopt);

  topology.Unreference(Peer(2));
  topology.RemoveConnection(Peer(2), change);
  CHECK(routes.Broadcast(Links::kAll, Peer(1)) == std::vector<PeerName>{Peer(2)});  // of before, also when asked late
  routes.Update(topology.View());
  CHECK(routes.Broadcast(Links::kAll, Peer(1)).empty());
}

// ---- random neighbours ----

// Peer 1 with `neighbour_count` neighbours, behind each of which are as many peers as its number among them, from 0.
Network Fans(std::uint64_t neighbour_count) {
  Network network;
  network[Peer(1)] = Record(Peer(1), 1, 1, std::nullopt, {});
  for (std::uint64_t i = 0; i < neighbour_count; ++i) {
    const PeerName neighbour = Peer(10 + i);
    network[Peer(1)].connections.push_back(To(neighbour));
    network[neighbour] = Record(neighbour, 1, neighbour.value(), std::nullopt, {To(Peer(1))});
    for (std::uint64_t j = 0; j < i; ++j) {
      const PeerName leaf = Peer(1000 + 100 * i + j);
      network[neighbour].connections.push_back(To(leaf));
      network[leaf] = Record(leaf, 1, leaf.value(), std::nullopt, {To(neighbour)});
    }
  }
  return network;
}

TEST_CASE("Gossip goes to twice the logarithm of the network's size, or to all neighbours", "[mesh]") {
  for (std::uint64_t neighbour_count = 0; neighbour_count <= 24; ++neighbour_count) {
    const Network network = Fans(neighbour_count);
    const Member member(Peer(1), network, 1);
    Random random(neighbour_count);
    INFO("neighbours " << neighbour_count << ", peers " << network.size());
    const auto wanted = static_cast<std::size_t>(2 * std::log2(static_cast<double>(network.size())));
    for (int i = 0; i < 20; ++i) {
      const std::vector<PeerName> all = member.routes.RandomNeighbours(PeerName(), random);
      CHECK(all.size() == std::min<std::size_t>(wanted, neighbour_count));
      CHECK(std::is_sorted(all.begin(), all.end()));
      CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
      for (const PeerName name : all) CHECK(ModelLink(network, Peer(1), name, Links::kAll));
      if (neighbour_count == 0) continue;
      const std::vector<PeerName> others = member.routes.RandomNeighbours(Peer(10), random);
      CHECK(others.size() == std::min<std::size_t>(wanted, neighbour_count - 1));
      CHECK(std::count(others.begin(), others.end(), Peer(10)) == 0);
    }
  }
}

TEST_CASE("Neighbours through which more peers are reached are chosen more often", "[mesh]") {
  // 40 neighbours reach 1, 2, .. 40 peers each; log2(821) = 9.68, so 19 are chosen.
  const Member member(Peer(1), Fans(40), 1);
  Random random(5);
  std::map<PeerName, int> chosen;
  for (int i = 0; i < 4000; ++i) {
    const std::vector<PeerName> neighbours = member.routes.RandomNeighbours(PeerName(), random);
    REQUIRE(neighbours.size() == 19);
    for (const PeerName name : neighbours) ++chosen[name];
  }
  // By the model: successive draws without replacement, weights 1..40.
  Random model_random(6);
  std::map<PeerName, int> expected;
  for (int i = 0; i < 4000; ++i) {
    std::set<std::uint64_t> left;
    for (std::uint64_t w = 1; w <= 40; ++w) left.insert(w);
    while (left.size() > 40 - 19) {
      std::vector<std::uint64_t> tickets;
      for (const std::uint64_t w : left) tickets.insert(tickets.end(), w, w);
      const std::uint64_t drawn = tickets[model_random.Below(tickets.size())];
      left.erase(drawn);
      ++expected[Peer(10 + drawn - 1)];
    }
  }
  for (const auto& [name, count] : expected) {
    INFO("neighbour " << name);
    CHECK(std::abs(chosen[name] - count) < 250);  // five standard deviations of the difference are 224 at most
  }
  CHECK(chosen[Peer(49)] > 4 * chosen[Peer(10)]);
}

}  // namespace
}  // namespace weave::test
