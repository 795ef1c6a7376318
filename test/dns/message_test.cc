// What a forwarder changes in messages.
#include "dns/message.h"
#include "test/support/catch.h"

namespace weave {
namespace {

Bytes Message() {
  return FromHex(
             "abcd01000001000000000000"
             "03776562"
             "03636f6d"
             "00"
             "00010001")
      .value();
}

TEST_CASE("The case of a name is mixed by a pattern, and the same pattern undoes it", "[dns]") {
  Bytes message = Message();
  const ByteView question = FirstQuestion(message);
  REQUIRE(question.size() == 13);
  const absl::Span<std::uint8_t> letters = absl::MakeSpan(message).subspan(kDnsHeaderSize, question.size());
  MixCase(letters, 0b101001);
  CHECK(AsText(ByteView(message).subspan(13, 3)) == "Web");
  CHECK(AsText(ByteView(message).subspan(17, 3)) == "CoM");
  MixCase(letters, 0b101001);
  CHECK(message == Message());
}

TEST_CASE("A message without a plain question has none to be compared", "[dns]") {
  CHECK(FirstQuestion(Bytes(12)).empty());
  CHECK(FirstQuestion(FromHex("abcd01000001000000000000c00c00010001").value()).empty());
  Bytes cut = Message();
  cut.pop_back();
  CHECK(FirstQuestion(cut).empty());
}

TEST_CASE("A name with dots inside a label cannot be taken for another", "[dns]") {
  DnsQuery query;
  REQUIRE(ReadDnsQuery(FromHex("abcd01000001000000000000"
                               "07612e62"
                               "2e2e2e5c"
                               "00"
                               "00010001")
                           .value(),
                       query));
  CHECK(query.name == "a\\.b\\.\\.\\.\\\\.");
}

}  // namespace
}  // namespace weave
