// What allocators say to each other: the reference peer's bytes, and what is refused.
#include "ipam/ipam_messages.h"

#include <string>
#include <utility>
#include <vector>

#include "test/ipam/ipam_values.h"
#include "test/support/catch.h"
#include "test/wire/foreign_gob.h"
#include "test/wire/vectors.h"

namespace weave::test {
namespace {

using foreign::DefineSlice;
using foreign::DefineStruct;
using foreign::Join;
using foreign::Message;
using foreign::Text;
using foreign::Uint;

// The states of gob_types.json.
IpamState Base() {
  IpamState state;
  state.now = 1'500'000'000;
  state.nicknames = {{kA, "peer1"}};
  return state;
}

void CheckIsStream(const IpamState& state, const std::string& name) {
  CAPTURE(name);
  const Bytes stream = ReadGobStream(name);
  CHECK(ToHex(EncodeIpamState(state, kA)) == ToHex(stream));
  CHECK(DecodeIpamState(stream).value() == state);
}

TEST_CASE("An allocator's state has the bytes of a fresh encoder of the reference peer", "[ipam][golden]") {
  IpamState state = Base();
  CheckIsStream(state, "ipam-observer");
  state.paxos.emplace();
  CheckIsStream(state, "ipam-elector-empty");
  const PaxosNodeId node{kA, 0x1122334455667788};
  (*state.paxos)[node].promise = {1, node};
  CheckIsStream(state, "ipam-paxos-promise");
  const ProposalId second{2, {kA, 7}};
  state.paxos = PaxosClaims{{{kA, 7}, {second, second, {{kA, kB}, second}}}};
  CheckIsStream(state, "ipam-paxos-accepted");
  state.paxos.reset();
  state.ring =
      Ring::Make(Subnet("10.32.0.0/12"), {{Ip("10.32.0.0"), kA, 0, 524288}, {Ip("10.40.0.0"), kB, 3, 524287}}, {kA, kB})
          .value();
  CheckIsStream(state, "ipam-ring");
}

TEST_CASE("A space request has the bytes of a fresh encoder behind its kind", "[ipam][golden]") {
  const Bytes stream = ReadGobStream("range");
  const AddressRange range = Between("10.32.0.0", "10.32.1.0");
  CHECK(EncodeSpaceRequest(range) == Join({{0}, stream}));
  CHECK(EncodeSpaceRequestDenied(range) == Join({{2}, stream}));
  CHECK(DecodeIpamUnicast(Join({{0}, stream}))->range == range);
  CHECK(DecodeIpamUnicast(Join({{2}, stream}))->kind == IpamUnicastKind::kSpaceRequestDenied);
}

TEST_CASE("A range up to the last address of IPv4 ends at 0", "[ipam]") {
  const AddressRange range = Subnet("240.0.0.0/4");
  CHECK(DecodeIpamUnicast(EncodeSpaceRequest(range))->range == range);
  IpamState state = Base();
  state.ring = Ring(range);
  state.ring->DivideAmong({kA, kB});
  CHECK(DecodeIpamState(EncodeIpamState(state, kA)).value() == state);
}

TEST_CASE("A state of another implementation is read by field names", "[ipam]") {
  // The ring alone, its fields the other way round, with one more.
  const Bytes stream = Join({
      DefineStruct(70, "state", {{"Ring", 71}, {"Mood", 6}}),
      DefineStruct(71, "ring", {{"Colour", 6}, {"Entries", 72}, {"End", 3}, {"Start", 3}}),
      DefineSlice(72, 73),
      DefineStruct(73, "entry", {{"Free", 3}, {"Peer", 3}, {"Token", 3}}),
      Message(70, Join({{1, 1},
                        Text("red"),
                        {1, 1},
                        {1, 7, 1, 2, 1},
                        Uint(0x0a000000),
                        {0},
                        {1},
                        Uint(0x0a000100),
                        {1},
                        Uint(0x0a000000),
                        {0, 1},
                        Text("good"),
                        {0}})),
  });
  const IpamState state = DecodeIpamState(stream).value();
  CHECK(state.now == 0);
  CHECK(state.nicknames.empty());
  CHECK_FALSE(state.paxos.has_value());
  CHECK(state.ring == RingOf({Entry(0, kB, 0, 7)}));
}

// A state whose ring has these bytes as fields Start, End and Entries {Token, Peer, Version, Free}.
Bytes StateWithRing(const Bytes& ring) {
  return Join({
      DefineStruct(70, "", {{"Ring", 71}}),
      DefineStruct(71, "", {{"Start", 3}, {"End", 3}, {"Entries", 72}}),
      DefineSlice(72, 73),
      DefineStruct(73, "", {{"Token", 3}, {"Peer", 3}, {"Version", 3}, {"Free", 3}}),
      Message(70, Join({{1}, ring, {0}})),
  });
}

TEST_CASE("A state that is malformed or holds an invalid ring is refused with the reason", "[ipam]") {
  const std::vector<std::pair<Bytes, std::string>> rows = {
      {{}, "IP allocation state: gob: the stream ends where a struct is expected"},
      {{3, 4, 0, 2}, "IP allocation state: gob: a signed integer where a struct is expected"},
      {ReadGobStream("range"), "a struct without any field of gossipState"},
      {StateWithRing({0}), "IP range 0.0.0.0-0.0.0.0, want addresses between the two"},
      {StateWithRing({1, 20, 1, 16, 0}), "IP range 0.0.0.20-0.0.0.16, want addresses between the two"},
      {StateWithRing({1, 20, 1, 23, 0}), "IP allocation range 0.0.0.20-0.0.0.23, want at least 4 addresses"},
      {StateWithRing({1, 16, 1, 32, 1, 2, 1, 20, 0, 1, 18, 0, 0}), "Ring not sorted"},
      {StateWithRing({1, 16, 1, 32, 1, 2, 1, 20, 0, 1, 20, 0, 0}), "Ring not sorted"},
      {StateWithRing({1, 16, 1, 32, 1, 100, 0, 0, 0}), "announced in"},
      {StateWithRing({1, 16, 1, 32, 1, 1, 1, 15, 0, 0}), "Token is out of range"},
      {StateWithRing({1, 16, 1, 32, 1, 1, 1, 32, 0, 0}), "Token is out of range"},
      {StateWithRing({1, 16, 1, 32, 1, 2, 1, 16, 3, 9, 0, 1, 24, 0, 0}),
       "Entry 0.0.0.16-0.0.0.24 reporting too much free space: 9 > 8"},
      {StateWithRing(Join({{1}, Uint(1ULL << 32), {0}})), "4294967296 is more than 4294967295"},
      {StateWithRing(Join({{1, 16, 1, 32, 1, 1, 1, 16, 1}, Uint(1ULL << 48), {0, 0}})),
       "is not a peer name of 48 bits"},
  };
  for (const auto& [stream, message] : rows) {
    CAPTURE(ToHex(stream), message);
    const absl::Status status = DecodeIpamState(stream).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), Catch::Contains(message));
    // The same words where it comes as a ring update.
    CHECK(DecodeIpamUnicast(Join({{1}, stream})).status() == status);
  }
}

