#include "test/wire/vectors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "test/support/catch.h"
#include "test/support/golden.h"

namespace weave {
namespace {

using Json = nlohmann::json;

Bytes FromHexText(const Json& json) { return FromHex(json.get<std::string>()).value(); }

std::optional<std::array<std::uint8_t, 32>> ReadKey(const Json& json) {
  if (json.is_null()) return std::nullopt;
  const Bytes bytes = FromHexText(json);
  std::array<std::uint8_t, 32> key = {};
  REQUIRE(bytes.size() == key.size());
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

PeerName ReadName(const Json& json) { return PeerName::Parse(json.get<std::string>()).value(); }

PeerSummary ReadSummary(const Json& json) {
  PeerSummary peer;
  peer.name = ReadName(json["name"]);
  peer.nickname = json["nickname"];
  peer.uid = json["uid"];
  peer.version = json["version"];
  if (json["has_shortid"].get<bool>()) peer.short_id = json["shortid"].get<ShortId>();
  for (const Json& connection : json["connections"])
    peer.connections.push_back({ReadName(connection["name"]), connection["addr"].get<std::string>(),
                                connection["outbound"].get<bool>(), connection["established"].get<bool>()});
  return peer;
}

void ReadDecoding(const Json& json, MessageVector& message) {
  message.tag = json["tag"];
  message.channel = json.value("channel", "");
  message.source = json.value("src", "");
  message.destination = json.value("dst", "");
  if (!json.contains("body") || json["body"]["kind"] != "topology") return;
  message.topology.emplace();
  for (const Json& peer : json["body"]["peers"]) message.topology->push_back(ReadSummary(peer));
}

HalfStream ReadHalf(const Json& json, const std::string& side, const std::string& direction) {
  HalfStream half;
  half.dialled = side == "client";
  half.bytes = FromHexText(json[direction]);
  half.features = json["features"][side].get<std::map<std::string, std::string>>();
  if (json.contains("ephemeral")) {
    half.public_key = ReadKey(json["ephemeral"][side]["public"]);
    half.private_key = ReadKey(json["ephemeral"][side]["private"]);
  }
  for (const Json& item : json["messages"]) {
    if (item["from"] != side) continue;
    MessageVector& message = half.messages.emplace_back();
    message.offset = item["offset"];
    message.length = item["length"];
    if (item.contains("plaintext")) message.plaintext = FromHexText(item["plaintext"]);
    ReadDecoding(item["decoded"], message);
  }
  return half;
}

}  // namespace

StreamVector ReadStream(const std::string& name) {
  const Json json = ReadGolden(name);
  StreamVector stream;
  stream.version = json["negotiated_version"];
  stream.client = ReadHalf(json, "client", "client_to_server");
  stream.server = ReadHalf(json, "server", "server_to_client");
  stream.connection_uid = json["connection_uid"];
  if (json.contains("password")) {
    stream.password = json["password"].get<std::string>();
    stream.session_key = ReadKey(json["session_key"]).value();
  }
  return stream;
}

std::vector<MessageVector> ReadTopologyMessages() {
  std::vector<MessageVector> messages;
  const Json json = ReadGolden("topology_gossip");
  for (const Json& vector : json["vectors"]) {
    MessageVector& message = messages.emplace_back();
    message.plaintext = FromHexText(vector["message"]);
    ReadDecoding(vector["decoded"], message);
  }
  return messages;
}

Bytes ReadGobStream(const std::string& name) {
  const Json json = ReadGolden("gob_types");
  for (const Json& vector : json["vectors"]) {
    if (vector["name"] == name) return FromHexText(vector["hex"]);
  }
  FAIL("no vector " << name);
  return {};
}

}  // namespace weave
