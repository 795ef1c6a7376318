#include "base/ip.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

IpAddress Ip(absl::string_view text) { return IpAddress::Parse(text).value(); }
Cidr Net(absl::string_view text) { return Cidr::Parse(text).value(); }

TEST_CASE("IP addresses are read and printed in their canonical form", "[base]") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"10.32.0.1", "10.32.0.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:DB8::1", "2001:db8::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // RFC 5952 4.2.3: the first of equal runs
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longest run
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // 4.2.2: not for a single group
      {"2001:db8::0:1", "2001:db8::1"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"::ffff:10.32.0.1", "::ffff:a20:1"},
      {"fe80:0000::00a1", "fe80::a1"},
  };
  for (const auto& [text, canonical] : rows) {
    CAPTURE(text);
    const IpAddress address = Ip(text);
    CHECK(address.ToString() == canonical);
    CHECK(Ip(canonical) == address);
    CHECK(IpAddress::FromBytes(address.ToBytes()).value() == address);
  }
}

TEST_CASE("What is not an IP address is refused by name", "[base]") {
  for (const char* text : {"",
                           "10.32.0",
                           "10.32.0.0.1",
                           "10.32.0.256",
                           "10.32.0.01",
                           "10.32.0.-1",
                           " 10.32.0.1",
                           "10.32.0.1 ",
                           "10.32..1",
                           "0x0a.1.1.1",
                           "a",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           ":::",
                           "1:2:3:4:5:6:7:8::",
                           "12345::",
                           "g::",
                           ":1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:",
                           "::10.32.0",
                           "10.32.0.1::",
                           "fe80::1%eth0"}) {
    CAPTURE(text);
    const auto address = IpAddress::Parse(text);
    REQUIRE(address.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(address.status().message()) == std::string("invalid IP address \"") + text + "\"");
  }
}

TEST_CASE("Addresses of another size than 4 or 16 bytes are refused", "[base]") {
  CHECK(IpAddress::FromBytes(Bytes(5)).status().message() == "IP address of 5 bytes, want 4 or 16");
  CHECK_FALSE(IpAddress::FromBytes({}).ok());
}

TEST_CASE("Addresses sort by family, then by number", "[base]") {
  CHECK(Ip("9.255.255.255") < Ip("10.0.0.0"));
  CHECK(Ip("255.255.255.255") < Ip("::"));
  CHECK(Ip("::1") < Ip("1::"));
}

TEST_CASE("A CIDR keeps its host bits and knows its network", "[base]") {
  const Cidr cidr = Net("10.45.6.7/12");
  CHECK(cidr.ToString() == "10.45.6.7/12");
  CHECK(cidr.Network().ToString() == "10.32.0.0/12");
  CHECK_FALSE(cidr.IsNetwork());
  CHECK(cidr.Network().IsNetwork());
  CHECK(cidr.Range() == AddressRange{Ip("10.32.0.0"), 1 << 20});
  CHECK(Net("10.1.2.3/32").Range().size == 1);
  CHECK(Net("1.2.3.4/0").Network().ToString() == "0.0.0.0/0");
  CHECK(Net("1.2.3.4/0").Range().size == absl::uint128(1) << 32);
  CHECK(Net("2001:db8::1/64").Network().ToString() == "2001:db8::/64");
}

TEST_CASE("What is not a CIDR is refused by name and reason", "[base]") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"10.32.0.1", "invalid CIDR address \"10.32.0.1\": want address/prefix-length, as in 10.32.0.1/12"},
      {"", "invalid CIDR address \"\": want address/prefix-length, as in 10.32.0.1/12"},
      {"10.32.0.1/33", "invalid CIDR address \"10.32.0.1/33\": want a prefix length of 0 to 32"},
      {"10.32.0.1/", "invalid CIDR address \"10.32.0.1/\": want a prefix length of 0 to 32"},
      {"10.32.0.1/012", "invalid CIDR address \"10.32.0.1/012\": want a prefix length of 0 to 32"},
      {"10.32.0.1/-1", "invalid CIDR address \"10.32.0.1/-1\": want a prefix length of 0 to 32"},
      {"10.32.0.1/12/3", "invalid CIDR address \"10.32.0.1/12/3\": want a prefix length of 0 to 32"},
      {"::/129", "invalid CIDR address \"::/129\": want a prefix length of 0 to 128"},
      {"10.32.0/12", "invalid IP address \"10.32.0\""},
  };
  for (const auto& [text, message] : rows) {
    CAPTURE(text);
    CHECK(std::string(Cidr::Parse(text).status().message()) == message);
  }
}

TEST_CASE("Prefixes overlap when one holds the other", "[base]") {
  struct Row {
    std::string a, b;
    bool overlap;
  };
  const std::vector<Row> rows = {
      {"10.32.0.0/12", "10.40.0.0/16", true}, {"10.32.0.0/12", "10.48.0.0/12", false},
      {"0.0.0.0/0", "10.0.0.0/8", true},      {"10.0.0.1/32", "10.0.0.1/32", true},
      {"10.0.0.1/32", "10.0.0.2/32", false},  {"255.255.255.255/32", "0.0.0.0/0", true},
      {"10.0.0.0/8", "::a00:0/104", false},   {"2001:db8::/32", "2001:db8:1::/48", true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.a, row.b);
    CHECK(Net(row.a).Overlaps(Net(row.b)) == row.overlap);
    CHECK(Net(row.b).Overlaps(Net(row.a)) == row.overlap);
  }
}

TEST_CASE("A range holds its first and last address and nothing beside them", "[base]") {
  const AddressRange range{Ip("10.0.0.10"), 5};
  CHECK(range.Contains(Ip("10.0.0.10")));
  CHECK(range.Contains(Ip("10.0.0.14")));
  CHECK_FALSE(range.Contains(Ip("10.0.0.9")));
  CHECK_FALSE(range.Contains(Ip("10.0.0.15")));
  CHECK_FALSE(range.Contains(Ip("::a00:a")));
  const AddressRange empty{Ip("10.0.0.12"), 0};
  CHECK_FALSE(empty.Contains(Ip("10.0.0.12")));
  CHECK_FALSE(range.Overlaps(empty));
}

}  // namespace
}  // namespace weave
