#include "wire/bolt_file.h"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "test/support/catch.h"
#include "test/wire/bolt_world.h"

namespace weave {
namespace {

using Entry = BoltWorld::Entry;

// Keys and values as "key=value", or the error.
std::vector<std::string> Read(const Bytes& file, absl::string_view bucket = "top") {
  const absl::StatusOr<std::vector<BoltEntry>> entries = ReadBoltBucket(file, bucket);
  if (!entries.ok()) return {entries.status().ToString()};
  std::vector<std::string> texts;
  for (const BoltEntry& entry : *entries)
    texts.push_back(std::string(entry.key) + "=" + std::string(AsText(entry.value)));
  return texts;
}

bool Refuses(const Bytes& file, absl::string_view what) {
  const std::vector<std::string> texts = Read(file);
  CAPTURE(texts);
  return texts.size() == 1 && absl::StartsWith(texts[0], "INVALID_ARGUMENT: ") && absl::StrContains(texts[0], what);
}

BoltWorld WithBucket() {
  BoltWorld world;
  world.AddLeaf({{"other", BoltWorld::Bucket(3), true}, {"top", BoltWorld::Bucket(4), true}, {"stray", "value"}});
  world.AddLeaf({{"x", "y"}});
  world.AddLeaf({{"peername", "1"}, {"ring", ""}});
  return world;
}

TEST_CASE("A bucket's entries are read in order, other buckets left alone", "[wire][bolt]") {
  CHECK(Read(WithBucket().file()) == std::vector<std::string>{"peername=1", "ring="});
  CHECK(Read(WithBucket().file(), "other") == std::vector<std::string>{"x=y"});
  CHECK(Read(WithBucket().file(), "stray") ==
        std::vector<std::string>{"NOT_FOUND: bbolt file has no bucket \"stray\""});
}

TEST_CASE("A small bucket stands inside the entry that names it", "[wire][bolt]") {
  BoltWorld world;
  world.AddLeaf(
      {{"top", BoltWorld::InlineBucket({{"a", "1"}, {"inner", BoltWorld::Bucket(2), true}, {"b", "2"}}), true}});
  CHECK(Read(world.file()) == std::vector<std::string>{"a=1", "b=2"});
}

TEST_CASE("A large bucket is a tree of pages, a large value continues on the pages behind", "[wire][bolt]") {
  const std::string large(2000, 'v');
  BoltWorld world;
  world.AddLeaf({{"top", BoltWorld::Bucket(3), true}});
  world.AddBranch({4, 5});
  world.AddLeaf({{"a", "1"}});
  world.AddLeaf({{"b", large}, {"c", "3"}});
  CHECK(Read(world.file()) == std::vector<std::string>{"a=1", "b=" + large, "c=3"});
}

TEST_CASE("The later of the two meta pages counts, and the other when it is damaged", "[wire][bolt]") {
  BoltWorld world;
  world.AddLeaf({{"top", BoltWorld::InlineBucket({{"of", "page 2"}}), true}});
  world.AddLeaf({{"top", BoltWorld::InlineBucket({{"of", "page 3"}}), true}});
  world.PutMeta(0, 3, 7);
  CHECK(Read(world.file()) == std::vector<std::string>{"of=page 3"});
  Bytes half_written = world.file();
  half_written[16 + 48] ^= 1;  // the first page's transaction
  CHECK(Read(half_written) == std::vector<std::string>{"of=page 2"});
  half_written[BoltWorld::kPageSize + 16 + 48] ^= 1;
  CHECK(Refuses(half_written, "both its meta pages are damaged"));
}

TEST_CASE("Damage is refused and said where it is", "[wire][bolt]") {
  CHECK(Refuses({}, "no bbolt file"));
  CHECK(Refuses(Bytes(4096, 0xff), "no bbolt file"));

  CHECK(Refuses(BoltWorld(2).file(), "there is no page 2"));
  CHECK(Refuses(BoltWorld(~std::uint64_t{0}).file(), "there is no page 18446744073709551615"));
  CHECK(Refuses(BoltWorld(1).file(), "there is no page 1"));

  BoltWorld circle;
  circle.AddBranch({3});
  circle.AddBranch({2, 2});
  CHECK(Refuses(circle.file(), "part of a circle"));

  BoltWorld blank;
  blank.file().resize(3 * BoltWorld::kPageSize);
  CHECK(Refuses(blank.file(), "page 2 is neither branch nor leaf"));

  Bytes file = WithBucket().file();
  file[2 * BoltWorld::kPageSize + 12] = 200;  // pages that would follow
  CHECK(Refuses(file, "page 2 is cut short"));
  file = WithBucket().file();
  file[2 * BoltWorld::kPageSize + 10] = 200;  // entries
  CHECK(Refuses(file, "a leaf is cut short"));
  file = WithBucket().file();
  file[2 * BoltWorld::kPageSize + 16 + 7] = 0x7f;  // the first key's position
  CHECK(Refuses(file, "an entry reaches beyond its page"));

  BoltWorld short_bucket;
  short_bucket.AddLeaf({{"top", "short", true}});
  CHECK(Refuses(short_bucket.file(), "bucket \"top\" is cut short"));
  BoltWorld short_inline;
  short_inline.AddLeaf({{"top", BoltWorld::Bucket(0) + "page", true}});
  CHECK(Refuses(short_inline.file(), "an inline bucket is cut short"));
}

TEST_CASE("A file that a 2.8 peer wrote", "[wire][bolt][golden]") {
  std::ifstream in(WEAVE_SOURCE_DIR "/test/golden/weave-2.8.db", std::ios::binary);
  const Bytes file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const absl::StatusOr<std::vector<BoltEntry>> entries = ReadBoltBucket(file, "top");
  REQUIRE(entries.ok());
  std::vector<std::string> keys;
  for (const BoltEntry& entry : *entries) keys.emplace_back(entry.key);
  CHECK(keys == std::vector<std::string>{"directPeers", "ownedAddresses", "peername", "ring", "version"});
  CHECK(ToHex(entries->back().value) == "0100");
}

}  // namespace
}  // namespace weave
