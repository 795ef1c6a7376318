// What 2.8 name servers told each other and answered (test/golden/vectors/dns_*.json): read, written again with the
// same bytes, and answered with the same bytes.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "dns/name_resolver.h"
#include "test/dns/name_world.h"
#include "test/support/golden.h"
#include "wire/gob_primitives.h"
#include "wire/messages.h"

namespace weave::test {
namespace {

using Json = nlohmann::json;

NameEntry EntryOf(const Json& json) {
  return Name(PeerName::Parse(json["origin"].get<std::string>()).value(), json["container"], json["addr"],
              json["hostname"], json["version"], json["tombstone"]);
}

// The last message of a stream behind its type id, which is of the encoder's choice.
std::string LastValue(ByteView stream) {
  GobInput in(stream);
  ByteView message;
  while (!in.empty()) REQUIRE(in.ByteString(message).ok());
  GobInput content(message);
  std::int64_t id = 0;
  REQUIRE(content.Int(id).ok());
  return ToHex(content.rest());
}

TEST_CASE("What 2.8 name servers gossip is understood, and said with the same bytes", "[dns][golden]") {
  std::size_t most = 0;
  std::size_t tombstones = 0;
  const Json vectors = ReadGolden("dns_gossip")["vectors"];
  for (const Json& vector : vectors) {
    const Bytes bytes = FromHex(vector["message"].get<std::string>()).value();
    const GossipMessage gossip = DecodeGossip(bytes).value();
    CHECK(gossip.channel == kNameChannel);
    const NameMessage message = DecodeNames(gossip.payload).value();
    const Json& body = vector["decoded"]["body"];
    CHECK(message.timestamp == body["timestamp"].get<std::int64_t>());
    REQUIRE(message.entries.size() == body["entries"].size());
    std::vector<NameEntryPtr> entries;
    for (std::size_t i = 0; i < message.entries.size(); ++i) {
      CHECK(message.entries[i].ToEntry() == EntryOf(body["entries"][i]));
      entries.push_back(std::make_shared<const NameEntry>(message.entries[i].ToEntry()));
      tombstones += entries.back()->alive() ? 0 : 1;
    }
    CHECK(std::is_sorted(entries.begin(), entries.end(), NameIdentityLess()));
    CHECK(LastValue(EncodeNames(message.timestamp, entries)) == LastValue(gossip.payload));
    most = std::max(most, entries.size());
  }
  CHECK(most >= 60);
  CHECK(tombstones > 0);
}

// spec/gob.md section 7.
TEST_CASE("Our streams of names begin as a fresh encoder of 2.8 begins", "[dns][golden]") {
  const std::string block =
      "33ff810301010a476f737369704461746101ff82000102010954696d657374616d700104000107456e747269657301ff8600000016ff8502"
      "010107456e747269657301ff860001ff8400005eff8303010105456e74727901ff84000106010b436f6e7461696e65724944010c0001064f"
      "726967696e0106000104416464720106000108486f73746e616d65010c00010756657273696f6e0104000109546f6d6273746f6e65010400"
      "0000";
  CHECK(ToHex(EncodeNames(1795301764, {})).substr(0, block.size()) == block);
}

// Addresses come in any order: answers are compared by their records.
std::vector<std::string> Records(const Bytes& answer, std::size_t question_size) {
  std::vector<std::string> records;
  const std::size_t size = question_size - 4 + 14;
  for (std::size_t at = kDnsHeaderSize + question_size; at < answer.size(); at += size)
    records.push_back(ToHex(ByteView(answer).subspan(at, size)));
  std::sort(records.begin(), records.end());
  return records;
}

TEST_CASE("Queries are answered as 2.8 answers them", "[dns][golden]") {
  NameWorld world;
  for (const char* address : {"10.32.0.1", "10.32.0.9"})
    REQUIRE(world.names.Add("c1", V4(address), V4(address) % 16 == 1 ? "Web.weave.local" : "web.weave.local"));
  world.Hear(
      {Name(kFriend, "c2", "10.32.128.0", "web.weave.local."), Name(kOther, "c3", "10.32.96.0", "db.weave.local.")});
  for (int i = 1; i <= 60; ++i)
    REQUIRE(world.names.Add("m" + std::to_string(i), V4("10.32.1." + std::to_string(i)), "many.weave.local"));
  NameResolver resolver(world.names, 1, Random(7));

  int forwarded = 0;
  const Json vectors = ReadGolden("dns_queries")["vectors"];
  for (const Json& vector : vectors) {
    const Bytes query = FromHex(vector["query"].get<std::string>()).value();
    const Bytes expected = FromHex(vector["response"].get<std::string>()).value();
    INFO(vector["query"].get<std::string>());
    Bytes answer;
    if (resolver.Resolve(query, NameResolver::Transport::kUdp, answer) == NameResolver::Outcome::kAskUpstream) {
      resolver.AnswerWith(DnsCode::kServerFailure, answer);  // as nobody could be reached
      CHECK(ToHex(answer) == ToHex(expected));
      ++forwarded;
      continue;
    }
    const std::size_t question = resolver.query().question.size();
    const std::size_t head = kDnsHeaderSize + question;
    REQUIRE(answer.size() == expected.size());
    CHECK(ToHex(ByteView(answer).subspan(0, head)) == ToHex(ByteView(expected).subspan(0, head)));
    const bool truncated = (answer[2] & 2) != 0;  // which addresses stay is chance
    if (resolver.query().type == DnsType::kA && !truncated)
      CHECK(Records(answer, question) == Records(expected, question));
    if (resolver.query().type == DnsType::kPtr) CHECK(ToHex(answer) == ToHex(expected));
  }
  CHECK(forwarded == 2);
}

}  // namespace
}  // namespace weave::test
