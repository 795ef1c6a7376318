// Whose record is believed, who is known, and what the rest of the mesh hears of it.
#include "mesh/topology.h"

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "test/mesh/records.h"
#include "test/mesh/topology_world.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

constexpr std::uint64_t kMaxVersion = std::numeric_limits<std::uint64_t>::max();

std::vector<PeerName> Names(std::initializer_list<std::uint64_t> numbers) {
  std::vector<PeerName> names;
  for (const std::uint64_t number : numbers) names.push_back(Peer(number));
  return names;
}

// ---- our own record ----

TEST_CASE("A peer that starts knows itself", "[mesh]") {
  const TopologyWorld w;
  CHECK(w.topology.Names() == Names({1}));
  CHECK(w.Self().nickname == "self");
  CHECK(w.Self().uid == kOurUid);
  CHECK(w.Self().version == 0);
  CHECK(w.Self().short_id == w.topology.self_short_id());
  CHECK(w.topology.OwnerOf(w.topology.self_short_id()) == Peer(1));
  CHECK(w.topology.CheckInvariants() == absl::OkStatus());
}

TEST_CASE("A peer that starts again has the short id of its earlier life, for as long as nobody else has it",
          "[mesh]") {
  TopologyWorld w;
  const ShortId drawn = w.topology.self_short_id();
  const ShortId former = drawn == 7 ? 8 : 7;
  w.topology.TakeShortId(former);
  CHECK(w.Self().version == 0);
  CHECK(w.topology.OwnerOf(former) == Peer(1));
  CHECK_FALSE(w.topology.OwnerOf(drawn).has_value());
  CHECK(w.topology.CheckInvariants() == absl::OkStatus());

  Topology higher(Peer(5), "self", kOurUid, Random(1));
  higher.TakeShortId(former);
  higher.Apply(Update({Record(Peer(1), 1, 1, former, {})})).value();
  CHECK(higher.OwnerOf(former) == Peer(1));
  CHECK(higher.OwnerOf(higher.self_short_id()) == Peer(5));
}

TEST_CASE("Every change of a connection gives our record a new version", "[mesh]") {
  TopologyWorld w;
  TopologyChange change = w.Connect(Peer(3));
  CHECK(change.self_changed);
  CHECK(change.topology_changed);
  CHECK(change.improved.empty());
  CHECK(w.Self().version == 1);
  w.Connect(Peer(2));
  CHECK(w.Self().version == 2);
  change = {};
  w.topology.SetEstablished(Peer(3), change);
  CHECK(change.self_changed);
  CHECK(w.Self().version == 3);
  CHECK(w.Self().connections ==
        std::vector<ConnectionSummary>{
            {.peer = Peer(2), .remote_address = "10.77.0.2:6783", .outbound = true, .established = false},
            {.peer = Peer(3), .remote_address = "10.77.0.2:6783", .outbound = true, .established = true}});
  change = {};
  w.topology.SetEstablished(Peer(3), change);
  CHECK_FALSE(change.self_changed);
  CHECK(w.Self().version == 3);
  change = w.Disconnect(Peer(3));
  CHECK(change.self_changed);
  CHECK(change.removed == Names({3}));
  CHECK(w.Self().version == 4);
  CHECK(w.Self().connections.size() == 1);
}

