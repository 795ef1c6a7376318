#include "plugin/cni/cni_call.h"

#include <map>

#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_plugin.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Variables = std::map<std::string, std::string>;

CniEnvironment Of(const Variables& variables) {
  return [&variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

std::string Complaint(const Variables& variables) {
  const absl::Status status = ReadCniCall(Of(variables)).status();
  if (status.ok()) return "";
  CHECK(PartsOf(status).code == 4);
  return std::string(status.message());
}

TEST_CASE("Each command wants the variables that it needs, and names those that are missing", "[cni]") {
  CHECK(Complaint({}) == "CNI_COMMAND is missing");
  CHECK(Complaint({{"CNI_COMMAND", "add"}}) == "unknown CNI_COMMAND: add");
  CHECK(Complaint({{"CNI_COMMAND", "ADD"}}) ==
        "CNI_CONTAINERID is missing; CNI_IFNAME is missing; CNI_NETNS is missing");
  CHECK(Complaint({{"CNI_COMMAND", "CHECK"}, {"CNI_CONTAINERID", "a"}, {"CNI_IFNAME", "eth0"}}) ==
        "CNI_NETNS is missing");
  CHECK(Complaint({{"CNI_COMMAND", "DEL"}, {"CNI_CONTAINERID", "a"}, {"CNI_IFNAME", "eth0"}}).empty());
  for (const char* command : {"GC", "STATUS", "VERSION"}) CHECK(Complaint({{"CNI_COMMAND", command}}).empty());
}

TEST_CASE("Ids and names that could mean something else are refused", "[cni]") {
  Variables variables = {
      {"CNI_COMMAND", "DEL"}, {"CNI_CONTAINERID", "0123_a.b-c"}, {"CNI_IFNAME", "eth0"}, {"CNI_PATH", "/a:/b"}};
  CHECK(ReadCniCall(Of(variables))->path == "/a:/b");
  for (const std::string& id : {std::string("../x"), std::string("a b"), std::string("a@n/eth0"), std::string("-x"),
                                std::string("a\n"), std::string(129, 'a')}) {
    variables["CNI_CONTAINERID"] = id;
    CHECK(Complaint(variables).find("CNI_CONTAINERID \"") == 0);
  }
  variables["CNI_CONTAINERID"] = "a";
  for (const char* name : {"a/b", "a b", "..", "sixteencharacter"}) {
    variables["CNI_IFNAME"] = name;
    CHECK(Complaint(variables).find("CNI_IFNAME \"") == 0);
  }
}

TEST_CASE("The peer is found as by the command weave", "[cni]") {
  CHECK(ApiSocketOf(Of({})) == "/run/weave/peer.sock");
  const Variables second = {{"WEAVE_CONTAINER_NAME", "second"}};
  CHECK(ApiSocketOf(Of(second)) == "/run/second/peer.sock");
  const Variables given = {{"WEAVE_CONTAINER_NAME", "second"}, {"WEAVE_API_SOCKET", "/tmp/s"}};
  CHECK(ApiSocketOf(Of(given)) == "/tmp/s");
}

TEST_CASE("A program is the plugin it is called", "[cni]") {
  CHECK(FindCniPlugin("weave-net") == CniPlugin::kNetwork);
  CHECK(FindCniPlugin("weave-ipam") == CniPlugin::kIpam);
  CHECK_FALSE(FindCniPlugin("weave-plugin").has_value());
}

}  // namespace
}  // namespace weave
