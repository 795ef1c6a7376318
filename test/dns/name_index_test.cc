// The table in which names are found, beside an ordered map that knows the same.
#include "dns/name_index.h"

#include <map>
#include <memory>
#include <utility>

#include "base/random.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

using Hashed = std::pair<std::uint64_t, std::string>;  // in the order of the table

struct Both {
  NameIndex index;
  std::map<Hashed, std::unique_ptr<NameBucket>> model;

  NameBucket& Insert(const std::string& name, std::uint64_t hash) {
    std::unique_ptr<NameBucket>& bucket = model[{hash, name}];
    if (bucket != nullptr) return *bucket;
    bucket = std::make_unique<NameBucket>();
    bucket->name = name;
    bucket->hash = hash;
    index.Insert(*bucket);
    return *bucket;
  }
  void Erase(std::map<Hashed, std::unique_ptr<NameBucket>>::iterator place) {
    index.Erase(*place->second);
    model.erase(place);
  }

  // What the table has of `part`, and what it should have.
  void Check(NamePart part, std::uint64_t first, std::uint64_t last) const {
    std::vector<Hashed> there, expected;
    index.ForEachIn(part, [&](const NameBucket& bucket) { there.emplace_back(bucket.hash, bucket.name); });
    for (auto it = model.lower_bound({first, ""}); it != model.end() && it->first.first <= last; ++it)
      expected.push_back(it->first);
    CHECK(there == expected);
  }
  void CheckAll() const {
    CHECK(index.size() == model.size());
    Check(kAllNames, 0, ~std::uint64_t{0});
  }
};

void AddEntry(NameBucket& bucket, const std::string& container, std::uint32_t address, std::int64_t tombstone) {
  bucket.entries.insert(
      std::make_shared<const NameEntry>(NameEntry{container, PeerName(1), address, bucket.name, 0, tombstone}));
}

// 0: as they come; otherwise very uneven, also where the table ends, and often the same.
std::uint64_t DrawHash(Random& random, int kind) {
  if (kind == 0) return random.Next();
  if (kind == 1) return ~std::uint64_t{0} - random.Below(40);
  return (random.Below(3) << 52) + random.Below(5);
}

TEST_CASE("Names stand in order of hash whatever comes and goes, and however uneven the hashes are", "[dns]") {
  for (int kind = 0; kind < 3; ++kind) {
    INFO("kind " << kind);
    Random random(7 + static_cast<std::uint64_t>(kind));
    Both both;
    for (int step = 0; step < 3000; ++step) {
      const bool grows = step < 1500;
      if (both.model.empty() || random.Chance(grows ? 3 : 1, 4)) {
        both.Insert("n" + std::to_string(random.Below(1000)), DrawHash(random, kind));
      } else {
        const auto near = both.model.lower_bound({DrawHash(random, kind), ""});
        both.Erase(near == both.model.end() ? both.model.begin() : near);
      }
      if (step % 100 != 0) continue;
      both.CheckAll();
      const std::uint64_t leaf = kind == 2 ? random.Below(4) : random.Below(4096), branch = random.Below(64);
      both.Check(static_cast<NamePart>(kFirstLeaf + leaf), leaf << 52, leaf << 52 | ((1ull << 52) - 1));
      both.Check(static_cast<NamePart>(kFirstBranch + branch), branch << 58, branch << 58 | ((1ull << 58) - 1));
    }
    while (!both.model.empty()) both.Erase(both.model.begin());
    both.CheckAll();
  }
}

TEST_CASE("A name of any length is found with the addresses that it has now", "[dns]") {
  Both both;
  const auto name_of = [](std::size_t i) { return std::string(i % 100, 'x') + std::to_string(i); };
  const auto expected = [](std::size_t i) { return std::vector<std::uint32_t>(i % 4, static_cast<std::uint32_t>(i)); };
  const auto of = [&](std::size_t i) {
    const auto addresses = both.index.AddressesOf(name_of(i));
    return std::vector<std::uint32_t>(addresses.begin(), addresses.end());
  };
  constexpr std::size_t kCount = 2000;
  for (std::size_t i = 0; i < kCount; ++i) {
    REQUIRE(both.index.Find(name_of(i)) == nullptr);
    NameBucket& bucket = both.Insert(name_of(i), HashOfName(name_of(i)));
    // One in three has more entries than are looked through with each change; one in four nothing but a deleted one.
    const std::size_t deleted = i % 3 == 0 ? 12 : 1;
    for (std::size_t d = 0; d < deleted; ++d) AddEntry(bucket, "d" + std::to_string(d), 1, 5);
    both.index.OnChange(bucket);
    REQUIRE(of(i).empty());
    for (std::size_t a = 0; a < i % 4; ++a) {
      AddEntry(bucket, "c" + std::to_string(a), static_cast<std::uint32_t>(i), 0);
      both.index.OnChange(bucket);
    }
    REQUIRE(of(i) == expected(i));
  }
  for (std::size_t i = 0; i < kCount; ++i) CHECK(of(i) == expected(i));
  for (std::size_t i = 0; i < kCount; i += 2) both.Erase(both.model.find({HashOfName(name_of(i)), name_of(i)}));
  for (std::size_t i = 0; i < kCount; ++i) {
    CHECK((both.index.Find(name_of(i)) != nullptr) == (i % 2 == 1));
    CHECK(of(i) == (i % 2 == 1 ? expected(i) : std::vector<std::uint32_t>()));
  }
}

}  // namespace
}  // namespace weave::test
