#include "host/packet_filter.h"

#include <fcntl.h>
#include <sys/file.h>

#include <thread>

#include "io/fd.h"
#include "test/host/packet_filter_world.h"

namespace weave {
namespace {

using World = PacketFilterWorld;

const char kForeign[] =
    "IPT=iptables-%; $IPT -N DOCKER-USER; $IPT -A FORWARD -j DOCKER-USER; $IPT -P FORWARD DROP;"
    "$IPT -A INPUT -i lo -m comment --comment 'mine, not weaves' -j ACCEPT;"
    "$IPT -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE";

void AddForeignRules(FirewallBackend backend) {
  std::string command = kForeign;
  command.replace(command.find('%'), 1, std::string(ToString(backend)));
  World::Run(command);
}

std::vector<FirewallConfig> Configs() {
  std::vector<FirewallConfig> configs(4);
  configs[1].docker_bridge = "docker0";
  configs[1].docker_bridge_address = IpAddress::Parse("172.17.0.1").value();
  configs[1].control = FirewallControlPort{IpAddress::Parse("127.0.0.1").value(), 7784};
  configs[1].port = 7000;
  configs[2].exposures = {{Cidr::Parse("10.32.0.1/12").value(), true}, {Cidr::Parse("10.2.1.1/24").value(), false}};
  configs[2].bridge = "weave2";
  configs[3].expect_npc = true;
  configs[3].exposures = configs[2].exposures;
  return configs;
}

TEST_CASE("Applied rules are all there, among those of others, and applying again changes nothing", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : kBackends) {
    for (const FirewallConfig& config : Configs()) {
      const World world;
      if (!World::Has(backend)) break;
      INFO(ToString(backend) << ", bridge " << config.bridge << ", npc " << config.expect_npc);
      AddForeignRules(backend);
      const PacketFilter filter = World::Filter(backend);
      const RuleSet rules = BuildRuleSet(config).value();

      CHECK_FALSE(filter.Verify(rules).value().Matches());
      const auto applied = filter.Apply(rules);
      INFO(applied.status().ToString());
      REQUIRE(applied.ok());
      CHECK_FALSE(applied->missing.empty());
      const std::string once = World::Rules(backend);
      for (const char* text : {"-A FORWARD -j DOCKER-USER", ":FORWARD DROP", "mine, not weaves",
                               "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"}) {
        CHECK_THAT(once, Catch::Contains(text));
      }
      CHECK(filter.Verify(rules).value().Summary() == "nothing differs");
      CHECK(filter.Apply(rules).value().Matches());
      CHECK(World::Rules(backend) == once);
    }
  }
}

TEST_CASE("After removal the packet filter reads as before, whatever was configured", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : kBackends) {
    const World world;
    if (!World::Has(backend)) continue;
    AddForeignRules(backend);
    const PacketFilter filter = World::Filter(backend);
    // Tables that were used stay loaded, empty.
    World::Run("iptables-" + std::string(ToString(backend)) + " -t mangle -S");
    REQUIRE(filter.Remove({}).ok());
    const std::string before = World::Run("iptables-" + std::string(ToString(backend)) + "-save | grep ^-A");
    for (const FirewallConfig& config : Configs()) {
      INFO(ToString(backend) << ", bridge " << config.bridge << ", npc " << config.expect_npc);
      REQUIRE(filter.Apply(BuildRuleSet(config).value()).ok());
      const absl::Status removed = filter.Remove({config.bridge, "", 6783});
      INFO(removed.ToString());
      CHECK(removed.ok());
      CHECK(World::Run("iptables-" + std::string(ToString(backend)) + "-save | grep ^-A") == before);
      CHECK_THAT(World::Rules(backend), !Catch::Contains("WEAVE"));
      CHECK(filter.Remove({config.bridge, "", 6783}).ok());
    }
  }
}

TEST_CASE("Another configuration replaces the rules of the one before", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : kBackends) {
    const World world;
    if (!World::Has(backend)) continue;
    const PacketFilter filter = World::Filter(backend);
    for (const FirewallConfig& config : Configs()) {
      if (config.bridge != "weave") continue;
      REQUIRE(filter.Apply(BuildRuleSet(config).value()).ok());
    }
    REQUIRE(filter.Apply(ExampleRules()).ok());
    const std::string changed = World::Run("iptables-" + std::string(ToString(backend)) + "-save | grep ^-A");
    REQUIRE(filter.Remove({}).ok());
    World::Run("iptables-" + std::string(ToString(backend)) + " -X");  // the policy controller's chains are its own
    REQUIRE(filter.Apply(ExampleRules()).ok());
    CHECK(changed == World::Run("iptables-" + std::string(ToString(backend)) + "-save | grep ^-A"));
  }
}

TEST_CASE("Rules of 2.8 with its spelling are taken over, not doubled", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : kBackends) {
    const World world;
    if (!World::Has(backend)) continue;
    const std::string ipt = "iptables-" + std::string(ToString(backend));
    World::Run(ipt +
               " -A INPUT -p tcp --dst 127.0.0.1 --dport 6784 -m addrtype ! --src-type LOCAL -m conntrack ! --ctstate "
               "RELATED,ESTABLISHED -m comment --comment 'Block non-local access to Weave Net control port' -j DROP");
    World::Run(ipt + " -A INPUT -i docker0 -p tcp --dst 172.17.0.1 --dport 6783 -j DROP");
    World::Run(ipt + " -t nat -N WEAVE && " + ipt + " -t nat -A POSTROUTING -j WEAVE");
    const FirewallDiff diff = World::Filter(backend).Apply(ExampleRules()).value();
    CHECK(diff.stale.empty());
    CHECK(World::Run(ipt + "-save | grep -c -e 'tcp --dport 6784' -e 'tcp --dport 6783' -e '-j WEAVE$'") == "3\n");
  }
}