TEST_CASE("A record of our former life is outdone", "[mesh]") {
  struct Row {
    std::string what;
    std::uint64_t version;
    PeerUid uid;
    std::uint64_t ours;  // afterwards; 2 before
  };
  const std::vector<Row> rows = {
      {"our own", 2, kOurUid, 2},
      {"our own of before", 1, kOurUid, 2},
      {"an older life that is behind us", 1, 7, 2},
      {"an older life with the same version", 2, 7, 3},
      {"one whose uid is larger", 2, 1000, 3},
      {"an older life that got further", 70, 7, 71},
      {"with our uid, further than we ever were", 70, kOurUid, 71},
      {"the last version but one", kMaxVersion - 1, 7, kMaxVersion},
      {"the last version", kMaxVersion, 7, kMaxVersion},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    TopologyWorld w;
    w.Connect(Peer(2));
    TopologyChange change;
    w.topology.SetEstablished(Peer(2), change);
    const PeerSummary before = w.Self();
    const PeerSummary former = Record(Peer(1), row.version, row.uid, ShortId{9}, {To(Peer(8))});
    change = w.Hear({former});
    CHECK(change.self_changed == (row.ours != 2));
    CHECK(change.improved.empty());
    CHECK(w.Self().version == row.ours);
    CHECK(w.Self().uid == kOurUid);
    CHECK(w.Self().connections == before.connections);
    CHECK(w.Self().short_id == before.short_id);
    CHECK(w.topology.Names() == Names({1, 2}));
    CHECK_FALSE(w.Hear({former}).self_changed);  // once is enough, also at the last version
  }
}

TEST_CASE("After the last version our record still changes for ourselves", "[mesh]") {
  TopologyWorld w;
  w.Hear({Record(Peer(1), kMaxVersion, 7, std::nullopt, {})});
  w.Connect(Peer(2));
  CHECK(w.Self().version == kMaxVersion);
  CHECK(w.Self().connections.size() == 1);
  w.Disconnect(Peer(2));
  CHECK(w.Self().version == kMaxVersion);
  CHECK(w.Self().connections.empty());
}

// ---- others' records ----

TEST_CASE("New peers and those they name become known", "[mesh]") {
  TopologyWorld w;
  const PeerSummary five = Record(Peer(5), 3, 55, ShortId{4095}, {To(Peer(1)), To(Peer(9), false)});
  const PeerSummary two = Record(Peer(2), 0, 22, std::nullopt, {});
  const TopologyChange change = w.Hear({five, two});
  CHECK(change.improved == Names({2, 5}));
  CHECK(change.topology_changed);
  CHECK_FALSE(change.self_changed);
  CHECK_FALSE(change.short_ids_changed);
  CHECK(w.topology.Names() == Names({1, 2, 5, 9}));
  CHECK(*w.topology.Find(Peer(5)) == five);
  CHECK(*w.topology.Find(Peer(2)) == two);
  CHECK(w.topology.OwnerOf(4095) == Peer(5));
  PeerSummary placeholder;
  placeholder.name = Peer(9);
  CHECK(*w.topology.Find(Peer(9)) == placeholder);

  const TopologyChange told = w.Hear({Record(Peer(9), 0, 99, std::nullopt, {})});
  CHECK(told.improved == Names({9}));
  CHECK(w.topology.Find(Peer(9))->uid == 99);
}

TEST_CASE("A record is believed when its version and uid are larger", "[mesh]") {
  struct Row {
    std::string what;
    std::uint64_t version;
    PeerUid uid;
    std::optional<ShortId> ours;  // short id
    std::optional<ShortId> theirs;
    bool believed;
  };
  // Ours has version 5 and uid 50.
  const std::vector<Row> rows = {
      {"the same", 5, 50, ShortId{7}, ShortId{7}, false},
      {"older", 4, 50, ShortId{7}, ShortId{7}, false},
      {"newer", 6, 50, ShortId{7}, ShortId{7}, true},
      {"older, larger uid", 4, 99, ShortId{7}, ShortId{7}, false},
      {"newer, smaller uid", 6, 1, ShortId{7}, ShortId{7}, true},
      {"same version, larger uid", 5, 51, ShortId{7}, ShortId{7}, true},
      {"same version, smaller uid", 5, 49, ShortId{7}, ShortId{7}, false},
      {"the same with a short id we did not know", 5, 50, std::nullopt, ShortId{7}, true},
      {"older with a short id we did not know", 4, 50, std::nullopt, ShortId{7}, false},
      {"smaller uid with a short id we did not know", 5, 49, std::nullopt, ShortId{7}, false},
      {"the same with another short id", 5, 50, ShortId{7}, ShortId{8}, false},
      {"the same without a short id", 5, 50, ShortId{7}, std::nullopt, false},
      {"newer with another short id", 6, 50, ShortId{7}, ShortId{8}, true},
      {"newer without a short id", 6, 50, ShortId{7}, std::nullopt, true},
      {"the last version", kMaxVersion, 50, ShortId{7}, ShortId{7}, true},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    TopologyWorld w;
    const PeerSummary ours = Record(Peer(5), 5, 50, row.ours, {To(Peer(1)), To(Peer(6)), To(Peer(7), false)});
    w.Hear({ours});
    const std::uint64_t generation = w.topology.generation();
    PeerSummary theirs = Record(Peer(5), row.version, row.uid, row.theirs, {To(Peer(1), false), To(Peer(8))});
    theirs.nickname = "renamed";
    const TopologyChange change = w.Hear({theirs});
    CHECK(*w.topology.Find(Peer(5)) == (row.believed ? theirs : ours));
    CHECK(change.improved == (row.believed ? Names({5}) : Names({})));
    CHECK(change.topology_changed == row.believed);
    CHECK((w.topology.generation() != generation) == row.believed);
    CHECK(w.topology.Knows(Peer(8)) == row.believed);
    CHECK(change.short_ids_changed == (row.believed && row.ours == ShortId{7} && row.theirs != row.ours));
  }
}

