#include "test/peer/mesh_examples.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

namespace weave {

MeshStatus LonelyMesh() {
  MeshStatus mesh;
  mesh.name = PeerName(1);
  mesh.nickname = "peer1";
  mesh.port = 6783;
  mesh.peers = {{PeerName(1), "peer1", 16'630'265'066'229'399'384U, 2323, 0, {}}};
  mesh.unicast_routes = {{PeerName(1), PeerName()}};
  mesh.broadcast_routes = {{PeerName(1), {}}};
  mesh.overlays = {"sleeve"};
  return mesh;
}

MeshStatus::Connection Live(int number, MeshStatus::ConnectionState state) {
  MeshStatus::Connection connection;
  connection.address = absl::StrCat("10.77.0.", number, ":6783");
  connection.outbound = false;
  connection.state = state;
  connection.remote = PeerName(static_cast<std::uint64_t>(number));
  connection.remote_nickname = absl::StrCat("peer", number);
  return connection;
}

MeshStatus::Connection Target(const std::string& address, MeshStatus::ConnectionState state) {
  MeshStatus::Connection connection;
  connection.address = address;
  connection.state = state;
  return connection;
}

std::string ReferenceBody(absl::string_view path, absl::string_view part, absl::string_view accept) {
  const nlohmann::json document = ReadGolden("http_examples");
  const std::string header = absl::StrCat("Accept: ", accept);
  for (const nlohmann::json& example : document.at("examples")) {
    const auto& headers = example.at("request_headers");
    const bool same_headers = accept.empty() ? headers.empty() : headers == nlohmann::json::array({header});
    const std::string body = example.at("body");
    if (example.at("method") == "GET" && example.at("status") == 200 && example.at("path") == std::string(path) &&
        same_headers && body.find(std::string(part)) != std::string::npos)
      return body;
  }
  FAIL("no answer to GET " << std::string(path) << " in http_examples.json");
  return "";
}

}  // namespace weave
