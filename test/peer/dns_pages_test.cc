// What pages say of names: a reference peer's bytes.
#include "peer/dns_pages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/ip.h"
#include "peer/status_pages.h"
#include "test/peer/mesh_examples.h"
#include "test/support/catch.h"

namespace weave {
namespace {

NameEntryPtr NameOf(const std::string& hostname, const char* address, std::int64_t tombstone = 0) {
  return std::make_shared<const NameEntry>(
      NameEntry{"c1", PeerName(1), IpAddress::Parse(address)->v4(), hostname, tombstone == 0 ? 0 : 1, tombstone});
}

DnsView TwoNames() {
  return {"weave.local.",
          {"10.77.0.4"},
          "10.77.0.1:53",
          1,
          {NameOf("Web.weave.local.", "10.32.0.1"), NameOf("web.weave.local.", "10.32.0.2")}};
}

TEST_CASE("The list of names equals that of a reference peer", "[peer][dns][golden]") {
  CHECK(DnsPage(TwoNames()) == ReferenceBody("/status/dns", "Web"));
  CHECK(NamesJson(TwoNames().entries) == ReferenceBody("/name", R"("Tombstone":0)", "application/json"));
  const std::string deleted = ReferenceBody("/name", R"("Version":1)", "application/json");
  CHECK(NamesJson({NameOf("Web.weave.local.", "10.32.0.1", 1795304190),
                   NameOf("web.weave.local.", "10.32.0.2", 1795304190)}) == deleted);
}

TEST_CASE("The section of names equals that of a reference peer", "[peer][dns][golden]") {
  StatusView view;
  view.mesh = LonelyMesh();
  view.dns = DnsView{"weave.local.", {"10.77.0.4"}, "10.77.0.1:53", 1, {}};
  const std::string reference = ReferenceBody("/status", "Service: dns");
  const std::size_t start = reference.find("        Service: dns");
  const std::string section = reference.substr(start, reference.find("\n\n", start) + 1 - start);
  CHECK(StatusPage(view).find("\n\n" + section) != std::string::npos);
  view.dns->upstreams.clear();
  view.dns->entries = {NameOf("a.weave.local.", "10.0.0.1"), NameOf("b.weave.local.", "10.0.0.2", 5)};
  CHECK(StatusPage(view).find("       Upstream: none\n            TTL: 1\n        Entries: 1\n") != std::string::npos);
}

TEST_CASE("The report's part about names equals that of a reference peer", "[peer][dns][golden]") {
  using Json = nlohmann::ordered_json;
  const Json reference = Json::parse(ReferenceBody("/report", "", "application/json"))["DNS"];
  DnsView view{"weave.local.", {"10.77.0.4"}, "10.77.0.1:53", 1, {}};
  for (const Json& entry : reference["Entries"])
    view.entries.push_back(std::make_shared<const NameEntry>(
        NameEntry{entry["ContainerID"], PeerName::Parse(entry["Origin"].get<std::string>()).value(),
                  IpAddress::Parse(entry["Address"].get<std::string>())->v4(), entry["Hostname"],
                  entry["Version"].get<std::int64_t>(), entry["Tombstone"].get<std::int64_t>()}));
  CHECK(Json::parse(DnsReport(view).ToJson()).dump() == reference.dump());
}

TEST_CASE("A name that another peer chose cannot command the terminal", "[peer][dns]") {
  DnsView view = TwoNames();
  view.entries = {NameOf("a\x1b[2J\n.weave.local.", "10.0.0.1")};
  const std::string page = DnsPage(view);
  CHECK(page.find('\x1b') == std::string::npos);
  CHECK(std::count(page.begin(), page.end(), '\n') == 1);
}

}  // namespace
}  // namespace weave
