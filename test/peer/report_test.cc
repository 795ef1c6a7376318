// GET /report: the JSON and the answers of a reference peer, and what they say of a mesh.
#include "peer/report.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "peer/report_http.h"
#include "test/peer/mesh_examples.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Json = nlohmann::ordered_json;
using State = MeshStatus::ConnectionState;

ReportView Lonely() { return {"2.8.1", true, LonelyMesh()}; }

Json Parsed(const ReportView& view) { return Json::parse(*RenderReport(view, std::nullopt)); }

HttpResponse Get(const std::string& query, HttpHeaders headers = {}) {
  HttpRequest request;
  request.method = "GET";
  request.path = "/report";
  request.query = query;
  request.headers = std::move(headers);
  return AnswerReport(request, Lonely());
}

TEST_CASE("The report equals that of a reference peer, byte for byte, but for later features",
          "[peer][report][golden]") {
  Json reference = Json::parse(ReferenceBody("/report", "", "application/json"));
  for (const char* later : {"IPAM", "DNS"}) REQUIRE(reference.erase(later) == 1);
  const Json& router = reference["Router"];
  ReportView view = Lonely();
  view.data_path.interface = "vethwe-pcap";
  view.data_path.frames_received = router["CaptureStats"]["PacketsReceived"];
  for (const Json& mac : router["MACs"]) {
    absl::Time seen;
    std::string error;
    REQUIRE(absl::ParseTime(absl::RFC3339_full, mac["LastSeen"].get<std::string>(), &seen, &error));
    view.data_path.macs.push_back({MacAddress::Parse(mac["Mac"].get<std::string>()).value(),
                                   PeerName::Parse(mac["Name"].get<std::string>()).value(), mac["NickName"], seen});
  }
  view.plugin = PluginView{.socket = "",
                           .mesh_socket = "/run/weavemesh.sock",
                           .enabled = false,
                           .managed = true,
                           .managed_multicast = true,
                           .names = true,
                           .default_subnet = "10.32.0.0/24",
                           .proc_path = "/proc"};
  CHECK(*RenderReport(view, std::nullopt) == reference.dump(4));
}

TEST_CASE("Before frames are captured the report says so", "[peer][report]") {
  const Json router = Parsed(Lonely())["Router"];
  CHECK(router["Interface"] == "no overlay bridge");
  CHECK(router["CaptureStats"].is_null());
  CHECK(router["MACs"].is_null());
}

TEST_CASE("With a datapath its name and its misses stand where else the capture does", "[peer][report]") {
  ReportView view = Lonely();
  view.data_path.interface = "datapath";
  view.data_path.flow_misses = 42;
  const Json router = Parsed(view)["Router"];
  CHECK(router["Interface"] == "datapath (via ODP)");
  CHECK(router["CaptureStats"] == Json{{"FlowMisses", 42}});
}

TEST_CASE("Peers, routes, connections and targets are in the report as 2.8 has them", "[peer][report]") {
  ReportView view = Lonely();
  MeshStatus& mesh = *view.mesh;
  mesh.has_password = true;
  mesh.targets = {"host2", "host3:7000"};
  mesh.trusted_subnets = {*Cidr::Parse("10.0.0.0/8")};
  mesh.termination_count = 3;
  mesh.peers.push_back({PeerName(2),
                        "peer2",
                        0xffff'ffff'ffff'ffff,
                        std::nullopt,
                        9,
                        {{PeerName(1), "peer1", "10.77.0.1:5001", false, true}}});
  mesh.unicast_routes.push_back({PeerName(2), PeerName(2)});
  mesh.broadcast_routes[0].via = {PeerName(2)};
  mesh.connections = {Live(2, State::kEstablished), Target("10.77.0.9:6783", State::kFailed)};
  mesh.connections[0].encrypted = true;
  mesh.connections[0].overlay = {"sleeve", {{"mtu", "1438"}}};
  mesh.connections[1].error = absl::UnavailableError("refused <by> & \"us\"");

  const std::string text = *RenderReport(view, std::nullopt);
  CHECK(absl::StrContains(text, R"("UID": 18446744073709551615,)"));
  CHECK(absl::StrContains(text, R"(refused \u003cby\u003e \u0026 \"us\", retry: never)"));
  const Json router = Json::parse(text)["Router"];
  CHECK(router["Peers"][1].dump() ==
        R"({"Name":"00:00:00:00:00:02","NickName":"peer2","UID":18446744073709551615,"ShortID":0,"Version":9,)"
        R"("Connections":[{"Name":"00:00:00:00:00:01","NickName":"peer1","Address":"10.77.0.1:5001",)"
        R"("Outbound":false,"Established":true}]})");
  CHECK(router["UnicastRoutes"][1].dump() == R"({"Dest":"00:00:00:00:00:02","Via":"00:00:00:00:00:02"})");
  CHECK(router["BroadcastRoutes"][0]["Via"].dump() == R"(["00:00:00:00:00:02"])");
  CHECK(router["Connections"][0].dump() == R"({"Address":"10.77.0.2:6783","Outbound":false,"State":"established",)"
                                           R"x("Info":"encrypted   sleeve 00:00:00:00:00:02(peer2)",)x"
                                           R"("Attrs":{"encrypted":true,"mtu":1438,"name":"sleeve"}})");
  CHECK(router["Connections"][1]["Attrs"].is_null());
  CHECK(router["Connections"][1]["State"] == "failed");
  CHECK(router["Targets"].dump() == R"(["host2","host3:7000"])");
  CHECK(router["TrustedSubnets"].dump() == R"(["10.0.0.0/8"])");
  CHECK(router["TerminationCount"] == 3);
  CHECK(router["Encryption"] == true);
}

