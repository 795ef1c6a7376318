// What 2.8 peers told each other on the channel "IPallocation" (test/golden/vectors/ipam_*.json): read with the values
// that the files give, and written again with the same bytes where only one order of the maps is possible.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "ipam/ipam_messages.h"
#include "ipam/space.h"
#include "test/ipam/ipam_values.h"
#include "test/support/catch.h"
#include "test/support/golden.h"
#include "wire/gob_primitives.h"
#include "wire/messages.h"

namespace weave::test {
namespace {

using Json = nlohmann::ordered_json;  // objects in the order of the file, which is that of the wire

std::vector<Json> Vectors(const std::string& name) { return ReadGolden<Json>(name)["vectors"]; }

Bytes PayloadOf(const Json& vector) {
  const Bytes bytes = FromHex(vector["message"].get<std::string>()).value();
  const GossipMessage message = DecodeGossip(bytes).value();
  CHECK(message.channel == kIpamChannel);
  return {message.payload.begin(), message.payload.end()};
}

PeerName Name(const Json& json) {
  const auto text = json.get<std::string>();
  return text == PeerName().ToString() ? PeerName() : PeerName::Parse(text).value();
}

std::vector<PeerName> Names(const Json& json) {
  std::vector<PeerName> names;
  for (const Json& name : json) names.push_back(Name(name));
  return names;
}

ProposalId Proposal(const Json& json) {
  return {json["round"].get<std::uint64_t>(), {Name(json["proposer"]), json["proposer_uid"].get<PeerUid>()}};
}

IpamState StateOf(const Json& json) {
  IpamState state;
  state.now = json["now"];
  for (const auto& [name, nickname] : json["nicknames"].items()) state.nicknames[Name(Json(name))] = nickname;
  if (json.contains("paxos")) {
    state.paxos.emplace();
    for (const Json& node : json["paxos"])
      (*state.paxos)[{Name(node["node"]), node["uid"].get<PeerUid>()}] = {
          Proposal(node["promise"]),
          Proposal(node["accepted"]),
          {Names(node["accepted_value"]), Proposal(node["accepted_origin"])}};
  }
  if (json.contains("ring")) {
    const Json& ring = json["ring"];
    std::vector<RingEntry> entries;
    for (const Json& entry : ring["entries"])
      entries.push_back({Ip(entry["token"]), Name(entry["peer"]), entry["version"].get<std::uint32_t>(),
                         entry["free"].get<std::uint32_t>()});
    state.ring = Ring::Make(Between(ring["start"].get<std::string>(), ring["end"].get<std::string>()),
                            std::move(entries), ring.contains("seeds") ? Names(ring["seeds"]) : std::vector<PeerName>())
                     .value();
  }
  return state;
}

// Our encoder writes maps in ascending order, Go's in any.
bool IsCanonical(const Json& json) {
  std::vector<std::string> names;
  for (const auto& [name, nickname] : json["nicknames"].items()) names.push_back(name);
  return std::is_sorted(names.begin(), names.end()) && (!json.contains("paxos") || json["paxos"].size() <= 1);
}

// The last message of a stream behind its type id, which is of the encoder's choice.
Bytes ValueOf(ByteView stream) {
  GobInput in(stream);
  ByteView message;
  while (!in.empty()) REQUIRE(in.ByteString(message).ok());
  GobInput content(message);
  std::int64_t id = 0;
  REQUIRE(content.Int(id).ok());
  return {content.rest().begin(), content.rest().end()};
}

// Whether the bytes could be compared.
bool CheckState(const IpamState& state, ByteView bytes, const Json& expected) {
  const IpamState told = StateOf(expected);
  CHECK(state.now == told.now);
  CHECK(state.nicknames == told.nicknames);
  CHECK(state.paxos == told.paxos);
  CHECK(state.ring == told.ring);
  const PeerName sender = expected.contains("ring") ? Name(expected["ring"]["peer"]) : kA;
  const Bytes ours = EncodeIpamState(state, sender);
  CHECK(ValueOf(ours).size() == ValueOf(bytes).size());
  if (!IsCanonical(expected)) return false;
  CHECK(ToHex(ValueOf(ours)) == ToHex(ValueOf(bytes)));
  return true;
}

TEST_CASE("What 2.8 allocators gossip is understood, and said in the same way", "[ipam][golden]") {
  int same = 0;
  int with_paxos = 0;
  int observers = 0;
  int rings = 0;
  for (const char* file : {"ipam_paxos_gossip", "ipam_ring_gossip"}) {
    const std::vector<Json> vectors = Vectors(file);
    REQUIRE(vectors.size() >= 10);
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      INFO(file << " " << i);
      const Bytes payload = PayloadOf(vectors[i]);
      const auto state = DecodeIpamState(payload);
      INFO(state.status());
      REQUIRE(state.ok());
      const Json& body = vectors[i]["decoded"]["body"];
      REQUIRE(body["kind"] == "ipam-state");
      if (CheckState(*state, payload, body)) ++same;
      if (state->ring.has_value())
        ++rings;
      else
        ++(state->paxos.has_value() ? with_paxos : observers);
    }
  }
  CHECK(rings == 10);
  CHECK(with_paxos == 18);
  CHECK(observers == 2);
  CHECK(same >= 5);
}

TEST_CASE("What 2.8 allocators say to one of them is understood, and said in the same way", "[ipam][golden]") {
  const std::vector<Json> vectors = Vectors("ipam_unicast");
  int requests = 0;
  int denials = 0;
  int updates = 0;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    INFO(i);
    const Bytes payload = PayloadOf(vectors[i]);
    const auto message = DecodeIpamUnicast(payload);
    INFO(message.status());
    REQUIRE(message.ok());
    const Json& body = vectors[i]["decoded"]["body"];
    const ByteView content = ByteView(payload).subspan(1);
    if (body["kind"] == "ring-update") {
      ++updates;
      CHECK(message->kind == IpamUnicastKind::kRingUpdate);
      CheckState(message->state.value(), content, body["state"]);
      const Bytes ours = EncodeRingUpdate(*message->state, kA);
      CHECK(ours.front() == payload.front());
      CHECK(Bytes(ours.begin() + 1, ours.end()) == EncodeIpamState(*message->state, kA));
      continue;
    }
    const bool denied = body["kind"] == "space-request-denied";
    ++(denied ? denials : requests);
    CHECK(message->kind == (denied ? IpamUnicastKind::kSpaceRequestDenied : IpamUnicastKind::kSpaceRequest));
    CHECK_FALSE(message->state.has_value());
    CHECK(message->range ==
          Between(body["range"]["start"].get<std::string>(), body["range"]["end"].get<std::string>()));
    const Bytes ours = denied ? EncodeSpaceRequestDenied(message->range) : EncodeSpaceRequest(message->range);
    CHECK(ours.front() == payload.front());
    CHECK(ToHex(ValueOf(ByteView(ours).subspan(1))) == ToHex(ValueOf(content)));
  }
  CHECK(requests == 4);
  CHECK(denials == 2);
  CHECK(updates == 4);
}

