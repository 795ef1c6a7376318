#include "base/bytes.h"

#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("Bytes survive the way to hex and back", "[base]") {
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::uint8_t>(i));
  const std::string text = ToHex(all);
  CHECK(text.substr(0, 8) == "00010203");
  CHECK(text.substr(508) == "feff");
  CHECK(FromHex(text).value() == all);
  CHECK(ToHex({}).empty());
  CHECK(FromHex("").value().empty());
}

TEST_CASE("Hex is read in either case", "[base]") { CHECK(FromHex("aBCd").value() == Bytes{0xab, 0xcd}); }

TEST_CASE("Bad hex says where it is bad", "[base]") {
  CHECK(FromHex("abc").status().message() == "hex text has 3 digits, want an even count");
  CHECK(FromHex("00zz").status().message() == "hex text has another character near position 2");
  CHECK(FromHex("0 ").status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Numbers of any size follow each other in network order and are taken away in turn", "[base]") {
  Bytes bytes;
  AppendBigEndian(0x1234, 2, bytes);
  AppendBigEndian(0xfedcba9876543210, 8, bytes);
  AppendBigEndian(0x17f, 1, bytes);
  CHECK(ToHex(bytes) == "1234fedcba98765432107f");
  ByteView rest = bytes;
  CHECK(TakeBigEndian(2, rest) == 0x1234);
  CHECK(TakeBigEndian(8, rest) == 0xfedcba9876543210);
  CHECK(TakeBigEndian(1, rest) == 0x7f);
  CHECK(rest.empty());
}

}  // namespace
}  // namespace weave
