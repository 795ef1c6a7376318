#include "wire/topology.h"

#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"
#include "test/wire/foreign_gob.h"
#include "test/wire/vectors.h"

namespace weave {
namespace {

using foreign::DefineSlice;
using foreign::DefineStruct;
using foreign::Join;
using foreign::Message;
using foreign::Uint;
using foreign::Value;

Bytes Encode(const std::vector<PeerSummary>& peers) {
  std::vector<EncodedSummary> summaries;
  for (const PeerSummary& peer : peers) summaries.push_back(EncodeSummary(peer));
  std::vector<const EncodedSummary*> pointers;
  for (const EncodedSummary& summary : summaries) pointers.push_back(&summary);
  return EncodeTopology(pointers);
}

absl::StatusOr<std::vector<PeerSummary>> Decode(const Bytes& update) {
  std::vector<PeerSummary> peers;
  TopologyReader reader(update);
  for (;;) {
    auto peer = reader.Next();
    if (!peer.ok()) return peer.status();
    if (!peer->has_value()) return peers;
    auto connections = reader.Connections();
    if (!connections.ok()) return connections.status();
    peers.push_back(**std::move(peer));
    peers.back().connections = *std::move(connections);
  }
}

PeerSummary Peer(std::uint64_t name, std::vector<ConnectionSummary> connections = {}) {
  return {.name = PeerName(name),
          .nickname = absl::StrCat("peer", name),
          .uid = 1000 + name,
          .version = 7,
          .short_id = static_cast<ShortId>(name),
          .connections = std::move(connections)};
}

TEST_CASE("Topology is written as a fresh encoder of the reference peer writes it", "[wire][golden]") {
  PeerSummary one{.name = PeerName(1),
                  .nickname = "peer1",
                  .uid = 0x1122334455667788,
                  .version = 3,
                  .short_id = 2748,
                  .connections = {}};
  one.connections = {{PeerName(2), "10.0.0.2:6783", true, true}};
  CHECK(Encode({one}) == ReadGobStream("topology-1-peer"));
  PeerSummary placeholder;
  placeholder.name = PeerName(9);
  CHECK(Encode({placeholder}) == ReadGobStream("topology-placeholder"));
  const PeerSummary a{.name = PeerName(1),
                      .nickname = "a",
                      .uid = 5,
                      .version = 1,
                      .short_id = 0,
                      .connections = {{PeerName(2), "10.0.0.2:6783"}}};
  const PeerSummary b{.name = PeerName(2), .nickname = "b", .uid = 6, .version = 0, .short_id = 1, .connections = {}};
  CHECK(Encode({a, b}) == ReadGobStream("topology-2-peers"));
  CHECK(Decode(ReadGobStream("topology-2-peers")).value() == std::vector<PeerSummary>{a, b});
  CHECK(Encode({}).empty());
}

TEST_CASE("A short id of 0 is another thing than none", "[wire]") {
  PeerSummary peer = Peer(1);
  peer.short_id = 0;
  CHECK(Decode(Encode({peer})).value()[0].short_id == ShortId{0});
  peer.short_id.reset();
  CHECK_FALSE(Decode(Encode({peer})).value()[0].short_id.has_value());
}

TEST_CASE("An update of many peers comes back, also where nobody asks for some connection lists", "[wire]") {
  std::vector<PeerSummary> peers;
  for (std::uint64_t name = 1; name <= 300; ++name) {
    peers.push_back(Peer(name));
    for (std::uint64_t i = 1; i <= name % 40; ++i)
      peers.back().connections.push_back(
          {PeerName(name + i), absl::StrCat("10.0.0.", i, ":6783"), i % 2 == 0, i % 3 == 0});
  }
  const Bytes update = Encode(peers);
  CHECK(Decode(update).value() == peers);

  TopologyReader reader(update);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const auto peer = reader.Next().value();
    REQUIRE(peer.has_value());
    CHECK(peer->name == peers[i].name);
    CHECK(peer->connections.empty());
    if (i % 3 == 0) REQUIRE(reader.Connections().value() == peers[i].connections);
  }
  CHECK_FALSE(reader.Next().value().has_value());
}

TEST_CASE("An empty update has no peers", "[wire]") { CHECK(Decode({}).value().empty()); }

TEST_CASE("Topology of another implementation is read by field names", "[wire]") {
  // Other ids, the slice defined before all, fields the other way round, and one more.
  const Bytes update = Join({
      DefineSlice(300, 200),
      DefineStruct(200, "link",
                   {{"Established", 1}, {"Cost", 4}, {"NameByte", 5}, {"Outbound", 1}, {"RemoteTCPAddr", 6}}),
      DefineStruct(100, "node",
                   {{"HasShortID", 1},
                    {"Labels", 300},
                    {"ShortID", 3},
                    {"Version", 3},
                    {"UID", 3},
                    {"NickName", 6},
                    {"NameByte", 5}}),
      Message(100, Join({{1, 1, 1, 1, 2, 0x7f, 0, 1},
                         Uint(4095),
                         {1},
                         Uint(3),
                         {1},
                         Uint(70),
                         {1},
                         foreign::Text("n"),
                         {1, 6, 0, 0, 0, 0, 0, 1, 0}})),
      Value(300,
            Join({{1, 1, 1, 1}, {0xfe, 0xf8, 0x3f}, {1, 6, 0, 0, 0, 0, 0, 2, 2}, foreign::Text("10.0.0.2:6783"), {0}})),
  });
  const PeerSummary expected{.name = PeerName(1),
                             .nickname = "n",
                             .uid = 70,
                             .version = 3,
                             .short_id = 4095,
                             .connections = {{PeerName(2), "10.0.0.2:6783", false, true}}};
  CHECK(Decode(update).value() == std::vector<PeerSummary>{expected});
}

TEST_CASE("Malformed topology is refused with the reason", "[wire]") {
  const Bytes peer_type = DefineStruct(65, "p", {{"NameByte", 5}, {"ShortID", 3}});
  const Bytes list_type = Join({DefineStruct(66, "c", {{"NameByte", 5}}), DefineSlice(67, 66)});
  const Bytes peer = Message(65, {1, 6, 0, 0, 0, 0, 0, 1, 0});
  const std::vector<std::pair<Bytes, std::string>> rows = {
      {Join({peer_type, Message(65, {1, 5, 0, 0, 0, 0, 1, 0})}), "topology: peer name of 5 bytes, want 6"},
      {Join({peer_type, Message(65, {2, 5, 0})}), "topology: peer name of 0 bytes, want 6"},
      {Join({peer_type, Message(65, Join({{1, 6, 0, 0, 0, 0, 0, 1, 1}, Uint(4096), {0}}))}),
       "topology: short id 4096 of 00:00:00:00:00:01, want at most 4095"},
      {Join({peer_type, peer}), "topology: gob: the stream ends where a slice is expected"},
      {Join({peer_type, peer, peer}), "topology: gob: a struct p where a slice is expected"},
      {Join({peer_type, peer, Value(5, {0})}), "topology: gob: a byte slice where a slice is expected"},
      {Join({peer_type, list_type, peer, Value(67, {1, 0})}), "topology: peer name of 0 bytes, want 6"},
      {Join({peer_type, list_type, peer, Value(67, {1, 1, 2, 0, 0, 0})}), "topology: peer name of 2 bytes, want 6"},
      {Join({peer_type, list_type, Value(67, {0})}), "topology: gob: a slice where a struct is expected"},
      {Join({peer_type, list_type, peer, Value(67, {5, 0})}),
       "topology: gob, byte 101: 5 elements announced in 1 bytes"},
      {{1, 2, 3}, "topology: gob: a bool where a struct is expected"},
  };
  for (const auto& [update, message] : rows) {
    CAPTURE(ToHex(update));
    const auto peers = Decode(update);
    CHECK(peers.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(peers.status().message()) == message);
  }
}

TEST_CASE("A connection list that nobody asks for must still be one", "[wire]") {
  const Bytes update =
      Join({DefineStruct(65, "p", {{"NameByte", 5}}), Message(65, {1, 6, 0, 0, 0, 0, 0, 1, 0}), Value(5, {0})});
  TopologyReader reader(update);
  REQUIRE(reader.Next().ok());
  CHECK(std::string(reader.Next().status().message()) == "topology: gob: a byte slice where a slice is expected");
}

TEST_CASE("An update cut anywhere gives no peer that was not sent", "[wire]") {
  const std::vector<PeerSummary> peers = {Peer(1, {{PeerName(2), "10.0.0.2:6783", true, true}}), Peer(2), Peer(3)};
  const Bytes update = Encode(peers);
  std::size_t whole = 0;
  for (std::size_t size = 0; size < update.size(); ++size) {
    const auto cut = Decode(Bytes(update.begin(), update.begin() + static_cast<std::ptrdiff_t>(size)));
    if (!cut.ok()) continue;
    ++whole;
    REQUIRE(cut->size() < peers.size());
    CHECK(std::equal(cut->begin(), cut->end(), peers.begin()));
  }
  CHECK(whole == 4);  // nothing, the first definition, one pair, two pairs
}

}  // namespace
}  // namespace weave
