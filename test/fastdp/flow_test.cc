// How flows are written in logs: as `ovs-dpctl dump-flows` writes them, so that people can compare.
#include "fastdp/flow.h"

#include "test/support/catch.h"

namespace weave {
namespace {

const MacAddress kA = *MacAddress::Parse("02:00:00:00:00:0a");
const MacAddress kB = *MacAddress::Parse("02:00:00:00:00:0b");
const TunnelKey kTunnel = {0x8b32f7, *IpAddress::Parse("10.77.0.1"), *IpAddress::Parse("10.77.0.2")};

TEST_CASE("flows are written as Open vSwitch writes them") {
  CHECK(ToString(FlowKey{1, std::nullopt, kA, kB}) == "in_port(1),eth(src=02:00:00:00:00:0a,dst=02:00:00:00:00:0b)");
  CHECK(ToString(FlowKey{2, kTunnel, kB, kA}) ==
        "tunnel(tun_id=0x8b32f7,src=10.77.0.1,dst=10.77.0.2),in_port(2),"
        "eth(src=02:00:00:00:00:0b,dst=02:00:00:00:00:0a)");
  CHECK(ToString(FlowActions{}) == "drop");
  CHECK(ToString(FlowActions{Output{0}, SetTunnel{kTunnel}, Output{2}}) ==
        "0,set(tunnel(tun_id=0x8b32f7,src=10.77.0.1,dst=10.77.0.2)),2");
}

}  // namespace
}  // namespace weave
