#include "host/arp.h"

#include "host/endpoint.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("An announcement asks everybody for the sender's own address", "[host][arp]") {
  const Bytes frame =
      ArpAnnouncement(MacAddress::Parse("02:00:00:00:00:01").value(), IpAddress::Parse("10.2.1.3").value());
  CHECK(ToHex(frame) ==
        "ffffffffffff"
        "020000000001"
        "0806"
        "0001080006040001"
        "020000000001"
        "0a020103"
        "000000000000"
        "0a020103");
}

TEST_CASE("Host-side names fit a link name, in every variant", "[host][endpoint]") {
  CHECK(HostIfname("123") == "vethwepl123");
  CHECK(HostIfname("0123456789") == "vethwepl0123456");
  CHECK(HostIfname("123", 1) == "vethwepl123-1");
  CHECK(HostIfname("0123456789", 1) == "vethwepl01234-1");
  CHECK(HostIfname("0123456789", 99) == "vethwepl0123-99");
  CHECK(IsHostIfname("vethwepl1"));
  CHECK(IsHostIfname("vethwl0123456"));
  CHECK_FALSE(IsHostIfname("vethwe-bridge"));
  CHECK_FALSE(IsHostIfname("eth0"));
}

}  // namespace
}  // namespace weave
