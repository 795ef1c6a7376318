#include "base/mac.h"

#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("A MAC address is printed as it is read, in lower case", "[base]") {
  CHECK(MacAddress::Parse("02:0A:ff:00:10:9b").value().ToString() == "02:0a:ff:00:10:9b");
  CHECK(MacAddress().ToString() == "00:00:00:00:00:00");
}

TEST_CASE("The group bit tells a multicast address", "[base]") {
  CHECK(MacAddress::Parse("01:00:5e:00:00:01").value().IsMulticast());
  CHECK(MacAddress::Parse("ff:ff:ff:ff:ff:ff").value().IsMulticast());
  CHECK_FALSE(MacAddress::Parse("02:00:00:00:00:01").value().IsMulticast());
}

TEST_CASE("What is not a MAC address is refused by name", "[base]") {
  for (const char* text : {"", "02:0a:ff:00:10", "02:0a:ff:00:10:9b:", "2:a:ff:0:10:9b:00:00", "02-0a-ff-00-10-9b",
                           "02:0a:ff:00:10:9g", "02:0a:ff:00:10: 9", "02:0a:ff:00:10:+9", "02:0a:ff:00:10:9b "}) {
    CAPTURE(text);
    const auto mac = MacAddress::Parse(text);
    REQUIRE(mac.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(mac.status().message()).find(std::string("\"") + text + "\"") != std::string::npos);
  }
}

}  // namespace
}  // namespace weave
