// What allocators say to each other: the reference peer's bytes, and what is refused.
#include "ipam/ipam_messages.h"

#include <string>
#include <utility>
#include <vector>

#include "test/ipam/ipam_values.h"
#include "test/support/catch.h"
#include "test/wire/vectors.h"

namespace weave::test {
namespace {

// The states of gob_types.json.
IpamState Base() {
  IpamState state;
  state.now = 1'500'000'000;
  state.nicknames = {{kA, "peer1"}};
  return state;
}

void CheckSame(const IpamState& a, const IpamState& b) {
  CHECK(a.now == b.now);
  CHECK(a.nicknames == b.nicknames);
  CHECK(a.paxos == b.paxos);
  CHECK(a.ring == b.ring);
}

void CheckIsStream(const IpamState& state, const std::string& name) {
  CAPTURE(name);
  const Bytes stream = ReadGobStream(name);
  CHECK(ToHex(EncodeIpamState(state, kA)) == ToHex(stream));
  CheckSame(DecodeIpamState(stream).value(), state);
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

}  // namespace
}  // namespace weave::test