TEST_CASE("A rule that refuses all forwarding is found, its narrower relatives are not", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : kBackends) {
    const World world;
    if (!World::Has(backend)) continue;
    const std::string ipt = "iptables-" + std::string(ToString(backend));
    const PacketFilter filter = World::Filter(backend);
    CHECK_FALSE(filter.RejectsForwarding().value());
    World::Run(ipt + " -A FORWARD -s 192.0.2.0/24 -j REJECT --reject-with icmp-host-prohibited");
    World::Run(ipt + " -A FORWARD -j REJECT --reject-with icmp-port-unreachable");
    World::Run(ipt + " -A INPUT " + kForwardReject);
    CHECK_FALSE(filter.RejectsForwarding().value());
    World::Run(ipt + " -A FORWARD " + kForwardReject);
    REQUIRE(filter.Apply(ExampleRules()).ok());
    CHECK(filter.RejectsForwarding().value());
  }
}

TEST_CASE("Reset cleans both back ends", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  const World world;
  if (!World::Has(FirewallBackend::kNft) || !World::Has(FirewallBackend::kLegacy)) return;
  for (FirewallBackend backend : kBackends) REQUIRE(World::Filter(backend).Apply(ExampleRules()).ok());
  const PacketFilter nft = World::Filter(FirewallBackend::kNft);
  CHECK(nft.RemoveFromOther({}).ok());
  CHECK_THAT(World::Rules(FirewallBackend::kLegacy), !Catch::Contains("WEAVE"));
  CHECK(nft.Verify(ExampleRules()).value().Matches());
  REQUIRE(World::Filter(FirewallBackend::kLegacy).Apply(ExampleRules()).ok());
  CHECK(PacketFilter::RemoveFromAll({}).ok());
  for (FirewallBackend backend : kBackends) CHECK_THAT(World::Rules(backend), !Catch::Contains("-A "));
}

TEST_CASE("The lock of another program is waited for, and named when it stays taken", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  const World world;
  if (!World::Has(FirewallBackend::kLegacy)) return;
  Fd lock(::open("/run/xtables.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(lock.valid());
  REQUIRE(::flock(lock.get(), LOCK_EX) == 0);

  PacketFilterOptions options;
  options.backend = FirewallBackend::kLegacy;
  options.lock_wait_seconds = 1;
  const absl::Status refused = PacketFilter::Detect(options).value().Apply(ExampleRules()).status();
  CHECK(absl::IsUnavailable(refused));
  CHECK_THAT(std::string(refused.message()), Catch::Contains("xtables lock"));

  std::thread holder([&] {
    absl::SleepFor(absl::Milliseconds(300));
    lock.reset();
  });
  const absl::Status waited = World::Filter(FirewallBackend::kLegacy).Apply(ExampleRules()).status();
  holder.join();
  INFO(waited.ToString());
  CHECK(waited.ok());
}

TEST_CASE("A table with rules only nft can show is reported by name", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  const World world;
  if (!World::Has(FirewallBackend::kNft)) return;
  World::Run(
      "nft add table ip nat && nft 'add chain ip nat POSTROUTING { type nat hook postrouting priority 100; }' && "
      "nft 'add rule ip nat POSTROUTING ip saddr { 192.0.2.1, 192.0.2.2 } masquerade'");
  const absl::Status status = World::Filter(FirewallBackend::kNft).Apply(ExampleRules()).status();
  INFO(status.ToString());
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains("table nat"));
}

TEST_CASE("Multicast rules come and go in a container's namespace and nowhere else", "[host][root]") {
  if (!MayMakeNamespaces()) return;
  for (FirewallBackend backend : kBackends) {
    const World container;
    if (!World::Has(backend)) continue;
    const Fd netns(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    const World host;
    const PacketFilter filter = World::Filter(backend);
    const auto inside = [&] {
      return World::Run("nsenter --net=/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(netns.get()) +
                        " iptables-" + std::string(ToString(backend)) + " -S INPUT");
    };
    const auto net = [](const char* text) { return Cidr::Parse(text).value(); };
    REQUIRE(filter.ApplyInSandbox(netns.get(), "ethwe", {net("10.32.0.5/12")}).ok());
    REQUIRE(filter.ApplyInSandbox(netns.get(), "ethwe", {net("10.32.0.5/12"), net("10.2.0.5/24")}).ok());
    CHECK(inside() ==
          "-P INPUT ACCEPT\n-A INPUT -s 10.32.0.0/12 -d 224.0.0.0/4 -i ethwe -j ACCEPT\n"
          "-A INPUT -s 10.2.0.0/24 -d 224.0.0.0/4 -i ethwe -j ACCEPT\n"
          "-A INPUT -d 224.0.0.0/4 -i ethwe -j DROP\n");
    CHECK_THAT(World::Rules(backend), !Catch::Contains("224.0.0.0"));
    REQUIRE(filter.RemoveInSandbox(netns.get(), "ethwe").ok());
    REQUIRE(filter.RemoveInSandbox(netns.get(), "ethwe").ok());
    CHECK(inside() == "-P INPUT ACCEPT\n");
    CHECK_FALSE(filter.ApplyInSandbox(netns.get(), "eth we", {}).ok());
  }
}

}  // namespace
}  // namespace weave
