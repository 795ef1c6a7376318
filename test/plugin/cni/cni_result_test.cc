#include "plugin/cni/cni_result.h"

#include "plugin/cni/cni_error.h"
#include "test/support/catch.h"

namespace weave {
namespace {

v1::CniResult Example() {
  return ParseCniResult(R"({
    "interfaces": [{"name": "vethwepl1", "mac": "02:00:00:00:00:01", "mtu": 1400},
                   {"name": "eth0", "mac": "02:00:00:00:00:02", "mtu": 1400, "sandbox": "/run/netns/web"}],
    "ips": [{"interface": 1, "address": "10.32.0.1/16", "gateway": "10.32.0.3"},
            {"interface": 1, "address": "fd00::1/64"}],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.32.0.3", "mtu": 1300, "scope": 0}, {"dst": "fd00:1::/64"}],
    "dns": {"domain": "weave.local"}})")
      .value();
}

TEST_CASE("0.1.0 and 0.2.0: one address of each family, with its own routes", "[cni]") {
  CHECK(PrintCniResult(Example(), CniVersion::k020) == R"({
    "cniVersion": "0.2.0",
    "ip4": {
        "ip": "10.32.0.1/16",
        "gateway": "10.32.0.3",
        "routes": [
            {
                "dst": "0.0.0.0/0",
                "gw": "10.32.0.3"
            }
        ]
    },
    "ip6": {
        "ip": "fd00::1/64",
        "routes": [
            {
                "dst": "fd00:1::/64"
            }
        ]
    },
    "dns": {
        "domain": "weave.local"
    }
})");
}

TEST_CASE("0.3.0 to 0.4.0: interfaces, and addresses that say of which family they are", "[cni]") {
  CHECK(PrintCniResult(Example(), CniVersion::k031) == R"({
    "cniVersion": "0.3.1",
    "interfaces": [
        {
            "name": "vethwepl1",
            "mac": "02:00:00:00:00:01"
        },
        {
            "name": "eth0",
            "mac": "02:00:00:00:00:02",
            "sandbox": "/run/netns/web"
        }
    ],
    "ips": [
        {
            "version": "4",
            "interface": 1,
            "address": "10.32.0.1/16",
            "gateway": "10.32.0.3"
        },
        {
            "version": "6",
            "interface": 1,
            "address": "fd00::1/64"
        }
    ],
    "routes": [
        {
            "dst": "0.0.0.0/0",
            "gw": "10.32.0.3"
        },
        {
            "dst": "fd00:1::/64"
        }
    ],
    "dns": {
        "domain": "weave.local"
    }
})");
}

TEST_CASE("1.0.0 says no family any more; 1.1.0 adds what it has room for", "[cni]") {
  const std::string one = PrintCniResult(Example(), CniVersion::k100);
  CHECK(one.find("\"version\"") == std::string::npos);
  CHECK(one.find("\"mtu\"") == std::string::npos);
  const std::string newest = PrintCniResult(Example(), CniVersion::k110);
  CHECK(newest.find("\"mtu\": 1400") != std::string::npos);
  CHECK(newest.find("\"mtu\": 1300,") != std::string::npos);
  CHECK(newest.find("\"scope\": 0") != std::string::npos);
}

TEST_CASE("A result reads back alike from every version that has room for it", "[cni]") {
  for (const CniVersion version : AllCniVersions()) {
    const v1::CniResult again = ParseCniResult(PrintCniResult(Example(), version)).value();
    CHECK(PrintCniResult(again, version) == PrintCniResult(Example(), version));
    CHECK(again.ips(0).address() == "10.32.0.1/16");
    CHECK(again.routes(0).gw() == "10.32.0.3");
  }
}

TEST_CASE("A result without DNS has an empty one; index 0 is an index", "[cni]") {
  v1::CniResult result;
  result.add_ips()->set_interface(0);
  const std::string text = PrintCniResult(result, CniVersion::k100);
  CHECK(text.find("\"dns\": {}") != std::string::npos);
  CHECK(text.find("\"interface\": 0") != std::string::npos);
}

TEST_CASE("Errors: the code they were made with, and one for waiting where that may help", "[cni]") {
  CHECK(PrintCniError(CniFailure(CniCode::kInvalidConfig, "bad \"name\"", "it is\nlong"), "1.0.0") == R"({
    "cniVersion": "1.0.0",
    "code": 7,
    "msg": "bad \"name\"",
    "details": "it is\nlong"
})");
  CHECK(PartsOf(absl::UnavailableError("gone")).code == 11);
  CHECK(PartsOf(absl::DeadlineExceededError("slow")).code == 11);
  CHECK(PartsOf(absl::InternalError("odd")).code == 100);
  CHECK(PartsOf(CniFailure(123, "theirs", "")).code == 123);
  CHECK(PartsOf(WithCode(CniFailure(CniCode::kTryAgainLater, "gone", "why"), CniCode::kUnavailable)).code == 50);
  CHECK(PrintCniError(absl::InternalError("odd"), "").find("cniVersion") == std::string::npos);
}

TEST_CASE("VERSION repeats the version asked and lists all", "[cni]") {
  CHECK(PrintCniVersions("0.4.0") ==
        "{\"cniVersion\":\"0.4.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\","
        "\"1.1.0\"]}\n");
  CHECK(PrintCniVersions("").find("\"cniVersion\":\"1.1.0\"") != std::string::npos);
}

}  // namespace
}  // namespace weave
