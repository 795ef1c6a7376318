#include "plugin/cni/cni_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "plugin/cni/cni_error.h"
#include "test/support/catch.h"

namespace weave {
namespace {

int CodeOf(const absl::Status& status) { return status.ok() ? 0 : PartsOf(status).code; }

CniConfig Parse(absl::string_view json) {
  absl::StatusOr<CniConfig> config = ParseCniConfig(json);
  INFO(json << ": " << config.status());
  REQUIRE(config.ok());
  return *std::move(config);
}

TEST_CASE("A configuration without anything is that of CNI 0.1.0 on the bridge weave with hairpin mode", "[cni]") {
  const CniConfig config = Parse("{}");
  CHECK(config.version == CniVersion::k010);
  CHECK(config.name.empty());
  CHECK(config.bridge == "weave");
  CHECK(config.mtu_bytes == 0);
  CHECK(config.hairpin);
  CHECK(config.ipam_type.empty());
  CHECK_FALSE(config.prev_result.has_value());
  CHECK_FALSE(config.valid_attachments.has_value());
  CHECK(CheckForAdd(config).ok());
}

TEST_CASE("What a configuration says is taken, and members of others are passed over", "[cni]") {
  const CniConfig config = Parse(R"({
    "cniVersion": "0.4.0", "name": "net-1", "type": "weave-net", "bridge": "br1", "mtu": 1400, "hairpinMode": false,
    "capabilities": {"portMappings": true}, "runtimeConfig": [{"deep": [[[1]]]}], "mac": 7,
    "dns": {"nameservers": ["10.0.0.53"], "search": ["a", "b"]},
    "ipam": {"type": "weave-ipam", "subnet": "10.32.1.0/24", "gateway": "10.32.1.9", "more": {"of": "it"},
             "routes": [{"dst": "10.0.0.0/8"}, {"dst": "0.0.0.0/0", "gw": "10.32.1.1"}]},
    "prevResult": {"ips": []}})");
  CHECK(config.version == CniVersion::k040);
  CHECK(config.name == "net-1");
  CHECK(config.bridge == "br1");
  CHECK(config.mtu_bytes == 1400);
  CHECK_FALSE(config.hairpin);
  CHECK(config.dns.search_size() == 2);
  CHECK(config.ipam_type.empty());  // that is us
  CHECK(config.prev_result.has_value());
  const PeerIpamConfig ipam = ParsePeerIpam(config).value();
  CHECK(ipam.subnet == Cidr::Parse("10.32.1.0/24").value());
  CHECK(ipam.gateway == IpAddress::Parse("10.32.1.9").value());
  CHECK(ipam.routes ==
        std::vector<EndpointRoute>{{Cidr::Parse("10.0.0.0/8").value(), std::nullopt},
                                   {Cidr::Parse("0.0.0.0/0").value(), IpAddress::Parse("10.32.1.1").value()}});
}

TEST_CASE("Another plugin's ipam section may hold anything", "[cni]") {
  const CniConfig config = Parse(R"({"ipam": {"type": "host-local", "subnet": {"not": "text"}, "routes": 3}})");
  CHECK(config.ipam_type == "host-local");
}

TEST_CASE("What is no configuration is undecodable, whatever is wrong with it", "[cni]") {
  for (absl::string_view json :
       {"", " ", "{", "[]", "3", "\"text\"", "{\"mtu\": \"much\"}", "{\"mtu\": -1}", "{\"mtu\": 5000000000}",
        "{\"name\": {}}", "{\"dns\": []}", "{\"ipam\": \"host-local\"}", "{\"hairpinMode\": \"maybe\"}",
        "{\"prevResult\": 3}", "{} {}"}) {
    const absl::Status status = ParseCniConfig(json).status();
    INFO(json << ": " << status);
    CHECK(CodeOf(status) == 6);
  }
  // As deep as a hostile writer likes.
  CHECK(CodeOf(ParseCniConfig(absl::StrCat("{\"prevResult\": {\"a\": ", std::string(100'000, '['))).status()) == 6);
}

TEST_CASE("Versions are those of CNI's releases; others are told which", "[cni]") {
  for (const CniVersion version : AllCniVersions())
    CHECK(Parse(absl::StrCat("{\"cniVersion\": \"", ToString(version), "\"}")).version == version);
  for (absl::string_view text : {"0.3", "0.3.2", "2.0.0", "1.1.0 ", "v1.0.0", "latest"}) {
    const absl::Status status = ParseCniConfig(absl::StrCat("{\"cniVersion\": \"", text, "\"}")).status();
    CHECK(CodeOf(status) == 1);
    CHECK(status.message() == "incompatible CNI versions");
    CHECK(PartsOf(status).details ==
          absl::StrCat("config is \"", text, "\", plugin supports [\"0.1.0\" \"0.2.0\" \"0.3.0\" \"0.3.1\" \"0.4.0\" ",
                       "\"1.0.0\" \"1.1.0\"]"));
  }
}

TEST_CASE("The version is known of a configuration that is not to be understood", "[cni]") {
  CHECK(FindCniVersion(R"({"cniVersion": "0.4.0", "mtu": "much"})") == "0.4.0");
  CHECK(FindCniVersion("{").empty());
}

TEST_CASE("Only ADD refuses values that cannot be: DEL must succeed whatever ADD was given", "[cni]") {
  for (absl::string_view members :
       {R"("mtu": 67)", R"("mtu": 65536)", R"("bridge": "a bridge")", R"("bridge": "a-name-too-long-for-a-link")"})
    CHECK(CodeOf(CheckForAdd(Parse(absl::StrCat("{", members, "}")))) == 7);
  CHECK(CheckForAdd(Parse(R"({"mtu": 68})")).ok());
  for (absl::string_view key : {"isGateway", "ipMasq"}) {
    const absl::Status status = CheckForAdd(Parse(absl::StrCat("{\"", key, "\": true}")));
    CHECK(CodeOf(status) == 2);
    CHECK(std::string(status.message()).find(absl::StrCat("\"", key, "\": true")) != std::string::npos);
    CHECK(CheckForAdd(Parse(absl::StrCat("{\"", key, "\": false}"))).ok());
  }
  for (absl::string_view ipam :
       {R"("subnet": "10.32.0.1/16")", R"("subnet": "fd00::/64")", R"("subnet": "all")", R"("gateway": "10.0.0.0/8")",
        R"("gateway": "fd00::1")", R"("routes": [{}])", R"("routes": [{"dst": "fd00::/8"}])",
        R"("routes": [{"dst": "10.0.0.0/8", "gw": "router"}])"})
    CHECK(CodeOf(ParsePeerIpam(Parse(absl::StrCat("{\"ipam\": {", ipam, "}}"))).status()) == 7);
  CHECK(CodeOf(ParsePeerIpam(Parse(R"({"ipam": {"routes": 3}})")).status()) == 6);
}

TEST_CASE("Names that could be taken for another's are refused", "[cni]") {
  for (absl::string_view name : {"a/b", "a@b", "../x", "a b", "-a", "_a"})
    CHECK(CodeOf(ParseCniConfig(absl::StrCat("{\"name\": \"", name, "\"}")).status()) == 7);
  CHECK(CodeOf(ParseCniConfig(absl::StrCat("{\"name\": \"", std::string(101, 'a'), "\"}")).status()) == 7);
}

TEST_CASE("Valid attachments: null is none, absent is not said, and one that cannot be read is refused", "[cni]") {
  const auto parse = [](absl::string_view value) {
    return ParseCniConfig(absl::StrCat("{\"name\": \"n\", \"cni.dev/valid-attachments\": ", value, "}"));
  };
  CHECK(parse("null")->valid_attachments->empty());
  CHECK(parse("[]")->valid_attachments->empty());
  CHECK(*parse(R"([{"containerID": "a", "ifname": "eth0"}, {"containerID": "b", "ifname": "net1", "more": 1}])")
             ->valid_attachments == std::vector<NetworkAttachment>{{"a", "n", "eth0"}, {"b", "n", "net1"}});
  for (absl::string_view bad :
       {"{}", "3", "[3]", "[{}]", R"([{"containerID": "a"}])", R"([{"containerID": 3, "ifname": "e"}])",
        R"([{"containerID": "a", "ifname": "e/0"}])", R"([{"containerID": "a@b", "ifname": "e"}])"})
    CHECK(CodeOf(parse(bad).status()) == 7);
}

}  // namespace
}  // namespace weave
