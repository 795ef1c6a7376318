// The list of plugins that is installed, as a runtime takes it apart for each version of CNI (SPEC.md, section 3).
#include <nlohmann/json.hpp>

#include "io/file.h"
#include "plugin/cni/cni_config.h"
#include "test/support/catch.h"

namespace weave {
namespace {

nlohmann::json Conflist() {
  return nlohmann::json::parse(ReadSmallFile(WEAVE_SOURCE_DIR "/cni-conf/10-weave.conflist").value());
}

TEST_CASE("The installed list gives weave-net a configuration that holds in every version", "[cni]") {
  const nlohmann::json list = Conflist();
  CHECK(list["name"] == "weave");
  REQUIRE(list["plugins"].size() == 2);
  CHECK(list["plugins"][1]["type"] == "portmap");
  CHECK(list["plugins"][1]["capabilities"]["portMappings"] == true);
  CHECK(list["plugins"][1]["snat"] == true);
  for (const CniVersion version : AllCniVersions()) {
    nlohmann::json plugin = list["plugins"][0];
    plugin["name"] = list["name"];
    plugin["cniVersion"] = std::string(ToString(version));
    CHECK(plugin["type"] == "weave-net");
    const CniConfig config = ParseCniConfig(plugin.dump()).value();
    CHECK(config.version == version);
    CHECK(config.hairpin);
    CHECK(CheckForAdd(config).ok());
    CHECK(ParsePeerIpam(config).ok());
  }
}

TEST_CASE("The installed list is of a version that runtimes and both of its plugins know", "[cni]") {
  CHECK(ParseCniVersion(Conflist()["cniVersion"].get<std::string>()).ok());
}

}  // namespace
}  // namespace weave
