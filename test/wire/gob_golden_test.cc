// Every stream of Go's own encoder in gob_types.json: its values are those that the file tells, and writing them again
// gives the same bytes, definitions included.
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/support/golden.h"
#include "test/wire/gob_types.h"
#include "wire/gob.h"

namespace weave {

// In the vectors of another room.
struct GoldenPeer {
  Bytes name;
  std::string nickname;
  std::uint64_t uid = 0;
  std::uint64_t version = 0;
  std::uint16_t short_id = 0;
  bool has_short_id = false;
};
struct GoldenConnection {
  Bytes name;
  std::string remote_address;
  bool outbound = false;
  bool established = false;
};
template <>
struct GobDescription<GoldenPeer>
    : GobStruct<"peerSummary", GobField<"NameByte", &GoldenPeer::name>, GobField<"NickName", &GoldenPeer::nickname>,
                GobField<"UID", &GoldenPeer::uid>, GobField<"Version", &GoldenPeer::version>,
                GobField<"ShortID", &GoldenPeer::short_id>, GobField<"HasShortID", &GoldenPeer::has_short_id>> {};
template <>
struct GobDescription<GoldenConnection> : GobStruct<"connectionSummary", GobField<"NameByte", &GoldenConnection::name>,
                                                    GobField<"RemoteTCPAddr", &GoldenConnection::remote_address>,
                                                    GobField<"Outbound", &GoldenConnection::outbound>,
                                                    GobField<"Established", &GoldenConnection::established>> {};

namespace {

using Json = nlohmann::json;

template <typename T>
concept Described = requires {
  typename GobDescription<T>::FieldList;
};

Json ToJson(const auto& value) { return value; }
Json ToJson(PeerName value) { return value.value(); }
Json ToJson(const Bytes& value) { return {{"bytes", ToHex(value)}}; }
template <typename T>
Json ToJson(const std::optional<T>& value);
template <typename Key, typename Value>
Json ToJson(const std::vector<std::pair<Key, Value>>& value);
template <typename T>
Json ToJson(const std::vector<T>& value);
template <Described T>
Json ToJson(const T& value);

template <typename T>
Json ToJson(const std::optional<T>& value) {
  return ToJson(value.value());
}
template <typename Key, typename Value>
Json ToJson(const std::vector<std::pair<Key, Value>>& value) {
  Json json = Json::array();
  for (const auto& [key, element] : value) json.push_back(Json::array({ToJson(key), ToJson(element)}));
  return json;
}
template <typename T>
Json ToJson(const std::vector<T>& value) {
  Json json = Json::array();
  for (const T& element : value) json.push_back(ToJson(element));
  return json;
}
template <typename T, typename... Field>
void AddFields(const T& value, std::tuple<Field...>, Json& json) {
  const auto add = [&]<typename F>(F) {
    if (!F::Codec::Omitted(value.*F::kMember)) json[std::string(F::Type().name)] = ToJson(value.*F::kMember);
  };
  (add(Field()), ...);
}
template <Described T>
Json ToJson(const T& value) {
  Json json = Json::object();
  AddFields(value, typename GobDescription<T>::FieldList(), json);
  return json;
}

struct Rewritten {
  Json values = Json::array();
  Bytes bytes;
};

// Reads a stream of these values, and writes it again.
template <typename... T>
Rewritten Rewrite(ByteView stream) {
  GobReader reader(stream);
  GobWriter writer;
  Rewritten result;
  const auto one = [&]<typename Value>(Value value) {
    const absl::Status status = reader.Read(value);
    INFO(status);
    REQUIRE(status.ok());
    result.values.push_back(ToJson(value));
    writer.Write(value);
  };
  (one(T()), ...);
  REQUIRE_FALSE(reader.HasValue().value());
  result.bytes = writer.Take();
  return result;
}

using TextMap = std::vector<std::pair<std::string, std::string>>;
using Connections = std::vector<GoldenConnection>;

std::function<Rewritten(ByteView)> RewriterOf(const std::string& name) {
  static const std::map<std::string, std::function<Rewritten(ByteView)>> by_name = {
      {"string", Rewrite<std::string>},
      {"empty-string", Rewrite<std::string>},
      {"gossip-envelope", Rewrite<std::string, PeerName, Bytes>},
      {"unicast-envelope", Rewrite<std::string, PeerName, PeerName, Bytes>},
      {"features", Rewrite<TextMap>},
      {"features-empty", Rewrite<TextMap>},
      {"topology-1-peer", Rewrite<GoldenPeer, Connections>},
      {"topology-placeholder", Rewrite<GoldenPeer, Connections>},
      {"topology-2-peers", Rewrite<GoldenPeer, Connections, GoldenPeer, Connections>},
      {"range", Rewrite<GobRange>},
      {"range-from-zero", Rewrite<GobRange>},
      {"dns-empty", Rewrite<GobNames>},
      {"dns-2", Rewrite<GobNames>},
      {"persist-peername", Rewrite<PeerName>},
      {"persist-ring", Rewrite<GobRing>},
      {"persist-owned", Rewrite<std::vector<std::pair<std::string, GobOwned>>>},
      {"persist-directPeers", Rewrite<std::vector<std::string>>},
  };
  const std::map<std::string, std::function<Rewritten(ByteView)>> by_prefix = {
      {"uint64-", Rewrite<std::uint64_t>}, {"int64-", Rewrite<std::int64_t>}, {"bool-", Rewrite<bool>},
      {"bytes", Rewrite<Bytes>},           {"ipam-", Rewrite<GobIpamState>},
  };
  if (const auto found = by_name.find(name); found != by_name.end()) return found->second;
  for (const auto& [prefix, rewrite] : by_prefix) {
    if (name.compare(0, prefix.size(), prefix) == 0) return rewrite;
  }
  FAIL("no type for the vector " << name);
  return {};
}

TEST_CASE("What Go encodes is read with its values and written with its bytes", "[wire][golden]") {
  const Json vectors = ReadGolden("gob_types")["vectors"];
  REQUIRE(vectors.size() == 37);
  for (const Json& vector : vectors) {
    const auto name = vector["name"].get<std::string>();
    CAPTURE(name);
    const Rewritten result = RewriterOf(name)(FromHex(vector["hex"].get<std::string>()).value());
    CHECK(result.values == vector["decoded"]);
    CHECK(ToHex(result.bytes) == vector["hex"].get<std::string>());
  }
}

}  // namespace
}  // namespace weave
