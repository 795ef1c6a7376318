#include "host/firewall_rules.h"

#include "test/support/catch.h"

namespace weave {
namespace {

Cidr Net(const char* text) { return Cidr::Parse(text).value(); }
IpAddress Ip(const char* text) { return IpAddress::Parse(text).value(); }

std::string Render(const FirewallConfig& config) {
  const absl::StatusOr<RuleSet> rules = BuildRuleSet(config);
  REQUIRE(rules.ok());
  return RenderRuleSet(*rules);
}

// As long as nothing is exposed.
constexpr char kOtherTables[] = R"(*mangle
:WEAVE-CANARY - [0:0]
COMMIT
*nat
:WEAVE-CANARY - [0:0]
:WEAVE - [0:0]
-A POSTROUTING -j WEAVE
COMMIT
)";

TEST_CASE("The smallest rule set forwards for the bridge and has a canary in every table", "[host][firewall]") {
  CHECK(Render({}) == std::string(R"(*filter
:WEAVE-CANARY - [0:0]
:WEAVE-EXPOSE - [0:0]
-I FORWARD 1 -i weave -o weave -j ACCEPT
-I FORWARD 2 -o weave -j WEAVE-EXPOSE
-I FORWARD 3 -i weave ! -o weave -j ACCEPT
-I FORWARD 4 -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
)") + kOtherTables);
}

TEST_CASE("Docker's bridge is kept off the weave network and our ports, but may ask DNS", "[host][firewall]") {
  FirewallConfig config;
  config.bridge = "weave9";
  config.docker_bridge = "docker0";
  config.docker_bridge_address = Ip("172.17.0.1");
  config.port = 7000;
  config.control = FirewallControlPort{Ip("127.0.0.1"), 7784};
  CHECK(Render(config) == std::string(R"(*filter
:WEAVE-CANARY - [0:0]
:WEAVE-EXPOSE - [0:0]
-A INPUT -d 172.17.0.1/32 -i docker0 -p tcp -m tcp --dport 7000 -j DROP
-A INPUT -d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 7000 -j DROP
-A INPUT -d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 7001 -j DROP
-A INPUT -i docker0 -p udp -m udp --dport 53 -j ACCEPT
-A INPUT -i docker0 -p tcp -m tcp --dport 53 -j ACCEPT
-A INPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 7784 -m addrtype ! --src-type LOCAL -m conntrack ! --ctstate RELATED,ESTABLISHED -m comment --comment "Block non-local access to Weave Net control port" -j DROP
-I FORWARD 1 -i docker0 -o weave9 -j DROP
-I FORWARD 2 -i weave9 -o weave9 -j ACCEPT
-I FORWARD 3 -o weave9 -j WEAVE-EXPOSE
-I FORWARD 4 -i weave9 ! -o weave9 -j ACCEPT
-I FORWARD 5 -o weave9 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
)") + kOtherTables);
}

TEST_CASE("When Docker uses the weave bridge itself its traffic is not dropped", "[host][firewall]") {
  FirewallConfig config;
  config.docker_bridge = "weave";
  config.docker_bridge_address = Ip("10.32.0.1");
  CHECK_THAT(Render(config), !Catch::Contains("-i weave -o weave -j DROP"));
  CHECK_THAT(Render(config), Catch::Contains("--dport 6783 -j DROP"));
}

TEST_CASE("Exposed networks are let in and masqueraded, each once, without NAT where asked", "[host][firewall]") {
  FirewallConfig config;
  config.exposures = {{Net("10.32.0.5/12"), true}, {Net("10.2.1.7/24"), false}, {Net("10.32.0.9/12"), true}};
  const std::string text = Render(config);
  CHECK_THAT(text,
             Catch::Contains("-A WEAVE-EXPOSE -d 10.32.0.0/12 -j ACCEPT\n-A WEAVE-EXPOSE -d 10.2.1.0/24 -j ACCEPT\n"
                             "-I FORWARD 1"));
  CHECK_THAT(text, Catch::Contains(":WEAVE - [0:0]\n"
                                   "-A WEAVE -s 10.32.0.0/12 -d 224.0.0.0/4 -j RETURN\n"
                                   "-A WEAVE ! -s 10.32.0.0/12 -d 10.32.0.0/12 -j MASQUERADE\n"
                                   "-A WEAVE -s 10.32.0.0/12 ! -d 10.32.0.0/12 -j MASQUERADE\n"
                                   "-A POSTROUTING -j WEAVE\n"));
}

TEST_CASE("With a policy controller traffic is steered through its chains and dropped by default", "[host][firewall]") {
  FirewallConfig config;
  config.expect_npc = true;
  config.no_masq_local_set = "weaver-no-masq-local";
  config.exposures = {{Net("10.32.0.5/12"), true}};
  const std::string text = Render(config);
  CHECK_THAT(text, Catch::Contains(R"(:WEAVE-CANARY - [0:0]
:WEAVE-NPC - [0:0]
:WEAVE-NPC-EGRESS - [0:0]
-A INPUT -i weave -j WEAVE-NPC-EGRESS
-I FORWARD 1 -i weave -m comment --comment "NOTE: this must go before \'-j KUBE-FORWARD\'" -j WEAVE-NPC-EGRESS
-I FORWARD 2 -o weave -m comment --comment "NOTE: this must go before \'-j KUBE-FORWARD\'" -j WEAVE-NPC
-I FORWARD 3 -o weave -m state --state NEW -j NFLOG --nflog-group 86
-I FORWARD 4 -o weave -j DROP
-I FORWARD 5 -i weave ! -o weave -j ACCEPT
-I FORWARD 6 -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
)"));
  CHECK_THAT(text, !Catch::Contains("WEAVE-EXPOSE"));
  CHECK_THAT(text, Catch::Contains(":WEAVE - [0:0]\n-A WEAVE -m set --match-set weaver-no-masq-local dst -m comment "
                                   "--comment \"Prevent SNAT to locally running containers\" -j RETURN\n"));
}

TEST_CASE("The control port is guarded at the loopback address it listens on", "[host][firewall]") {
  FirewallConfig config;
  config.control = FirewallControlPort{Ip("127.0.0.5"), 6784};
  CHECK_THAT(Render(config), Catch::Contains("-d 127.0.0.5/32"));
  config.control = FirewallControlPort{Ip("0.0.0.0"), 6784};
  CHECK_THAT(Render(config), Catch::Contains("-d 127.0.0.1/32"));
}

TEST_CASE("A container's interface hears multicast from its own subnets only", "[host][firewall]") {
  const auto rules = BuildSandboxRuleSet("ethwe", {Net("10.32.0.5/12"), Net("10.2.0.5/24")});
  REQUIRE(rules.ok());
  CHECK(RenderRuleSet(*rules) == R"(*filter
-I INPUT 1 -s 10.32.0.0/12 -d 224.0.0.0/4 -i ethwe -j ACCEPT
-I INPUT 2 -s 10.2.0.0/24 -d 224.0.0.0/4 -i ethwe -j ACCEPT
-A INPUT -d 224.0.0.0/4 -i ethwe -j DROP
COMMIT
)");
  CHECK(RenderRuleSet(BuildSandboxRuleSet("ethwe", {}).value()).empty());
}

TEST_CASE("What cannot be a rule is refused by name", "[host][firewall]") {
  const auto message = [](const FirewallConfig& config) {
    return std::string(BuildRuleSet(config).status().message());
  };
  FirewallConfig config;
  for (const char* name : {"", "weave\n-F", "a b", "-i", "eth+", "sixteen-letters!", "a234567890123456", "a\"b"}) {
    config.bridge = name;
    CHECK_THAT(message(config), Catch::Contains("packet filter: bridge \""));
  }
  config = {};
  config.docker_bridge = "docker0";
  config.docker_bridge_address = Ip("fd00::1");
  CHECK_THAT(message(config), Catch::Contains("fd00::1 is not IPv4"));
  config = {};
  config.port = 65535;
  CHECK_THAT(message(config), Catch::Contains("port 65535 is not in 1 to 65534"));
  config = {};
  config.control = FirewallControlPort{Ip("127.0.0.1"), 0};
  CHECK_THAT(message(config), Catch::Contains("control port 0"));
  config = {};
  config.exposures = {{Net("0.0.0.0/0"), true}};
  CHECK_THAT(message(config), Catch::Contains("0.0.0.0/0"));
  CHECK(absl::IsInvalidArgument(BuildSandboxRuleSet("eth 0", {}).status()));
  CHECK(absl::IsInvalidArgument(BuildSandboxRuleSet("eth0", {Net("fd00::1/64")}).status()));
}

TEST_CASE("Chains of ours are known by name", "[host][firewall]") {
  for (const char* name :
       {"WEAVE", "WEAVE-EXPOSE", "WEAVE-CANARY", "WEAVE-NPC", "WEAVE-NPC-INGRESS", "WEAVE-IPSEC-IN"}) {
    CHECK(IsWeaveChain(name));
  }
  for (const char* name : {"", "WEAVER", "WEAVE-MINE", "weave", "KUBE-WEAVE"}) CHECK_FALSE(IsWeaveChain(name));
}

}  // namespace
}  // namespace weave