TEST_CASE("Routes are called stale only when links differ", "[mesh]") {
  TopologyWorld w;
  w.Hear({Record(Peer(5), 1, 50, std::nullopt, {To(Peer(1)), To(Peer(6))})});
  std::uint64_t generation = w.topology.generation();

  TopologyChange change = w.Hear({Record(Peer(5), 2, 50, ShortId{3}, {To(Peer(6)), To(Peer(1))})});
  CHECK(change.improved == Names({5}));
  CHECK_FALSE(change.topology_changed);
  CHECK(w.topology.generation() == generation);

  PeerSummary elsewhere = Record(Peer(5), 3, 50, ShortId{3}, {To(Peer(1)), To(Peer(6))});
  elsewhere.connections[0].remote_address = "10.0.0.1:1";
  change = w.Hear({elsewhere});
  CHECK(change.topology_changed);  // somebody may want to connect there
  CHECK(w.topology.generation() == generation);

  change = w.Hear({Record(Peer(5), 4, 50, ShortId{3}, {To(Peer(1)), To(Peer(6), false)})});
  CHECK(change.topology_changed);
  CHECK(w.topology.generation() != generation);
}

TEST_CASE("A peer that introduces itself is known, and the record of its former life stays for a while", "[mesh]") {
  TopologyWorld w;
  TopologyChange change;
  CHECK_FALSE(w.topology.Reference(Record(Peer(2), 0, 22, ShortId{4}, {}), change));
  CHECK(change.topology_changed);
  CHECK(*w.topology.Find(Peer(2)) == Record(Peer(2), 0, 22, ShortId{4}, {}));

  w.Hear({Record(Peer(2), 8, 22, ShortId{4}, {To(Peer(1)), To(Peer(3))})});
  CHECK_FALSE(w.topology.Reference(Record(Peer(2), 0, 22, ShortId{4}, {}), change));
  CHECK(w.topology.Reference(Record(Peer(2), 0, 23, ShortId{5}, {}), change));
  CHECK(*w.topology.Find(Peer(2)) == Record(Peer(2), 8, 22, ShortId{4}, {To(Peer(1)), To(Peer(3))}));
  CHECK(w.topology.Reference(Record(Peer(3), 0, 33, ShortId{5}, {}), change));  // a placeholder until now

  // Its present life goes beyond the former one when it hears of it.
  CHECK(w.Hear({Record(Peer(2), 1, 23, ShortId{5}, {To(Peer(1))})}).improved.empty());
  CHECK(w.Hear({Record(Peer(2), 9, 23, ShortId{5}, {To(Peer(1))})}).improved == Names({2}));
  CHECK(w.topology.Find(Peer(2))->uid == 23);
}

// ---- updates of broken and hostile peers ----

