// Frames that a reference peer in the middle of a line of three relayed: given the same datagrams, ours sends the same.
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "test/overlay/routes_world.h"
#include "test/sleeve/datagrams.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

namespace weave {
namespace {

SocketAddress AddressOf(int peer) { return {IpAddress::V4(0x0a4d0000 + static_cast<std::uint32_t>(peer)), 6783}; }

TEST_CASE("A relay sends on what a reference relay sent on, byte for byte", "[sleeve][golden]") {
  const nlohmann::json datagrams = ReadGolden("relay")["sleeve"];

  RecordingIo io;
  PacketRouter router;
  SleeveForwarder relay(PeerName(2), router, io);
  router.SetForwarding(MakeForwarding(2, {{1, 2}, {2, 3}}, {1, 3}));
  for (const int peer : {1, 3}) {
    const ConnectionId connection = static_cast<ConnectionId>(peer);
    relay.OnCommand(OpenSleevePath{connection, PeerName(static_cast<std::uint64_t>(peer)), /*outbound=*/true, {}});
    relay.OnCommand(UpdateSleevePath{connection, {std::nullopt, AddressOf(peer)}, 1410, 1444, true});
  }

  std::size_t relayed_count = 0, broadcast_count = 0;
  for (std::size_t i = 0; i + 1 < datagrams.size(); i += 2) {
    const std::string in = datagrams[i]["hop"], out = datagrams[i + 1]["hop"];
    INFO(i << ": " << in << ", then " << out);
    const int from = in == "10.77.0.1 -> 10.77.0.2" ? 1 : 3;
    REQUIRE(in == absl::StrCat("10.77.0.", from, " -> 10.77.0.2"));
    REQUIRE(out == absl::StrCat("10.77.0.2 -> 10.77.0.", 4 - from));
    relay.OnDatagram({}, AddressOf(2).ip, AddressOf(from), FromHex(datagrams[i]["payload"].get<std::string>()).value());
    relay.Flush();
    REQUIRE(io.sent.size() == 1);
    CHECK(ToHex(io.sent[0].payload) == datagrams[i + 1]["payload"].get<std::string>());
    CHECK(io.sent[0].route.remote == AddressOf(4 - from));
    const bool broadcast = datagrams[i]["decoded"]["frames"][0]["eth_dst"] == "ff:ff:ff:ff:ff:ff";
    CHECK(io.injected.size() == (broadcast ? 1 : 0));  // a broadcast is for the relay's own containers too
    broadcast_count += broadcast ? 1 : 0;
    ++relayed_count;
    io.sent.clear();
    io.injected.clear();
  }
  CHECK(relayed_count == 5);
  CHECK(broadcast_count == 2);
}

}  // namespace
}  // namespace weave
