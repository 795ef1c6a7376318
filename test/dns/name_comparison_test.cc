// Two peers of our own that find out where their names differ (docs/mesh.md, "Comparing names").
#include "dns/name_comparison.h"

#include <deque>

#include "base/random.h"
#include "test/dns/name_world.h"

namespace weave::test {
namespace {

// Two registries that are neighbours: what one says the other hears at once.
struct Pair {
  NameWorld low{kSelf};
  NameWorld high{kFriend};

  struct Cost {
    std::size_t messages = 0;
    std::size_t size = 0;
    std::size_t entries = 0;
  };

  // An entry of a third peer.
  static NameEntry Third(int number, std::int64_t version = 0, std::int64_t tombstone = 0) {
    return Name(kOther, "c" + std::to_string(number), "10.32.0.9", "host" + std::to_string(number) + ".weave.local.",
                version, tombstone);
  }

  void Advance(Duration duration) {
    low.elapsed += duration;
    high.elapsed += duration;
  }

  // From a digest of one, or of both at once as when a connection is new, to where nobody says anything more.
  Cost Compare(bool low_begins, bool high_begins) {
    Cost cost;
    std::deque<Message> way;
    if (low_begins) Send(false, true, *low.names.Digest(low.now(), kFriend), way);
    if (high_begins) Send(true, true, *high.names.Digest(high.now(), kSelf), way);
    for (; !way.empty(); way.pop_front()) {
      const Message message = way.front();
      NameWorld& to = message.from_high ? low : high;
      const PeerName from = message.from_high ? kFriend : kSelf;
      ++cost.messages;
      cost.size += message.payload.size();
      if (!message.comparison) {
        cost.entries += DecodeNames(message.payload).value().entries.size();
        REQUIRE(to.names.OnGossip(to.now(), from, message.payload).ok());
        REQUIRE(to.names.CheckInvariants().ok());
        continue;
      }
      const ComparingGossiper::Answer answer = to.names.OnComparison(to.now(), from, message.payload).value();
      if (answer.comparison != nullptr) Send(!message.from_high, true, *answer.comparison, way);
      if (answer.state != nullptr) Send(!message.from_high, false, *answer.state, way);
    }
    return cost;
  }

  bool Equal() const { return low.names.SumOf(kAllNames) == high.names.SumOf(kAllNames); }

 private:
  struct Message {
    bool from_high = false;
    bool comparison = false;
    Bytes payload;
  };

