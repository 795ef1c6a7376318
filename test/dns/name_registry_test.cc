// Names as peers replicate them: spec/dns.md sections 2 and 3, rule by rule.
#include "test/dns/name_world.h"

namespace weave::test {
namespace {

using Entries = std::vector<NameEntry>;

constexpr std::int64_t kStart = 1'800'000'000;

TEST_CASE("A name is found whatever its case, with the addresses of all peers", "[dns]") {
  NameWorld world;
  CHECK(world.names.Add("c1", V4("10.32.0.1"), "Web.weave.local"));
  CHECK(world.Hear({Name(kFriend, "c2", "10.32.0.2", "web.WEAVE.local.")}).size() == 1);
  CHECK(world.Lookup("WEB.weave.local.") == std::vector<std::uint32_t>{V4("10.32.0.1"), V4("10.32.0.2")});
  CHECK(world.Lookup("weave.local.").empty());
  REQUIRE(world.names.ReverseLookup(V4("10.32.0.2")) != nullptr);
  CHECK(world.names.ReverseLookup(V4("10.32.0.2"))->hostname == "web.WEAVE.local.");
  CHECK(world.names.ReverseLookup(V4("10.32.0.3")) == nullptr);
  CHECK(world.names.CheckInvariants().ok());
}

TEST_CASE("A name outside the domain is ignored", "[dns]") {
  NameWorld world;
  CHECK_FALSE(world.names.Add("c1", V4("10.32.0.1"), "web.example.com"));
  CHECK_FALSE(world.names.Add("c1", V4("10.32.0.1"), "xweave.local"));
  CHECK_FALSE(world.names.Add("c1", V4("10.32.0.1"), ""));
  CHECK(world.Told().empty());
  CHECK(world.names.Add("c1", V4("10.32.0.1"), "a.b.Weave.Local."));
}

TEST_CASE("A deleted name is a tombstone until everyone has heard, and adding it again revives it", "[dns]") {
  NameWorld world;
  world.names.Add("c1", V4("10.32.0.1"), "web.weave.local");
  CHECK(world.Told() == Entries{Name(kSelf, "c1", "10.32.0.1", "web.weave.local.")});
  world.elapsed = absl::Seconds(5);
  CHECK(world.names.Remove(world.now(), {.container = "c1", .address = {}, .hostname = {}}) == 1);
  CHECK(world.Told() == Entries{Name(kSelf, "c1", "10.32.0.1", "web.weave.local.", 1, kStart + 5)});
  CHECK(world.Lookup("web.weave.local.").empty());
  CHECK(world.names.ReverseLookup(V4("10.32.0.1")) == nullptr);
  CHECK(world.names.size() == 1);

  world.names.Add("c1", V4("10.32.0.1"), "web.weave.local");
  CHECK(world.Told() == Entries{Name(kSelf, "c1", "10.32.0.1", "web.weave.local.", 2)});
  CHECK(world.Lookup("web.weave.local.").size() == 1);
  CHECK(world.names.CheckInvariants().ok());
}

TEST_CASE("Deleting goes by container, address and the name as it is spelled", "[dns]") {
  NameWorld world;
  for (const char* name : {"web", "Web", "db"})
    world.names.Add("c1", V4("10.32.0.1"), std::string(name) + ".weave.local");
  world.names.Add("c1", V4("10.32.0.2"), "web.weave.local");
  world.names.Add("c2", V4("10.32.0.1"), "web.weave.local");
  world.Hear({Name(kFriend, "c1", "10.32.0.1", "web.weave.local.")});
  const auto remove = [&](NameFilter filter) { return world.names.Remove(world.now(), filter); };
  CHECK(remove({"c1", V4("10.32.0.1"), "web.weave.local."}) == 1);
  CHECK(remove({"c1", V4("10.32.0.1"), {}}) == 2);
  CHECK(remove({{}, {}, "WEB.weave.local."}) == 0);
  CHECK(remove({{}, {}, {}}) == 2);
  CHECK(world.Lookup("web.weave.local.") == std::vector<std::uint32_t>{V4("10.32.0.1")});  // another peer's
}

TEST_CASE("Of two versions of an entry the higher stays, of equal ones the later tombstone", "[dns]") {
  NameWorld world;
  const NameEntry alive = Name(kFriend, "c", "10.32.0.1", "web.weave.local.", 3);
  const NameEntry dead = Name(kFriend, "c", "10.32.0.1", "web.weave.local.", 3, kStart);
  CHECK(world.Hear({alive}) == Entries{alive});
  CHECK(world.Hear({alive}).empty());
  CHECK(world.Hear({Name(kFriend, "c", "10.32.0.1", "web.weave.local.", 2, kStart)}).empty());
  CHECK(world.Hear({dead}) == Entries{dead});
  CHECK(world.Hear({alive}).empty());
  CHECK(world.Lookup("web.weave.local.").empty());
}

TEST_CASE("An entry that comes twice in one message harms nobody: the better one counts", "[dns]") {
  NameWorld world;
  const NameEntry alive = Name(kFriend, "c", "10.32.0.1", "web.weave.local.", 1);
  const NameEntry newer = Name(kFriend, "c", "10.32.0.1", "web.weave.local.", 2, kStart);
  CHECK(world.Hear({newer, alive, newer}) == Entries{newer});
  CHECK(world.Lookup("web.weave.local.").empty());
  const auto onwards = world.names.OnBroadcast(world.now(), kFriend, world.Message({alive, newer, alive}));
  REQUIRE(onwards.ok());
  CHECK(NameWorld::Entries(onwards->get()) == Entries{newer});
}

TEST_CASE("A broadcast travels on whole, with the time at which it was composed", "[dns]") {
  NameWorld world;
  const NameEntry entry = Name(kFriend, "c", "10.32.0.1", "web.weave.local.");
  world.Hear({entry});
  const auto onwards = world.names.OnBroadcast(world.now(), kFriend, world.Message({entry}, absl::Seconds(-100)));
  REQUIRE(onwards.ok());
  const Bytes payload = (*onwards)->Encode().front();
  CHECK(DecodeNames(payload)->timestamp == kStart - 100);
  CHECK(DecodeNames(payload)->entries.size() == 1);
}

TEST_CASE("What an earlier life left with others is deleted by the next", "[dns]") {
  NameWorld world;
  world.Hear({Name(kSelf, "old", "10.32.0.1", "web.weave.local.", 4)});
  CHECK(world.Told() == Entries{Name(kSelf, "old", "10.32.0.1", "web.weave.local.", 5, kStart)});
  CHECK(world.Lookup("web.weave.local.").empty());
}

TEST_CASE("Of our own entries we know best, whatever version others have", "[dns]") {
  NameWorld world;
  world.names.Add("c1", V4("10.32.0.1"), "web.weave.local");
  world.Told();
  world.Hear({Name(kSelf, "c1", "10.32.0.1", "web.weave.local.", 7, kStart - 9)});
  CHECK(world.Told() == Entries{Name(kSelf, "c1", "10.32.0.1", "web.weave.local.", 8)});
  CHECK(world.Lookup("web.weave.local.").size() == 1);
  world.Hear({Name(kSelf, "c1", "10.32.0.1", "web.weave.local.", 3)});
  CHECK(world.Told().empty());
  // A version that nothing can outdo changes nothing, either.
  world.Hear({Name(kSelf, "c1", "10.32.0.1", "web.weave.local.", std::numeric_limits<std::int64_t>::max(), 1)});
  CHECK(world.Lookup("web.weave.local.").size() == 1);
}

TEST_CASE("Names of a peer that is gone go, and come back with it", "[dns]") {
  NameWorld world;
  const NameEntry entry = Name(kFriend, "c", "10.32.0.1", "web.weave.local.");
  world.Hear({entry, Name(kOther, "d", "10.32.0.2", "web.weave.local.")});
  world.peers.known.erase(kFriend);
  world.names.OnTopologyChange(world.now());
  CHECK(world.Lookup("web.weave.local.") == std::vector<std::uint32_t>{V4("10.32.0.2")});
  CHECK(world.names.size() == 1);
  CHECK(world.Hear({entry}).empty());  // nobody knows it
  world.peers.known.insert(kFriend);
  world.names.OnTopologyChange(world.now());  // names came before the topology
  CHECK(world.Lookup("web.weave.local.").size() == 2);
  CHECK(world.names.CheckInvariants().ok());
}

TEST_CASE("Names of a peer that never comes are not kept", "[dns]") {
  NameWorld world;
  world.Hear({Name(PeerName(9), "c", "10.32.0.1", "web.weave.local.")});
  REQUIRE(world.names.NextDeadline().has_value());
  world.elapsed = absl::Seconds(61);
  world.names.OnTimer(world.now());
  CHECK_FALSE(world.names.NextDeadline().has_value());
  world.peers.known.insert(PeerName(9));
  world.names.OnTopologyChange(world.now());
  CHECK(world.names.size() == 0);
}

TEST_CASE("A tombstone that we have forgotten is not learnt again from who has not", "[dns]") {
  NameWorld world;
  world.elapsed = absl::Minutes(60);
  const std::int64_t now = absl::ToUnixSeconds(world.now().wall);
  CHECK(world.Hear({Name(kFriend, "c1", "10.32.0.1", "web.weave.local.", 1, now - 31 * 60)}).empty());
  CHECK(world.names.size() == 0);
  CHECK(world.Hear({Name(kFriend, "c1", "10.32.0.1", "web.weave.local.", 1, now - 29 * 60)}).size() == 1);
  CHECK(world.names.size() == 1);
}

TEST_CASE("Tombstones are forgotten after half an hour, and an idle registry asks for no timer", "[dns]") {
  NameWorld world;
  CHECK_FALSE(world.names.NextDeadline().has_value());
  world.names.Add("c1", V4("10.32.0.1"), "web.weave.local");
  world.names.Remove(world.now(), {});
  REQUIRE(world.names.NextDeadline().has_value());
  world.elapsed = absl::Minutes(30);
  world.names.OnTimer(world.now());
  CHECK(world.names.size() == 1);
  world.elapsed = absl::Minutes(60);
  world.names.OnTimer(world.now());
  CHECK(world.names.size() == 0);
  CHECK_FALSE(world.names.NextDeadline().has_value());
}

TEST_CASE("A clock that is more than 15 minutes off is an error that names the peer", "[dns]") {
  NameWorld world;
  const auto hear = [&](Duration skew) {
    return world.names.OnGossip(world.now(), kFriend, world.Message({}, skew)).status();
  };
  CHECK(hear(absl::Seconds(900)).ok());
  CHECK(hear(absl::Seconds(-900)).ok());
  CHECK(hear(absl::Seconds(901)).message() ==
        "the clock of peer 00:00:00:00:00:02 is 901 s ahead of ours: names need clocks that differ by at most 900 s");
  CHECK(hear(absl::Hours(-1)).message() ==
        "the clock of peer 00:00:00:00:00:02 is 3600 s behind ours: names need clocks that differ by at most 900 s");
  const Bytes absurd = EncodeNames(std::numeric_limits<std::int64_t>::min(), {});
  CHECK(absl::IsInvalidArgument(world.names.OnBroadcast(world.now(), kOther, absurd).status()));
}

TEST_CASE("What a peer said of the time is known, also when it was too far off", "[dns]") {
  NameWorld world;
  CHECK(world.names.clock_readings().empty());
  world.Hear({});
  CHECK(world.names.clock_readings().at(kFriend).ahead_seconds == 0);
  world.elapsed = absl::Seconds(30);
  CHECK_FALSE(world.names.OnGossip(world.now(), kFriend, world.Message({}, absl::Hours(-1))).ok());
  CHECK(world.names.clock_readings().at(kFriend).ahead_seconds == -3600);
  CHECK(world.names.clock_readings().at(kFriend).heard_at == world.now().monotonic);
  const Bytes absurd = EncodeNames(std::numeric_limits<std::int64_t>::max(), {});
  CHECK_FALSE(world.names.OnBroadcast(world.now(), kOther, absurd).ok());
  CHECK(world.names.clock_readings().at(kOther).ahead_seconds > absl::ToInt64Seconds(absl::Hours(1'000'000)));
}

TEST_CASE("Who speaks for ever more peers displaces the oldest readings, and no more", "[dns]") {
  NameWorld world;
  const auto hear = [&](std::uint64_t name) {
    world.elapsed += absl::Nanoseconds(1);
    CHECK(world.names.OnBroadcast(world.now(), PeerName(name), world.Message({})).ok());
  };
  for (std::uint64_t name = 1; name <= kMaxClockReadingCount + 1; ++name) hear(name);
  CHECK(world.names.clock_readings().size() == kMaxClockReadingCount);
  CHECK_FALSE(world.names.clock_readings().contains(PeerName(1)));
  hear(2);
  CHECK(world.names.clock_readings().contains(PeerName(3)));
}

TEST_CASE("A restored name has the version it had, and is told", "[dns]") {
  NameWorld world;
  world.names.Restore(Name(kOther, "c1", "10.32.0.1", "web.weave.local.", 4));
  CHECK(world.Told() == Entries{Name(kSelf, "c1", "10.32.0.1", "web.weave.local.", 4)});
  CHECK(world.names.TakeOwnChanges().empty());
  CHECK(world.names.OwnEntries().size() == 1);
}

TEST_CASE("A full state is told as it is when it is sent, sorted, and in messages of bounded size", "[dns]") {
  NameWorld world;
  const std::unique_ptr<GossipData> state = world.names.FullState(world.now());
  CHECK(state->Encode().size() == 1);  // that there is nothing is told, too
  for (std::uint32_t i = 0; i < kMaxNamesInMessage + 1; ++i)
    world.names.Add("c", i, (i % 2 == 0 ? "a" : "B") + std::to_string(i) + ".weave.local");
  const std::vector<Bytes> payloads = state->Encode();
  CHECK(payloads.size() == 2);
  const Entries entries = NameWorld::Entries(state.get());
  CHECK(entries.size() == kMaxNamesInMessage + 1);
  CHECK(std::is_sorted(entries.begin(), entries.end(),
                       [](const NameEntry& a, const NameEntry& b) { return IdentityOf(a) < IdentityOf(b); }));
}

TEST_CASE("What waits for a slow neighbour merges", "[dns]") {
  NameWorld world;
  const auto gossip = [&](std::vector<NameEntry> entries) {
    auto data = std::make_unique<NameGossip>(kStart);
    for (NameEntry& entry : entries) data->Add(std::make_shared<const NameEntry>(std::move(entry)));
    return data;
  };
  const NameEntry old = Name(kFriend, "c", "10.32.0.1", "web.weave.local.", 1);
  const NameEntry newer = Name(kFriend, "c", "10.32.0.1", "web.weave.local.", 2);
  const auto waiting = gossip({newer});
  waiting->Merge(*gossip({old, Name(kOther, "d", "10.32.0.2", "db.weave.local.")}));
  CHECK(NameWorld::Entries(waiting.get()) == Entries{Name(kOther, "d", "10.32.0.2", "db.weave.local."), newer});
  waiting->Merge(*world.names.FullState(world.now()));  // has it all
  CHECK(NameWorld::Entries(waiting.get()).empty());
}

TEST_CASE("Host names that no query could ask for are refused", "[dns]") {
  CHECK(CheckHostname("web.weave.local").ok());
  CHECK(CheckHostname("").ok());
  CHECK(CheckHostname(std::string(63, 'a') + ".weave.local.").ok());
  for (const std::string& name : {std::string("a..b"), std::string("."), std::string(64, 'a'), std::string("a b"),
                                  std::string(100, 'a') + "." + std::string(60, 'b'), std::string("a\n.weave.local")})
    CHECK(absl::IsInvalidArgument(CheckHostname(name)));
}

}  // namespace
}  // namespace weave::test