TEST_CASE("A malformed update changes nothing", "[mesh]") {
  const std::vector<PeerSummary> summaries = {Record(Peer(1), 70, 7, std::nullopt, {}),
                                              Record(Peer(2), 9, 2, ShortId{1}, {To(Peer(1)), To(Peer(9))}),
                                              Record(Peer(5), 9, 5, ShortId{2}, {To(Peer(2)), To(Peer(8))})};
  const Bytes update = Update(summaries);
  std::set<std::size_t> whole = {0};  // where it may end
  int definitions_only = 0;
  for (std::size_t count = 1; count <= summaries.size(); ++count)
    whole.insert(Update({summaries.begin(), summaries.begin() + static_cast<std::ptrdiff_t>(count)}).size());
  for (std::size_t size = 0; size < update.size(); ++size) {
    if (whole.contains(size)) continue;
    INFO("first " << size << " of " << update.size() << " bytes");
    TopologyWorld w;
    w.Hear({Record(Peer(2), 3, 2, ShortId{7}, {To(Peer(1)), To(Peer(3))})});
    const Bytes before = w.topology.EncodeAll();
    const std::uint64_t generation = w.topology.generation();
    const absl::StatusOr<TopologyChange> change = w.topology.Apply(ByteView(update).first(size));
    if (change.ok()) {
      CHECK(++definitions_only == 1);  // the type of summaries and no summary, which a Go decoder takes for the end too
      CHECK(change->improved.empty());
    } else {
      CHECK(change.status().code() == absl::StatusCode::kInvalidArgument);
    }
    CHECK(w.topology.EncodeAll() == before);
    CHECK(w.topology.generation() == generation);
    CHECK(w.topology.CheckInvariants() == absl::OkStatus());
  }
}

TEST_CASE("Nonsense in an update is left out", "[mesh]") {
  TopologyWorld w;
  SECTION("a peer named twice: the better record, told once") {
    const PeerSummary newer = Record(Peer(5), 4, 50, ShortId{7}, {To(Peer(1))});
    const PeerSummary older = Record(Peer(5), 3, 60, ShortId{8}, {To(Peer(6))});
    CHECK(w.Hear(GENERATE_COPY(std::vector{newer, older}, std::vector{older, newer}, std::vector{older, newer, older}))
              .improved == Names({5}));
    CHECK(*w.topology.Find(Peer(5)) == newer);
    CHECK(w.topology.Names() == Names({1, 5}));
    CHECK(w.topology.OwnerOf(8) == std::nullopt);
  }
  SECTION("ourselves named twice: the one that is further is outdone") {
    w.Hear({Record(Peer(1), 9, 7, std::nullopt, {}), Record(Peer(1), 5, 7, std::nullopt, {})});
    CHECK(w.Self().version == 10);
  }
  SECTION("a connection named twice: the last counts") {
    w.Hear({Record(Peer(5), 1, 50, std::nullopt, {To(Peer(6), false), To(Peer(1)), To(Peer(6)), To(Peer(1), false)})});
    CHECK(w.topology.Find(Peer(5))->connections == std::vector<ConnectionSummary>{To(Peer(1), false), To(Peer(6))});
  }
  SECTION("a peer connected to itself") {
    w.Hear({Record(Peer(5), 1, 50, std::nullopt, {To(Peer(1)), To(Peer(5))})});
    CHECK(w.topology.Find(Peer(5))->connections == std::vector<ConnectionSummary>{To(Peer(1))});
  }
  SECTION("connections in any order") {
    w.Hear({Record(Peer(5), 1, 50, std::nullopt, {To(Peer(9)), To(Peer(1)), To(Peer(3))})});
    CHECK(w.topology.Find(Peer(5))->connections ==
          std::vector<ConnectionSummary>{To(Peer(1)), To(Peer(3)), To(Peer(9))});
  }
  SECTION("a placeholder with a version") {
    w.Hear({Record(Peer(5), 1, 50, std::nullopt, {To(Peer(6))})});
    CHECK(w.Hear({Record(Peer(6), 4, 0, std::nullopt, {})}).improved == Names({6}));
    CHECK(w.topology.Find(Peer(6))->version == 4);
  }
  SECTION("one of an outdated record does not make anybody known") {
    w.Hear({Record(Peer(5), 2, 50, std::nullopt, {To(Peer(1))})});
    w.Hear({Record(Peer(5), 1, 50, std::nullopt, {To(Peer(6))})});
    CHECK(w.topology.Names() == Names({1, 5}));
  }
  SECTION("nothing at all") {
    const TopologyChange change = w.topology.Apply({}).value();
    CHECK(change.improved.empty());
    CHECK_FALSE(change.topology_changed);
  }
}

