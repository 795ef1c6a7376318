// Keys, policies and rules as the kernel takes them, with packets on the wire between two hosts.
#include <string>

#include "test/host/packet_filter_world.h"
#include "test/kernel/fastdp/ipsec_world.h"

namespace weave {
namespace {

constexpr int kUdp = 17;
constexpr int kEsp = 50;
constexpr FirewallBackend kBackend = FirewallBackend::kLegacy;  // the other: test/host/firewall_ipsec_test.cc

std::string Hex(Spi spi) { return absl::StrCat("0x", absl::Hex(spi, absl::kZeroPad8)); }

// Everything an administrator would look at.
std::string Picture(const IpsecHost& host) {
  return host.Ip("xfrm state") + host.Ip("xfrm policy") + host.Shell("iptables-legacy-save | grep -i -E 'ipsec|esp'");
}

// Every datagram of the traffic has come to this host; else how many have not.
void CheckAllCame(IpsecWorld& world, IpsecHost& receiver) {
  const auto received = world.Received(receiver);
  std::vector<std::uint32_t> lost;
  for (std::uint32_t i = 0; i < world.sent(); ++i)
    if (!received.contains(i)) lost.push_back(i);
  CHECK(world.sent() > 100);
  if (lost.empty()) return;
  FAIL_CHECK("lost " << lost.size() << " of " << world.sent() << ", " << lost.front() << " to " << lost.back());
}

// The words of `ip xfrm` are those of a 2.8 peer's associations and policies; and there is a policy for unmarked
// packets.
void CheckForm(const IpsecHost& host, Spi in, Spi out) {
  const auto association = [](const char* source, const char* destination, Spi spi) {
    return absl::StrCat("src ", source, " dst ", destination, "\n\tproto esp spi ", Hex(spi),
                        " reqid 0 mode transport\n\treplay-window 0 flag esn\n\taead rfc4106(gcm(aes)) 0x");
  };
  const std::string state = host.Ip("xfrm state");
  CHECK_THAT(state, Catch::Contains(association("10.77.0.2", "10.77.0.1", in)));
  CHECK_THAT(state, Catch::Contains(association("10.77.0.1", "10.77.0.2", out)));
  CHECK_THAT(state, Catch::Contains(" 128\n\tanti-replay esn context:") &&
                        Catch::Contains("replay_window 256, bitmap-length 8") &&
                        Catch::Contains("sel src 0.0.0.0/0 dst 0.0.0.0/0"));
  const auto policy = [&](const char* port, const char* mark) {
    return absl::StrCat(
        "src 10.77.0.1/32 dst 10.77.0.2/32 proto udp ", port, "\n\tdir out priority 0 ptype main \n\tmark ", mark,
        "/0x20000 \n\ttmpl src 10.77.0.1 dst 10.77.0.2\n\t\tproto esp spi ", Hex(out), " reqid 0 mode transport\n");
  };
  CHECK_THAT(host.Ip("xfrm policy"),
             Catch::Contains(policy("", "0x20000")) && Catch::Contains(policy("dport 6784 ", "0")));
}

TEST_CASE("Between two peers packets pass in ESP alone, and those in clear are refused both ways", "[fastdp][kernel]") {
  NeedEsp();
  IpsecWorld world(kBackend);
  world.InjectClear(1);
  CHECK(world.Received(world.b).contains(1));
  world.Start(world.a);
  world.Start(world.b);
  world.Connect(1);

  CheckForm(world.a, world.a.inbound[1].spi, world.b.inbound[1].spi);

  WireTap wire(world.b.ns());
  for (std::uint32_t i = 100; i < 120; ++i) CHECK((world.Send(world.a, i) && world.Send(world.b, i)));
  CHECK(world.Received(world.b).size() == 20);
  CHECK(world.Received(world.a).size() == 20);
  CHECK(wire.CountByProtocol() == absl::btree_map<int, int>{{kEsp, 40}});

  world.InjectClear(2);
  CHECK(world.Received(world.b).empty());
  CHECK(wire.CountByProtocol()[kUdp] == 1);

  world.MakeVxlan();
  CHECK_THAT(world.a.Shell("ping -c 1 -W 9 -M do -s 1348 10.99.0.2"), Catch::Contains(" 1 received"));
  CHECK(wire.CountByProtocol()[kUdp] == 0);
  CHECK(wire.largest() == 1460);  // spec/overlay.md section 4.3
  // Nothing was routed twice.
  CHECK(world.a.Marked() == "0");

  // Where the kernel does not look for policies when it routes VXLAN, and after an earlier version, the mark does it.
  world.a.Ip("xfrm policy flush");
  world.a.Ip(absl::StrCat(
      "xfrm policy add src 10.77.0.1/32 dst 10.77.0.2/32 proto udp dir out mark 0x20000 mask 0x20000 tmpl src "
      "10.77.0.1 dst 10.77.0.2 proto esp spi ",
      Hex(world.b.inbound[1].spi), " reqid 0 mode transport"));
  CHECK_THAT(world.a.Shell("ping -c 1 -W 9 -M do -s 1348 10.99.0.2"), Catch::Contains(" 1 received"));
  CHECK(world.a.Marked() != "0");
  CHECK(wire.CountByProtocol()[kUdp] == 0);
  CHECK(wire.largest() == 1460);

  world.a.Ip("xfrm policy flush");
  world.a.Shell("ping -c 1 -W 1 10.99.0.2");
  CHECK(wire.CountByProtocol()[kUdp] == 0);
}

TEST_CASE("New keys lose no packet and show none", "[fastdp][kernel]") {
  IpsecWorld world(kBackend);
  world.Start(world.a, absl::Seconds(2));
  world.Start(world.b, absl::Seconds(2));
  world.Connect(1);
  WireTap wire(world.b.ns());
  world.StartTraffic();
  for (ConnectionId connection = 2; connection <= 3; ++connection) {
    world.AwaitTraffic(50);
    // Either end may notice first that the connection before is over, and before or after the next one is there.
    if (connection == 3) world.a.Perform(TearDownIpsec{2});
    world.Connect(connection);
    world.a.Perform(TearDownIpsec{connection - 1});
    world.AwaitTraffic(20);
    world.b.Perform(TearDownIpsec{connection - 1});
  }
  world.Await([&] { return world.a.keeper().resting_count() + world.b.keeper().resting_count() == 0; });
  world.AwaitTraffic(50);
  world.StopTraffic();
  CheckAllCame(world, world.a);
  CheckAllCame(world, world.b);
  CHECK(wire.CountByProtocol()[kUdp] == 0);
  CHECK(world.a.Shell("ip xfrm state | grep -c ^src") == "2\n");
  CHECK(world.a.Shell("ip xfrm policy | grep -c ^src") == "2\n");
}

TEST_CASE("A peer that was killed goes on where it was: no packet is lost, and old keys go", "[fastdp][kernel]") {
  IpsecWorld world(kBackend);
  world.Start(world.a);
  world.Start(world.b);
  world.Connect(1);
  WireTap wire(world.b.ns());
  world.StartTraffic();
  world.AwaitTraffic(50);
  world.a.Stop();
  CHECK_THAT(Picture(world.a), Catch::Contains("--espspi"));
  // A run that ended between two steps.
  world.a.Ip(
      "xfrm state add src 10.77.0.2 dst 10.77.0.1 proto esp spi 0x5000 reqid 0 mode transport replay-window 256 "
      "flag esn aead 'rfc4106(gcm(aes))' 0x" +
      std::string(72, '1') + " 128");
  world.AwaitTraffic(50);
  world.Start(world.a, absl::Seconds(3));
  world.AwaitTraffic(50);
  world.b.Perform(TearDownIpsec{1});
  world.Connect(2);
  world.Await([&] { return world.a.keeper().resting_count() == 0; });
  world.AwaitTraffic(50);
  world.StopTraffic();
  CheckAllCame(world, world.a);
  CheckAllCame(world, world.b);
  CHECK(wire.CountByProtocol()[kUdp] == 0);
  // b's own rest is not over: it takes packets under either index.
  CHECK(world.a.Shell("ip xfrm state | grep -c ^src") == "2\n");
  CHECK(world.b.Shell("ip xfrm state | grep -c ^src") == "4\n");
}

TEST_CASE("Where no peer comes back everything is gone after the rest, and a clear path need not wait for it",
          "[fastdp][kernel]") {
  IpsecWorld world(kBackend);
  const std::string empty = Picture(world.a);
  world.Start(world.a);
  world.Start(world.b);
  world.Connect(1);
  world.a.Stop();
  world.Start(world.a, absl::Milliseconds(300));
  world.Await([&] { return world.a.keeper().resting_count() == 0; });
  CHECK(Picture(world.a) == empty);

  world.b.Perform(TearDownIpsec{1});
  world.b.Perform(PassInClear{2, world.b.address(), world.a.address()});
  world.Await([&] { return world.b.clear.contains(2); });
  CHECK(Picture(world.b) == empty);
  CHECK(world.Send(world.a, 7));
  CHECK(world.Received(world.b).contains(7));
}

TEST_CASE("Reset takes everything of ours and nothing of others", "[fastdp][kernel]") {
  IpsecWorld world(kBackend);
  // A keying daemon's, one with a mark, and Docker's; then a policy.
  const std::string key = absl::StrCat(" aead 'rfc4106(gcm(aes))' 0x", std::string(72, '1'));
  const std::string daemons = " proto esp spi 0x5001 reqid 1 mode transport replay-window 256 flag esn" + key + " 128";
  const std::string marked = " proto esp spi 0x5002 mode transport mark 7 replay-window 256 flag esn" + key + " 128";
  const std::string dockers = " proto esp spi 0x5003 reqid 13681891 mode transport" + key + " 64";
  for (const std::string& foreign : {daemons, marked, dockers})
    world.a.Ip("xfrm state add src 10.77.0.2 dst 10.77.0.1" + foreign);
  world.a.Ip(
      "xfrm policy add src 10.77.0.1/32 dst 10.77.0.2/32 proto udp dir out mark 0xd0c4e3 mask 0xffffffff tmpl "
      "proto esp spi 0x5003 reqid 13681891 mode transport");
  world.a.Shell("iptables-legacy -A INPUT -p esp -j ACCEPT");
  const std::string before = Picture(world.a);

  world.Start(world.a);
  world.Start(world.b);
  world.Connect(1);
  world.a.Stop();
  CHECK(Picture(world.a) != before);
  REQUIRE(RunIn(world.a.ns(), [] {
            RETURN_IF_ERROR(RemoveAllEsp());
            return PacketFilter::RemoveFromAll({});
          }).ok());
  CHECK(Picture(world.a) == before);
  REQUIRE(RunIn(world.a.ns(), [] { return RemoveAllEsp(); }).ok());
}

TEST_CASE("An index that is used again is the newer association's; a stranger's is left alone", "[fastdp][kernel]") {
  IpsecWorld world(kBackend);
  REQUIRE(RunIn(world.a.ns(), [&] {
            ASSIGN_OR_RETURN(const std::unique_ptr<EspKernel> esp, EspKernel::Open());
            const EspAssociation association = {world.a.address(), world.b.address(), 0x1000};
            RETURN_IF_ERROR(esp->AddOutbound(association, kVxlanPort, {1}));
            RETURN_IF_ERROR(esp->AddOutbound(association, kVxlanPort, {2}));
            ASSIGN_OR_RETURN(EspState state, esp->List());
            CHECK(state.associations == std::vector<EspAssociation>{association});
            const std::vector<EspPolicy> both = {{association}, {association, kVxlanPort}};
            CHECK(std::is_permutation(state.policies.begin(), state.policies.end(), both.begin(), both.end()));
            RETURN_IF_ERROR(esp->RemoveOutbound(association));
            RETURN_IF_ERROR(esp->RemoveOutbound(association));

            world.a.Ip(
                "xfrm state add src 10.77.0.1 dst 10.77.0.2 proto esp spi 0x1000 reqid 3 mode transport aead "
                "'rfc4106(gcm(aes))' 0x" +
                std::string(72, '1') + " 128");
            CHECK(absl::IsAlreadyExists(esp->AddOutbound(association, kVxlanPort, {3})));
            ASSIGN_OR_RETURN(state, esp->List());
            CHECK((state.associations.empty() && state.policies.empty()));
            CHECK(
                absl::IsInvalidArgument(esp->AddInbound(*IpAddress::Parse("fd00::1"), world.b.address(), {}).status()));
            return absl::OkStatus();
          }).ok());
}

}  // namespace
}  // namespace weave
