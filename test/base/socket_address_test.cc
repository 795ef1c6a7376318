#include "base/socket_address.h"

#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("Socket addresses are read and printed in their canonical form", "[base]") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"10.32.0.1:6783", "10.32.0.1:6783"},
      {"0.0.0.0:0", "0.0.0.0:0"},
      {"1.2.3.4:65535", "1.2.3.4:65535"},
      {"1.2.3.4:00080", "1.2.3.4:80"},
      {"[::1]:6783", "[::1]:6783"},
      {"[2001:DB8::0:1]:1", "[2001:db8::1]:1"},
      {"[::]:0", "[::]:0"},
      {"[::ffff:10.32.0.1]:6783", "[::ffff:a20:1]:6783"},
  };
  for (const auto& [text, canonical] : rows) {
    CAPTURE(text);
    const absl::StatusOr<SocketAddress> address = SocketAddress::Parse(text);
    REQUIRE(address.ok());
    CHECK(address->ToString() == canonical);
    CHECK(SocketAddress::Parse(canonical).value() == *address);
  }
}

TEST_CASE("What is not an address with a port is refused by name", "[base]") {
  for (const char* text : {"",
                           ":",
                           "10.32.0.1",
                           "10.32.0.1:",
                           ":6783",
                           "10.32.0.1:65536",
                           "10.32.0.1:-1",
                           "10.32.0.1:+1",
                           "10.32.0.1: 1",
                           "10.32.0.1:1 ",
                           "10.32.0.1:0x1",
                           "10.32.0.1:000080",
                           "10.32.0.1:1:2",
                           "host:6783",
                           "::1:6783",
                           "::1",
                           "[::1]",
                           "[::1]:",
                           "[::1:6783",
                           "::1]:6783",
                           "[10.32.0.1]:6783",
                           "[]:6783",
                           "[[::1]]:6783",
                           "[::1]6783"}) {
    CAPTURE(text);
    const absl::StatusOr<SocketAddress> address = SocketAddress::Parse(text);
    REQUIRE(address.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(address.status().message()) == std::string("invalid address \"") + text + "\": want IP:PORT");
  }
}

TEST_CASE("Socket addresses sort by address, then by port", "[base]") {
  const auto address = [](const char* text) { return SocketAddress::Parse(text).value(); };
  CHECK(address("10.0.0.1:2") < address("10.0.0.2:1"));
  CHECK(address("10.0.0.1:1") < address("10.0.0.1:2"));
  CHECK(address("10.0.0.1:9") < address("[::1]:1"));
}

}  // namespace
}  // namespace weave