TEST_CASE("Peers that an update makes up are forgotten at the next garbage collection", "[mesh]") {
  TopologyWorld w;
  w.Connect(Peer(2));
  std::vector<PeerSummary> made_up;
  for (std::uint64_t i = 1000; i < 2000; ++i) made_up.push_back(Record(Peer(i), i, i, static_cast<ShortId>(i), {}));
  for (std::uint64_t i = 5000; i < 9000; ++i) made_up[i % 1000].connections.push_back(To(Peer(i)));
  CHECK(w.Hear(made_up).improved.size() == 1000);
  CHECK(w.topology.peer_count() == 5002);
  CHECK(w.CollectGarbage().removed.size() == 5000);
  CHECK(w.topology.Names() == Names({1, 2}));
}

// ---- garbage ----

TEST_CASE("Peers stay while any record leads to them or somebody holds them", "[mesh]") {
  TopologyWorld w;
  w.Connect(Peer(2));
  TopologyChange change;
  w.topology.Reference(Record(Peer(20), 0, 20, ShortId{6}, {}), change);
  w.Hear({
      Record(Peer(2), 1, 2, std::nullopt, {To(Peer(1)), To(Peer(3), false)}),  // not established, and 3 says nothing
      Record(Peer(3), 1, 3, std::nullopt, {To(Peer(4))}),
      Record(Peer(10), 1, 10, ShortId{8}, {To(Peer(1)), To(Peer(2)), To(Peer(11))}),  // leads to us, not from us
      Record(Peer(20), 1, 20, ShortId{6}, {To(Peer(21))}),                            // held, what it names is not
  });
  change = w.CollectGarbage();
  CHECK(change.removed == Names({10, 11, 21}));
  CHECK(change.topology_changed);
  CHECK(change.short_ids_changed);
  CHECK_FALSE(change.self_changed);
  CHECK(w.topology.Names() == Names({1, 2, 3, 4, 20}));
  CHECK(w.topology.OwnerOf(8) == std::nullopt);

  change = w.CollectGarbage();
  CHECK(change.removed.empty());
  CHECK_FALSE(change.topology_changed);

  w.topology.Unreference(Peer(20));
  CHECK(w.topology.Knows(Peer(20)));
  CHECK(w.CollectGarbage().removed == Names({20}));

  change = w.Disconnect(Peer(2));
  CHECK(change.removed == Names({2, 3, 4}));
  CHECK(w.topology.Names() == Names({1}));
}

TEST_CASE("A peer that is forgotten and comes back is linked again by those who named it all the time", "[mesh]") {
  TopologyWorld w;
  TopologyChange change;
  w.topology.Reference(Record(Peer(20), 0, 20, std::nullopt, {}), change);
  w.Hear(
      {Record(Peer(20), 1, 20, std::nullopt, {To(Peer(21))}), Record(Peer(21), 1, 21, std::nullopt, {To(Peer(20))})});
  const auto symmetric = [&w] {
    const auto links = w.topology.LinksOf(*w.topology.IndexOf(Peer(20)));
    return links.size() == 1 && links[0].symmetric;
  };
  CHECK(symmetric());
  CHECK(w.CollectGarbage().removed == Names({21}));
  CHECK(w.topology.LinksOf(*w.topology.IndexOf(Peer(20))).empty());
  w.Hear({Record(Peer(21), 1, 21, std::nullopt, {To(Peer(20))})});
  CHECK(symmetric());
}

// ---- short ids ----