// ---- what peers did between two messages ----

// The ring in message `index` of a file.
Ring RingIn(const std::string& file, std::size_t index) {
  const Bytes payload = PayloadOf(Vectors(file).at(index));
  if (file == "ipam_unicast") return DecodeIpamUnicast(payload).value().state.value().ring.value();
  return DecodeIpamState(payload).value().ring.value();
}

TEST_CASE("A peer that is asked for space grants what a 2.8 peer grants, and says it in the same versions",
          "[ipam][golden]") {
  // kB owns 10.32.128.0/17 and has given .0.1 to a container of its own.
  Ring ring =
      Ring::Make(Subnet("10.32.0.0/16"),
                 {{Ip("10.32.0.0"), kA, 3, 24575}, {Ip("10.32.96.0"), kC, 0, 8192}, {Ip("10.32.128.0"), kB, 1, 32767}},
                 {kA, kB})
          .value();
  Space space = SpaceOf(ring, kB);
  REQUIRE(space.Claim(Ip("10.32.128.1")));
  const auto grant = [&](const AddressRange& asked) {
    const AddressRange given = space.Donation(asked).value();
    ring.Grant(kB, given, kA);
    space.SetOwned(ring.RangesOf(kB));
    return given;
  };
  // The unicast goes out before the free space is counted, the broadcast after.
  CHECK(grant(Subnet("10.32.128.0/24")) == Subnet("10.32.128.192/26"));
  CHECK(ring == RingIn("ipam_unicast", 6));
  CHECK(ring.ReportFree(kB, space));
  CHECK(ring == RingIn("ipam_ring_gossip", 0));
  CHECK(grant(Between("10.32.200.0", "10.32.200.4")) == Between("10.32.200.2", "10.32.200.4"));
  CHECK(ring == RingIn("ipam_unicast", 7));
  CHECK_FALSE(ring.ReportFree(kB, space));
  CHECK(ring == RingIn("ipam_ring_gossip", 2));
  CHECK(grant(Between("10.32.200.0", "10.32.200.4")) == Between("10.32.200.1", "10.32.200.2"));
  CHECK(ring == RingIn("ipam_unicast", 8));
  CHECK(grant(Between("10.32.200.0", "10.32.200.4")) == Between("10.32.200.0", "10.32.200.1"));
  CHECK(ring == RingIn("ipam_unicast", 9));
}

TEST_CASE("A peer that takes another's ranges over says it in the versions of a 2.8 peer", "[ipam][golden]") {
  Ring ring = RingIn("ipam_ring_gossip", 5);  // kB's last
  const Ring after = RingIn("ipam_ring_gossip", 4);
  CHECK(ring.Transfer(kB, kA) > 0);
  Space space;
  space.SetOwned(ring.RangesOf(kA));
  CHECK(ring.ReportFree(kA, space));
  REQUIRE(ring.entries().size() == after.entries().size());
  for (std::size_t i = 0; i < after.entries().size(); ++i) {
    INFO(after.entries()[i]);
    CHECK(ring.entries()[i].token == after.entries()[i].token);
    CHECK(ring.entries()[i].peer == after.entries()[i].peer);
    // Of the taken ones all is known: what kB had used is free.
    if (RingIn("ipam_ring_gossip", 5).entries()[i].peer == kB) CHECK(ring.entries()[i] == after.entries()[i]);
  }
}

TEST_CASE("Somebody who hears what 2.8 peers said, in any order, has their last ring", "[ipam][golden]") {
  std::vector<Ring> said;
  for (const std::size_t index : {0, 1, 2, 3, 4, 5, 6}) said.push_back(RingIn("ipam_ring_gossip", index));
  for (const std::size_t index : {6, 7, 8, 9}) said.push_back(RingIn("ipam_unicast", index));
  Random random(1);
  for (int order = 0; order < 50; ++order) {
    for (std::size_t i = said.size(); i > 1; --i) std::swap(said[i - 1], said[random.Below(i)]);
    Ring ring(Subnet("10.32.0.0/16"));
    for (const Ring& theirs : said) CHECK(ring.Merge(PeerName(100), theirs).ok());
    CHECK(ring == RingIn("ipam_ring_gossip", 6));
  }
  // Who was seeded otherwise, of another range, is refused.
  Ring other = RingIn("ipam_ring_gossip", 7);
  CHECK_FALSE(other.Merge(kC, said[0]).ok());
}

}  // namespace
}  // namespace weave::test