TEST_CASE("A unicast that a 2.8 peer would hang or die of is refused", "[ipam]") {
  const Bytes range = ReadGobStream("range");
  const Bytes range_type = DefineStruct(65, "Range", {{"Start", 3}, {"End", 3}});
  const std::vector<std::pair<Bytes, std::string>> rows = {
      {{}, "IP allocation: empty message"},
      {{0}, "IP space request: gob: the stream ends where a struct is expected"},
      {{2}, "IP space request: gob: the stream ends where a struct is expected"},
      {Join({{3}, range}), "IP allocation: message of kind 3, want 0 to 2"},
      {Join({{255}, range}), "IP allocation: message of kind 255, want 0 to 2"},
      {Join({{0}, range_type, Message(65, {1, 20, 1, 20, 0})}),
       "IP range 0.0.0.20-0.0.0.20, want addresses between the two"},
      {Join({{2}, range_type, Message(65, {1, 20, 1, 7, 0})}),
       "IP range 0.0.0.20-0.0.0.7, want addresses between the two"},
      {Join({{0}, range_type, Message(65, {0})}), "IP range 0.0.0.0-0.0.0.0, want addresses between the two"},
  };
  for (const auto& [payload, message] : rows) {
    CAPTURE(ToHex(payload));
    const absl::Status status = DecodeIpamUnicast(payload).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()) == message);
  }
}

TEST_CASE("A state cut anywhere is refused", "[ipam]") {
  const Bytes stream = ReadGobStream("ipam-ring");
  for (std::size_t size = 0; size < stream.size(); ++size) {
    INFO(size);
    REQUIRE_FALSE(DecodeIpamState(ByteView(stream).first(size)).ok());
  }
}

TEST_CASE("A ring of a thousand entries comes back as it was", "[ipam]") {
  IpamState state = Base();
  state.ring = Ring(Subnet("10.32.0.0/12"));
  std::vector<PeerName> peers;
  for (std::uint64_t name = 1; name <= 1000; ++name) {
    peers.emplace_back(name << 20);
    state.nicknames[peers.back()] = "host";
  }
  state.ring->DivideAmong(peers);
  REQUIRE(state.ring->entries().size() == 1000);
  CHECK(DecodeIpamState(EncodeIpamState(state, kA)).value() == state);
}

}  // namespace
}  // namespace weave::test
