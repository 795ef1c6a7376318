#include "host/firewall_ipsec.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "host/firewall_diff.h"
#include "io/fd.h"
#include "test/host/firewall_bench.h"
#include "test/host/packet_filter_world.h"

namespace weave {
namespace {

IpAddress PathEnd(const char* text) { return IpAddress::Parse(text).value(); }

const IpsecPath kPath = {PathEnd("10.77.0.1"), PathEnd("10.77.0.2"), 0x99da5d5e, 6784, 6784};
const IpsecPath kNewerPath = {PathEnd("10.77.0.1"), PathEnd("10.77.0.2"), 0x100, 6784, 6784};
const IpsecPath kOtherPath = {PathEnd("10.77.0.1"), PathEnd("10.77.0.3"), 0xffffffff, 6784, 7001};

std::string RenderPaths(const std::vector<IpsecPath>& paths) {
  RuleSet rules;
  REQUIRE(AddIpsecRules(paths, rules).ok());
  return RenderRuleSet(rules);
}

TEST_CASE("A path over ESP has 2.8's chains and rules, above what others let in", "[host][firewall]") {
  CHECK(RenderPaths({kPath}) == R"(*filter
:WEAVE-IPSEC-IN - [0:0]
-A WEAVE-IPSEC-IN -s 10.77.0.2/32 -d 10.77.0.1/32 -p udp -m udp --dport 6784 -m mark ! --mark 0x20000/0x20000 -j DROP
-I INPUT 1 -j WEAVE-IPSEC-IN
-I OUTPUT 1 ! -p esp -m policy --dir out --pol none -m mark --mark 0x20000/0x20000 -j DROP
COMMIT
*mangle
:WEAVE-IPSEC-IN - [0:0]
:WEAVE-IPSEC-IN-MARK - [0:0]
:WEAVE-IPSEC-OUT - [0:0]
:WEAVE-IPSEC-OUT-MARK - [0:0]
-A WEAVE-IPSEC-IN -s 10.77.0.2/32 -d 10.77.0.1/32 -p esp -m esp --espspi 2581224798 -j WEAVE-IPSEC-IN-MARK
-A WEAVE-IPSEC-IN-MARK -j MARK --set-xmark 0x20000/0x20000
-A WEAVE-IPSEC-OUT -s 10.77.0.1/32 -d 10.77.0.2/32 -p udp -m udp --dport 6784 -m policy --dir out --pol none -j WEAVE-IPSEC-OUT-MARK
-A WEAVE-IPSEC-OUT-MARK -j MARK --set-xmark 0x20000/0x20000
-I INPUT 1 -j WEAVE-IPSEC-IN
-I OUTPUT 1 -j WEAVE-IPSEC-OUT
COMMIT
)");
  CHECK(RenderPaths({}).empty());
}

TEST_CASE("Two associations of one pair share the rules of the pair", "[host][firewall]") {
  const std::string text = RenderPaths({kPath, kNewerPath});
  CHECK_THAT(text, Catch::Contains("--espspi 2581224798 -j"));
  CHECK_THAT(text, Catch::Contains("--espspi 256 -j"));
  for (const char* once :
       {"--dport 6784 -m mark", "--dport 6784 -m policy --dir out --pol none -j WEAVE-IPSEC-OUT-MARK"})
    CHECK(text.find(once) == text.rfind(once));
}

TEST_CASE("A path that no rule can express is refused by its addresses", "[host][firewall]") {
  const auto message = [](const IpsecPath& path) {
    RuleSet rules;
    const absl::Status status = AddIpsecRules({kPath, path}, rules);
    CHECK(rules == RuleSet{});
    return std::string(status.message());
  };
  const std::string pair = "packet filter: IPsec from 10.77.0.2 to 10.77.0.1: ";
  CHECK(message({kPath.local, kPath.remote, 0xff, 1, 1}) == pair + "index 255 is not 256 or more");
  CHECK(message({kPath.local, kPath.remote, 0x100, 0, 1}) == pair + "port 0 is not in 1 to 65535");
  CHECK(message({kPath.local, kPath.remote, 0x100, 1, 0}) == pair + "port 0 is not in 1 to 65535");
  CHECK_THAT(message({PathEnd("fd00::1"), kPath.remote, 0x100, 1, 1}),
             Catch::Contains("fd00::1: only IPv4 is possible"));
}

TEST_CASE("Paths are read from a dump, 2.8's too, and what is no path is passed over", "[host][firewall]") {
  const FirewallDump dump = ParseFirewallDump(R"(*filter
:INPUT ACCEPT [0:0]
:WEAVE-IPSEC-IN - [0:0]
-A INPUT -j WEAVE-IPSEC-IN
-A WEAVE-IPSEC-IN -s 10.77.0.3/32 -d 10.77.0.1/32 -p udp -m udp --dport 6784 -m mark ! --mark 0x20000/0x20000 -j DROP
-A WEAVE-IPSEC-IN -s 10.77.0.0/24 -d 10.77.0.1/32 -p udp -m udp --dport 1 -j DROP
COMMIT
*mangle
:WEAVE-IPSEC-IN - [0:0]
:WEAVE-IPSEC-OUT - [0:0]
-A WEAVE-IPSEC-IN -s 10.77.0.3/32 -d 10.77.0.1/32 -p esp -m esp --espspi 4294967295 -j WEAVE-IPSEC-IN-MARK
-A WEAVE-IPSEC-IN -s 10.77.0.2/32 -d 10.77.0.1/32 -p esp -m esp --espspi 256 -j WEAVE-IPSEC-IN-MARK
-A WEAVE-IPSEC-IN -s 10.77.0.2/32 -d 10.77.0.1/32 -p esp -m esp --espspi 256:300 -j WEAVE-IPSEC-IN-MARK
-A WEAVE-IPSEC-IN -d 10.77.0.1/32 -p esp -m esp --espspi 257 -j WEAVE-IPSEC-IN-MARK
-A WEAVE-IPSEC-OUT -s 10.77.0.1/32 -d 10.77.0.3/32 -p udp -m udp --dport 7001 -m policy --dir out --pol none -j WEAVE-IPSEC-OUT-MARK
COMMIT
)")
                                .value();
  CHECK(FindIpsecPaths(dump) == std::vector<IpsecPath>{{kPath.local, kPath.remote, 256, 0, 0}, kOtherPath});
  CHECK(FindIpsecPaths({}).empty());
}

TEST_CASE("Paths come and go without touching the other rules, and are restored with them", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : kBackends) {
    const PacketFilterWorld world;
    if (!PacketFilterWorld::Has(backend)) continue;
    const std::string ipt = "iptables-" + std::string(ToString(backend));
    PacketFilterWorld::Run(ipt + " -A INPUT -p udp --dport 6784 -j ACCEPT");
    FirewallBench bench(PacketFilterWorld::Filter(backend));

    // A list that comes before the rules waits for them: what another run left is not interrupted in between.
    std::optional<absl::Status> early;
    bench.keeper().SetIpsecPaths({kPath}, [&](absl::Status status) { early = status; });
    CHECK(FirewallState(backend).find("WEAVE") == std::string::npos);
    REQUIRE(bench.SetRulesAndWait(ExampleRules()).ok());
    CHECK((early && early->ok()));
    REQUIRE(bench.SetIpsecPathsAndWait({}).ok());
    const std::string without = FirewallState(backend);
    CHECK_THAT(without, !Catch::Contains("IPSEC"));

    REQUIRE(bench.SetIpsecPathsAndWait({kPath, kNewerPath, kOtherPath}).ok());
    const std::string with = FirewallState(backend);
    CHECK(PacketFilterWorld::Filter(backend).ListIpsecPaths().value() ==
          std::vector<IpsecPath>{kNewerPath, kPath, kOtherPath});
    CHECK_THAT(PacketFilterWorld::Run(ipt + " -S INPUT 1"), Catch::Contains("-A INPUT -j WEAVE-IPSEC-IN"));
    PacketFilterWorld::Run(ipt + " -t mangle -F && " + ipt + " -F OUTPUT");
    bench.WaitFor([&] { return bench.keeper().reapplied_count() >= 1 && FirewallState(backend) == with; });

    CHECK_FALSE(bench.SetIpsecPathsAndWait({{kPath.local, kPath.remote, 1, 6784, 6784}}).ok());
    REQUIRE(bench.SetRulesAndWait(ExampleRules()).ok());
    CHECK(FirewallState(backend) == with);
    REQUIRE(bench.SetIpsecPathsAndWait({}).ok());
    CHECK(FirewallState(backend) == without);
  }
}

// Without a policy marked packets have nowhere to go; so that no kernel with ESP is needed.
TEST_CASE("Not one clear packet of a pair passes while paths of others come and go", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  const IpAddress loopback = PathEnd("127.0.0.1");
  const IpsecPath guarded = {loopback, loopback, 0x100, 6784, 6784};
  for (FirewallBackend backend : kBackends) {
    const PacketFilterWorld world;
    if (!PacketFilterWorld::Has(backend)) continue;
    FirewallBench bench(PacketFilterWorld::Filter(backend));
    const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto passes = [&fd] {
      sockaddr_in to = {};
      to.sin_family = AF_INET;
      to.sin_port = htons(6784);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      return ::sendto(fd.get(), "x", 1, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 1;
    };
    CHECK(passes());
    REQUIRE(bench.SetRulesAndWait({}).ok());
    REQUIRE(bench.SetIpsecPathsAndWait({guarded}).ok());
    std::atomic<bool> stop = false;
    std::atomic<int> passed_count = 0, refused_count = 0;
    std::thread traffic([&] {
      while (!stop) ++(passes() ? passed_count : refused_count);
    });
    for (const std::vector<IpsecPath>& paths :
         std::vector<std::vector<IpsecPath>>{{kPath, guarded}, {guarded, kNewerPath, kOtherPath}, {guarded}}) {
      CHECK(bench.SetIpsecPathsAndWait(paths).ok());
    }
    stop = true;
    traffic.join();
    CHECK(passed_count == 0);
    CHECK(refused_count > 100);
    REQUIRE(bench.SetIpsecPathsAndWait({}).ok());
    (void)passes();  // an error that came back for an earlier one
    CHECK(passes());
  }
}

}  // namespace
}  // namespace weave
