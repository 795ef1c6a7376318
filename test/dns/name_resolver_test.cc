// Answers to queries, beyond those of the golden vectors.
#include <map>

#include "dns/name_resolver.h"
#include "test/dns/name_world.h"

namespace weave::test {
namespace {

using Outcome = NameResolver::Outcome;
using Transport = NameResolver::Transport;

// A query for `name` (`a.b`), with what else it says in hex behind the question.
Bytes Query(const std::string& name, std::uint16_t type = 1, const std::string& flags = "0100",
            const std::string& counts = "0001000000000000", const std::string& rest = "") {
  std::string hex = "abcd" + flags + counts;
  std::string label;
  for (const char c : name + ".") {
    if (c != '.') {
      label += c;
      continue;
    }
    hex += ToHex(Bytes{static_cast<std::uint8_t>(label.size())}) + ToHex(AsBytes(label));
    label.clear();
  }
  hex += "00" + ToHex(Bytes{static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type)}) + "0001" + rest;
  return FromHex(hex).value();
}

struct Server : NameWorld {
  explicit Server(const std::string& domain = "weave.local.")
      : NameWorld(kSelf, domain), resolver(names, 30, Random(1)) {}

  Outcome Ask(const Bytes& query, Transport transport = Transport::kUdp) {
    answer.clear();
    return resolver.Resolve(query, transport, answer);
  }
  int code() const { return answer[3] & 0xf; }
  int count() const { return answer[6] << 8 | answer[7]; }
  bool truncated() const { return (answer[2] & 2) != 0; }

  NameResolver resolver;
  Bytes answer;
};

TEST_CASE("Addresses of a name come in any order, each as often as the others in front", "[dns]") {
  Server server;
  for (int i = 0; i < 4; ++i) server.names.Add("c", static_cast<std::uint32_t>(i), "web.weave.local");
  std::map<std::uint8_t, int> first;
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(server.Ask(Query("web.weave.local")) == Outcome::kAnswered);
    REQUIRE(server.count() == 4);
    ++first[server.answer[kDnsHeaderSize + 21 + 17 + 14 - 1]];
  }
  REQUIRE(first.size() == 4);
  for (const auto& [address, count] : first) CHECK(std::abs(count - 250) <= 50);
}

TEST_CASE("An answer that is too large for UDP says so, and TCP has it whole", "[dns]") {
  Server server;
  for (std::uint32_t i = 0; i < 100; ++i) server.names.Add("c", i, "many.weave.local");
  CHECK(server.Ask(Query("many.weave.local")) == Outcome::kAnswered);
  CHECK(server.truncated());
  CHECK(server.answer.size() <= 512);
  CHECK(server.Ask(Query("many.weave.local"), Transport::kTcp) == Outcome::kAnswered);
  CHECK(server.count() == 100);
  CHECK_FALSE(server.truncated());
  // OPT with 1000 bytes, behind a record that says nothing.
  CHECK(server.Ask(Query("many.weave.local", 1, "0100", "0001000000000002",
                         "00000100010000000000047f000001"
                         "00002903e8000000000000")) == Outcome::kAnswered);
  CHECK(server.count() == (1000 - 12 - 22) / 32);
  // A size below 512 is taken at its word; one record comes all the same.
  server.names.Add("c", 1, "one.weave.local");
  CHECK(server.Ask(Query("one.weave.local", 1, "0100", "0001000000000001", "0000290010000000000000")) ==
        Outcome::kAnswered);
  CHECK(server.count() == 1);
}

TEST_CASE("Who answers depends on the name", "[dns]") {
  Server server("Test.Domain.");
  server.names.Add("c", V4("10.0.0.1"), "web.test.domain");
  server.names.Add("c", V4("10.0.0.2"), "a.b.test.domain");
  CHECK(server.Ask(Query("web")) == Outcome::kAnswered);
  CHECK(server.count() == 1);
  CHECK(server.Ask(Query("A.B.test.domain")) == Outcome::kAnswered);
  CHECK(server.count() == 1);
  CHECK(server.Ask(Query("nosuch.test.domain")) == Outcome::kAnswered);
  CHECK(server.code() == 3);
  CHECK(server.Ask(Query("web.weave.local")) == Outcome::kAskUpstream);
  CHECK(server.Ask(Query("xtest.domain")) == Outcome::kAskUpstream);
  CHECK(server.Ask(Query("1.0.0.10.in-addr.arpa", 12)) == Outcome::kAnswered);
  CHECK(server.count() == 1);
  CHECK(server.Ask(Query("9.0.0.10.in-addr.arpa", 12)) == Outcome::kAskUpstream);
  CHECK(server.Ask(Query("1.0.0.10.ip6.arpa", 12)) == Outcome::kAskUpstream);
}

TEST_CASE("The time to live is as configured, the spelling that of the question", "[dns]") {
  Server server;
  server.names.Add("c", V4("10.0.0.1"), "web.weave.local");
  server.Ask(Query("wEb.weave.local"));
  CHECK(ToHex(ByteView(server.answer).subspan(12 + 21)) ==
        "037745620577656176650"
        "56c6f63616c00"
        "00010001"
        "0000001e"
        "0004"
        "0a000001");
}

TEST_CASE("What is no proper query is dropped or refused", "[dns]") {
  Server server;
  CHECK(server.Ask({}) == Outcome::kDrop);
  CHECK(server.Ask(Bytes(11)) == Outcome::kDrop);
  CHECK(server.Ask(Query("web.weave.local", 1, "8180")) ==
        Outcome::kDrop);  // an answer: two servers never talk in circles
  CHECK(server.Ask(Query("web.weave.local", 1, "2800")) == Outcome::kAnswered);
  CHECK(server.code() == 4);
  Bytes cut = Query("web.weave.local");
  cut.pop_back();
  CHECK(server.Ask(cut) == Outcome::kAnswered);
  CHECK(server.code() == 1);
  CHECK(server.Ask(Query("web.weave.local", 1, "0100", "0001000000000001")) ==
        Outcome::kAnswered);  // a record is missing
  CHECK(server.code() == 1);
  CHECK(server.Ask(Query("web.weave.local", 1, "0100", "0002000000000000")) == Outcome::kAnswered);
  CHECK(server.code() == 3);
  CHECK(server.Ask(FromHex("abcd0100"
                           "0001000000000000"
                           "c00c"
                           "00010001")
                       .value()) == Outcome::kAnswered);
  CHECK(server.code() == 1);  // a question is not compressed
}

TEST_CASE("Another peer's name that cannot be told as one is not told", "[dns]") {
  Server server;
  server.Hear({Name(kFriend, "c", "10.0.0.1", "a..weave.local."), Name(kFriend, "c", "10.0.0.2", "noend")});
  CHECK(server.Ask(Query("1.0.0.10.in-addr.arpa", 12)) == Outcome::kAnswered);
  CHECK(server.code() == 3);
  CHECK(server.Ask(Query("2.0.0.10.in-addr.arpa", 12)) == Outcome::kAnswered);
  CHECK(server.code() == 3);
}

}  // namespace
}  // namespace weave::test