  static void Send(bool from_high, bool comparison, const GossipData& data, std::deque<Message>& way) {
    for (Bytes& payload : data.Encode()) way.push_back({from_high, comparison, std::move(payload)});
  }
};

TEST_CASE("Neighbours with the same names say a digest and nothing more", "[dns]") {
  Pair pair;
  for (int i = 0; i < 1000; ++i) {
    pair.low.Hear({Pair::Third(i)});
    pair.high.Hear({Pair::Third(i)});
  }
  const Pair::Cost cost = pair.Compare(true, true);
  CHECK(cost.messages == 2);
  CHECK(cost.size < 2 * 120);
}

TEST_CASE("What differs among many names costs what differs", "[dns]") {
  Pair pair;
  for (int i = 0; i < 10'000; ++i) {
    if (i != 17) pair.low.Hear({Pair::Third(i)});
    if (i != 18) pair.high.Hear({Pair::Third(i, i == 19 ? 1 : 0)});
  }
  SECTION("the lower name begins") { CHECK(pair.Compare(true, false).entries < 50); }
  SECTION("the higher name begins") { CHECK(pair.Compare(false, true).size < 12'000); }
  SECTION("both at once") { CHECK(pair.Compare(true, true).entries < 50); }
  CHECK(pair.Equal());
  CHECK(pair.low.Lookup("host17.weave.local.").size() == 1);
  CHECK(pair.high.Lookup("host18.weave.local.").size() == 1);
}

TEST_CASE("Whoever has no names is told all, once", "[dns]") {
  const bool low_is_new = GENERATE(true, false);
  Pair pair;
  for (int i = 0; i < 10'000; ++i) (low_is_new ? pair.high : pair.low).Hear({Pair::Third(i)});
  const Pair::Cost cost = pair.Compare(true, true);
  CHECK(pair.Equal());
  CHECK(cost.entries == 10'000);
  CHECK(cost.messages < 7);
}

TEST_CASE("A deletion that one of two missed comes with the next digest, and no name comes back", "[dns]") {
  Pair pair;
  const NameEntry dead = Pair::Third(1, 1, 1'800'000'000);
  for (int i = 0; i < 100; ++i) {
    pair.low.Hear({Pair::Third(i)});
    pair.high.Hear({Pair::Third(i)});
  }
  pair.low.Hear({dead});
  pair.Compare(GENERATE(true, false), true);
  CHECK(pair.Equal());
  CHECK(pair.high.Lookup("host1.weave.local.").empty());
  CHECK(pair.low.Lookup("host1.weave.local.").empty());
}

TEST_CASE("That one peer forgets its tombstones before the other is no difference", "[dns]") {
  Pair pair;
  pair.low.Hear({Pair::Third(1), Pair::Third(2, 1, 1'800'000'000)});
  pair.high.Hear({Pair::Third(1)});
  CHECK(pair.Compare(true, true).messages == 2);
}

TEST_CASE("A peer that starts again hears at once what it had deleted, so that others take what it adds", "[dns]") {
  NameWorld before, again, neighbour(kFriend);
  before.names.Add("c1", 1, "web.weave.local");
  before.names.Remove(before.now(), {});
  before.names.Add("c1", 1, "web.weave.local");
  before.names.Remove(before.now(), {});
  neighbour.Hear(before.Told());
  neighbour.Hear({Pair::Third(1, 1, 1'800'000'000)});  // another peer's business
  const auto greeting = neighbour.names.Greeting(neighbour.now(), kSelf);
  REQUIRE(greeting != nullptr);
  CHECK(again.Hear(NameWorld::Entries(greeting.get())).size() == 1);
  again.names.Add("c1", 1, "web.weave.local");
  neighbour.Hear(again.Told());
  CHECK(neighbour.Lookup("web.weave.local.").size() == 1);
  CHECK(neighbour.names.Greeting(neighbour.now(), kSelf) == nullptr);
}

TEST_CASE("Random differences go, whoever begins", "[dns]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Pair pair;
    const int count = static_cast<int>(random.Below(3000));
    for (NameWorld* world : {&pair.low, &pair.high}) {
      for (int i = 0; i < count; ++i)
        if (!random.Chance(1, 10))
          world->Hear({Pair::Third(i, random.Chance(1, 20) ? 2 : 0, random.Chance(1, 20) ? 1'800'000'000 : 0)});
    }
    pair.low.names.Add("own", 1, "own.weave.local");
    pair.Compare(random.Chance(1, 2), true);
    CHECK(pair.Equal());
  }
}

TEST_CASE("A digest by a clock that is too far off is an error that names the peer", "[dns]") {
  Pair pair;
  pair.high.elapsed = absl::Minutes(16);
  const Bytes digest = pair.high.names.Digest(pair.high.now(), kSelf)->Encode().at(0);
  CHECK(pair.low.names.OnComparison(pair.low.now(), kFriend, digest).status().message() ==
        "the clock of peer 00:00:00:00:00:02 is 960 s ahead of ours: names need clocks that differ by at most 900 s");
}

TEST_CASE("A comparison is read as it was written, and refused when it is malformed", "[dns]") {
  NameComparison comparison{5, {{kAllNames, {3, 77}}, {127, {}}, {8191, {0xffffffff, ~0ull}}}, {64, 4096}};
  const Bytes whole = EncodeNameComparison(comparison);
  CHECK(DecodeNameComparison(whole).value() == comparison);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(absl::IsInvalidArgument(DecodeNameComparison(ByteView(whole).first(size)).status()));
  comparison.wanted = {128};
  CHECK(DecodeNameComparison(EncodeNameComparison(comparison)).status().message() ==
        "name comparison: part 128, want 1, 64 to 127 or 4096 to 8191");
  comparison.wanted.assign(kMaxPartCount + 1, kAllNames);
  CHECK(DecodeNameComparison(EncodeNameComparison(comparison)).status().message() ==
        "name comparison: wanted parts in 8324 bytes, want a multiple of 2 up to 8322");
}

TEST_CASE("Parts have the names of their parts, and sums of what is alive", "[dns]") {
  NameWorld world;
  for (int i = 0; i < 500; ++i) world.Hear({Pair::Third(i, 0, i % 5 == 0 ? 1'800'000'000 : 0)});
  NameSum branches, leaves;
  const auto add = [&world](NamePart part, NameSum& sum) {
    sum.count += world.names.SumOf(part).count;
    sum.fingerprints += world.names.SumOf(part).fingerprints;
  };
  std::size_t entries = 0;
  for (NamePart branch = 64; branch < 128; ++branch) {
    add(branch, branches);
    for (NamePart leaf = branch * 64; leaf < branch * 64 + 64; ++leaf) {
      add(leaf, leaves);
      entries += world.names.EntriesIn(leaf).size();
    }
  }
  CHECK(branches == world.names.SumOf(kAllNames));
  CHECK(leaves == branches);
  CHECK(leaves.count == 400);
  CHECK(entries == 500);
}

}  // namespace
}  // namespace weave::test