TEST_CASE("A report is valid JSON whatever other peers call themselves", "[peer][report]") {
  ReportView view = Lonely();
  view.mesh->peers[0].nickname = "a\xff\x01\xe2\x80\xa8\"\\</script>\t\xf0\x9f\x98\x80";
  CHECK(Parsed(view)["Router"]["Peers"][0]["NickName"] ==
        "a\xef\xbf\xbd\x01\xe2\x80\xa8\"\\</script>\t\xf0\x9f\x98\x80");
}

TEST_CASE("A peer without a mesh reports what is left", "[peer][report]") {
  const Json report = Parsed({"3.0.0", false, std::nullopt});
  CHECK(report["Ready"] == false);
  CHECK_FALSE(report.contains("Router"));
}

TEST_CASE("Templates see the report with 2.8's names", "[peer][report]") {
  struct Row {
    const char* format;
    const char* printed;
  };
  // Those of contract A2-24 and of 2.8's own tests and documents; parts that are off are nil.
  constexpr Row kRows[] = {
      {"{{.Version}}", "2.8.1"},
      {"{{.Ready}} {{.VersionCheck}} {{.VersionCheck.NextCheckAt}}",
       "true version check update disabled 0001-01-01 00:00:00 +0000 UTC"},
      {"{{.Router.Name}}", "00:00:00:00:00:01"},
      {"{{.Router.NickName}}:{{.Router.Port}}", "peer1:6783"},
      {"{{range .Router.Targets}}{{.}} {{else}}none{{end}}", "none"},
      {"{{len .Router.Peers}} {{len .Router.Connections}}", "1 0"},
      {"{{range .Router.Peers}}{{.Name}}({{.NickName}}) {{.UID}} {{printf \"%x\" .ShortID}}{{end}}",
       "00:00:00:00:00:01(peer1) 16630265066229399384 913"},
      {"{{json .Router.UnicastRoutes}}", R"([{"Dest":"00:00:00:00:00:01","Via":"00:00:00:00:00:00"}])"},
      {"{{json .Router.Connections}} {{json .Router.TrustedSubnets}} {{json .IPAM}}", "null [] null"},
      {"{{.Router.Connections}} {{.Router.OverlayDiagnostics}} {{.IPAM}}", "[] map[sleeve:<nil>] <nil>"},
      {"{{if .DNS}}on{{else}}off{{end}}", "off"},
      {"{{(index .Router.Peers 0).Version}}", "0"},
  };
  for (const Row& row : kRows) {
    INFO(row.format);
    const absl::StatusOr<std::string> printed = RenderReport(Lonely(), row.format);
    REQUIRE(printed.ok());
    CHECK(*printed == row.printed);
  }
}

TEST_CASE("GET /report answers with 2.8's codes and texts", "[peer][report][http]") {
  const std::string no_format = "error: must supply one format parameter\n";
  struct Row {
    const char* query;
    int status;
    std::string body;
  };
  // The first four are the reference's own.
  const Row rows[] = {
      {"", 400, no_format},
      {"format=%7B%7B.Version%7D%7D", 200, "2.8.1"},
      {"format=%7B%7Bjson%20.IPAM.Entries%7D%7D", 500, ""},  // no address allocation here
      {"format=%7B%7B", 400, "template: format:1: unclosed action\n"},
      {"format=a&format=b", 400, no_format},
      {"form=a", 400, no_format},
      {"format=", 200, ""},
      {"format=a+b%0A", 200, "a b\n"},
  };
  for (const Row& row : rows) {
    INFO(row.query);
    const HttpResponse response = Get(row.query);
    CHECK(response.status == row.status);
    if (row.status != 500) CHECK(response.body == row.body);
    CHECK((response.content_type.empty() || absl::StartsWith(response.content_type, "text/plain")));
  }
  CHECK(Get("format=%7B%7B.Nope%7D%7D").body ==
        "error during template execution: template: format:1:2: executing \"format\" at <.Nope>: can't evaluate field "
        "Nope in a struct of Ready, Version, VersionCheck, Router, IPAM, DNS, Proxy, Plugin\n");
  CHECK(Get("format=%zz").status == 400);
}

TEST_CASE("JSON is for who accepts exactly that", "[peer][report][http]") {
  const HttpResponse json = Get("", {{"accept", "application/json"}});
  CHECK(json.status == 200);
  CHECK(json.content_type == "application/json");
  CHECK(Json::parse(json.body)["Version"] == "2.8.1");
  CHECK(Get("", {{"Accept", "application/json, text/plain"}}).status == 400);
  CHECK(Get("format=x", {{"Accept", "*/*"}}).body == "x");
}

}  // namespace
}  // namespace weave