TEST_CASE("A peer whose short id a lower name has picks another one", "[mesh]") {
  Topology topology(Peer(5), "self", kOurUid, Random(1));
  const ShortId first = topology.self_short_id();
  TopologyChange change = topology.Apply(Update({Record(Peer(9), 1, 9, first, {})})).value();
  CHECK_FALSE(change.self_changed);
  CHECK_FALSE(change.short_ids_changed);
  CHECK(topology.self_short_id() == first);

  change = topology.Apply(Update({Record(Peer(3), 1, 3, first, {})})).value();
  CHECK(change.self_changed);
  CHECK(change.short_ids_changed);
  CHECK(topology.self_short_id() != first);
  CHECK(topology.Find(Peer(5))->version == 1);
  CHECK(topology.OwnerOf(first) == Peer(3));
  CHECK(topology.OwnerOf(topology.self_short_id()) == Peer(5));
  CHECK(topology.CheckInvariants() == absl::OkStatus());

  change = {};
  topology.Reference(Record(Peer(2), 0, 2, topology.self_short_id(), {}), change);
  CHECK(change.self_changed);
  CHECK(topology.Find(Peer(5))->version == 2);
  CHECK(topology.CheckInvariants() == absl::OkStatus());
}

TEST_CASE("A peer for which no short id is left takes one that becomes free", "[mesh]") {
  Topology topology(Peer(9000), "self", kOurUid, Random(1));
  TopologyChange change;
  topology.Reference(Record(Peer(5000), 0, 1, std::nullopt, {}), change);
  topology.AddConnection(Peer(5000), "10.77.0.2:6783", true, change);
  std::vector<PeerSummary> crowd = {Record(Peer(5000), 1, 1, std::nullopt, {})};
  for (std::uint64_t i = 1; i <= kShortIdCount; ++i) {
    crowd.push_back(Record(Peer(i), 1, i, static_cast<ShortId>(i - 1), {}));
    crowd[0].connections.push_back(To(Peer(i)));
  }
  const std::uint64_t version = topology.Find(Peer(9000))->version;
  change = topology.Apply(Update(crowd)).value();
  CHECK_FALSE(change.self_changed);
  CHECK(topology.OwnerOf(topology.self_short_id()) == Peer(topology.self_short_id() + 1));
  CHECK(topology.Find(Peer(9000))->version == version);

  crowd[0].version = 2;
  crowd[0].connections.erase(crowd[0].connections.begin() + 1233);
  CHECK_FALSE(topology.Apply(Update({crowd[0]})).value().self_changed);
  change = {};
  topology.CollectGarbage(change);
  CHECK(change.removed == Names({1234}));
  CHECK(change.self_changed);
  CHECK(topology.self_short_id() == 1233);
  CHECK(topology.OwnerOf(1233) == Peer(9000));
  CHECK(topology.CheckInvariants() == absl::OkStatus());
}

// ---- what others hear ----

TEST_CASE("What is told of a peer is its current record", "[mesh]") {
  TopologyWorld w;
  const PeerSummary five = Record(Peer(5), 3, 50, ShortId{7}, {To(Peer(1)), To(Peer(6), false)});
  w.Hear({five});
  TopologyWorld other;
  other.topology.Apply(w.topology.Encode(w.topology.SetOf({Peer(5), Peer(77)}))).value();
  CHECK(*other.topology.Find(Peer(5)) == five);
  CHECK(other.topology.Names() == Names({1, 5, 6}));

  w.Hear({Record(Peer(5), 4, 50, ShortId{7}, {})});
  other.topology.Apply(w.topology.Encode(w.topology.SetOf({Peer(5)}))).value();
  CHECK(other.topology.Find(Peer(5))->version == 4);
  CHECK(w.topology.Encode(w.topology.SetOf({Peer(77)})).empty());
  CHECK(w.topology.Encode({}).empty());

  Topology stranger(Peer(100), "stranger", 1, Random(2));
  CHECK(stranger.Apply(w.topology.EncodeAll()).value().improved == Names({1, 5, 6}));
  CHECK(*stranger.Find(Peer(1)) == w.Self());
}

}  // namespace
}  // namespace weave::test
