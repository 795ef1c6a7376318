// The address grammar of contract A1-08.
#include "cli/addresses.h"

#include "absl/strings/match.h"
#include "test/support/catch.h"

namespace weave {

TEST_CASE("Addresses keep their order, with or without ip:", "[cli]") {
  const auto addresses = ParseAddresses({"10.2.1.1/24", "ip:10.2.2.1/24"});
  REQUIRE(addresses.ok());
  CHECK(*addresses == std::vector<std::string>{"10.2.1.1/24", "10.2.2.1/24"});
}

TEST_CASE("What is to be allocated is passed on in its place", "[cli]") {
  const auto addresses = ParseAddresses({"net:default", "ip:10.2.1.1/24", "net:10.2.3.0/24"});
  REQUIRE(addresses.ok());
  CHECK(*addresses == std::vector<std::string>{"net:default", "10.2.1.1/24", "net:10.2.3.0/24"});
  CHECK(ParseAddresses({})->empty());
}

TEST_CASE("A bad address is named with what is accepted", "[cli]") {
  for (const char* bad : {"10.2.1.1/33", "ip:10.2.1.1", "ip:", "net:", "net:10.2.3/24", "10.2.1/24", "fd00::1/64",
                          "ip:fd00::1/64", "010.2.1.1/24", "10.2.1.1/"}) {
    const absl::Status status = ParseAddresses({bad}).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(absl::StrContains(status.message(), std::string("\"") + bad + "\" is not an address: want [ip:]<cidr>"));
  }
}

TEST_CASE("Containers and namespace paths are not taken for addresses, mistyped addresses are", "[cli]") {
  for (const char* container : {"web", "0123456789ab", "4711", "/var/run/netns/a", "./a", "../a", "10.2.1.1", ""})
    CHECK_FALSE(LooksLikeAddress(container));
  for (const char* address : {"10.2.1.1/24", "10.2.1.1/99", "ip:web", "net:default", "net:x", "fd00::1/64"})
    CHECK(LooksLikeAddress(address));
}

}  // namespace weave
