#include "host/firewall_diff.h"

#include "absl/strings/str_cat.h"
#include "test/support/catch.h"

namespace weave {
namespace {

FirewallDump Dump(const std::string& text) {
  absl::StatusOr<FirewallDump> dump = ParseFirewallDump(text);
  REQUIRE(dump.ok());
  return *std::move(dump);
}

FirewallDiff Diff(const FirewallDump& dump, const FirewallConfig& config) {
  const RuleSet rules = BuildRuleSet(config).value();
  return DiffFirewall(dump, rules, FindOurs(dump, rules.owner, OwnedScope::kRuleSet));
}

FirewallDiff DiffToNothing(const FirewallDump& dump, const FirewallOwner& owner = {}) {
  return DiffFirewall(dump, RuleSet{}, FindOurs(dump, owner, OwnedScope::kEverything));
}

// Filter with the given rules; mangle and nat as they should be for the default configuration.
std::string Filter(const std::string& rules,
                   const std::string& chains = ":WEAVE-CANARY - [0:0]\n:WEAVE-EXPOSE - [0:0]\n") {
  return absl::StrCat("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n", chains, rules,
                      "COMMIT\n*mangle\n:WEAVE-CANARY - [0:0]\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n",
                      ":WEAVE - [0:0]\n:WEAVE-CANARY - [0:0]\n-A POSTROUTING -j WEAVE\nCOMMIT\n");
}

const std::string kForward =
    "-A FORWARD -i weave -o weave -j ACCEPT\n-A FORWARD -o weave -j WEAVE-EXPOSE\n"
    "-A FORWARD -i weave ! -o weave -j ACCEPT\n"
    "-A FORWARD -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";

TEST_CASE("Rules in place need no change, whatever others have", "[host][firewall]") {
  const FirewallDiff diff = Diff(Dump(Filter(kForward + "-A FORWARD -j DROP\n-A INPUT -i eth0 -j DROP\n")), {});
  CHECK(diff.restore_text == "");
  CHECK(diff.Summary() == "nothing differs");
}

TEST_CASE("On an empty machine the difference is the whole set", "[host][firewall]") {
  CHECK(Diff({}, {}).restore_text == RenderRuleSet(BuildRuleSet({}).value()));
}

TEST_CASE("A deleted canary alone is put back alone", "[host][firewall]") {
  const FirewallDiff diff = Diff(Dump(Filter(kForward, ":WEAVE-EXPOSE - [0:0]\n")), {});
  CHECK(diff.missing == std::vector<std::string>{"filter WEAVE-CANARY"});
  CHECK(diff.restore_text == "*filter\n:WEAVE-CANARY - [0:0]\nCOMMIT\n");
}

TEST_CASE("When one of the forwarding rules is gone all are put to the top in order", "[host][firewall]") {
  const FirewallDiff diff = Diff(Dump(Filter("-A FORWARD -j MARK --set-xmark 0x1/0xffffffff\n"
                                             "-A FORWARD -o weave -j WEAVE-EXPOSE\n"
                                             "-A FORWARD -i weave ! -o weave -j ACCEPT\n")),
                                 {});
  CHECK(diff.missing ==
        std::vector<std::string>{"filter FORWARD -i weave -o weave -j ACCEPT",
                                 "filter FORWARD -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"});
  CHECK(diff.restore_text ==
        "*filter\n-D FORWARD -o weave -j WEAVE-EXPOSE\n-D FORWARD -i weave ! -o weave -j ACCEPT\n"
        "-I FORWARD 1 -i weave -o weave -j ACCEPT\n-I FORWARD 2 -o weave -j WEAVE-EXPOSE\n"
        "-I FORWARD 3 -i weave ! -o weave -j ACCEPT\n"
        "-I FORWARD 4 -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n");
}

TEST_CASE("A rule of others above ours is a displacement and nothing else", "[host][firewall]") {
  const FirewallDiff diff = Diff(Dump(Filter("-A FORWARD -j DOCKER-USER\n" + kForward,
                                             ""
                                             ":DOCKER-USER - [0:0]\n"
                                             ":WEAVE-CANARY - [0:0]\n:WEAVE-EXPOSE - [0:0]\n")),
                                 {});
  CHECK(diff.OnlyDisplaced());
  CHECK(diff.displaced == std::vector<std::string>{"filter FORWARD"});
  CHECK_THAT(diff.restore_text, !Catch::Contains("DOCKER-USER"));
}

TEST_CASE("Second copies of our rules go", "[host][firewall]") {
  const FirewallDiff diff = Diff(Dump(Filter(kForward + kForward)), {});
  CHECK_FALSE(diff.Matches());
  CHECK(diff.missing.empty());
  const std::string nat = "-A POSTROUTING -j WEAVE\n-A POSTROUTING -j WEAVE\n";
  const FirewallDiff twice = Diff(Dump(Filter(kForward) + "*nat\n" + nat + "COMMIT\n"), {});
  CHECK(twice.restore_text == "*nat\n-D POSTROUTING -j WEAVE\n-D POSTROUTING -j WEAVE\nCOMMIT\n");
}

TEST_CASE("Only a chain whose rules differ is written again", "[host][firewall]") {
  FirewallConfig config;
  config.exposures = {{Cidr::Parse("10.32.0.1/12").value(), false}};
  const FirewallDiff diff = Diff(Dump(Filter(kForward + "-A WEAVE-EXPOSE -d 10.2.0.0/16 -j ACCEPT\n")), config);
  CHECK(diff.missing == std::vector<std::string>{"filter WEAVE-EXPOSE -d 10.32.0.0/12 -j ACCEPT"});
  CHECK(diff.stale == std::vector<std::string>{"filter WEAVE-EXPOSE -d 10.2.0.0/16 -j ACCEPT"});
  CHECK(diff.restore_text == "*filter\n:WEAVE-EXPOSE - [0:0]\n-A WEAVE-EXPOSE -d 10.32.0.0/12 -j ACCEPT\nCOMMIT\n");
}

const std::string kDockerInput =
    "-A INPUT -d 172.17.0.1/32 -i docker0 -p tcp -m tcp --dport 7000 -j DROP\n"
    "-A INPUT -d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 7000 -j DROP\n"
    "-A INPUT -d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 7001 -j DROP\n"
    "-A INPUT -i docker0 -p udp -m udp --dport 53 -j ACCEPT\n"
    "-A INPUT -i docker0 -p tcp -m tcp --dport 53 -j ACCEPT\n";
const std::string kControl =
    "-A INPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 9999 -m addrtype ! --src-type LOCAL -m conntrack ! --ctstate "
    "RELATED,ESTABLISHED -m comment --comment \"Block non-local access to Weave Net control port\" -j DROP\n";

TEST_CASE("Rules of an earlier configuration are taken out", "[host][firewall]") {
  const FirewallDiff diff =
      Diff(Dump(Filter(kDockerInput + kControl + "-A FORWARD -i docker0 -o weave -j DROP\n" + kForward)), {});
  CHECK(diff.missing.empty());
  CHECK(diff.displaced.empty());
  CHECK(diff.stale.size() == 7);
}

TEST_CASE("Switching the policy controller off leaves it its chains", "[host][firewall]") {
  FirewallConfig npc;
  npc.expect_npc = true;
  const std::string on = RenderRuleSet(BuildRuleSet(npc).value());
  CHECK(on.find("WEAVE-NPC") != std::string::npos);
  const FirewallDump dump = Dump(Filter(
      "-A INPUT -i weave -j WEAVE-NPC-EGRESS\n"
      "-A FORWARD -i weave -m comment --comment \"NOTE: this must go before \\'-j KUBE-FORWARD\\'\" -j "
      "WEAVE-NPC-EGRESS\n"
      "-A FORWARD -o weave -m comment --comment \"NOTE: this must go before \\'-j KUBE-FORWARD\\'\" -j WEAVE-NPC\n"
      "-A FORWARD -o weave -m state --state NEW -j NFLOG --nflog-group 86\n-A FORWARD -o weave -j DROP\n"
      "-A FORWARD -i weave ! -o weave -j ACCEPT\n"
      "-A FORWARD -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A WEAVE-NPC -j ACCEPT\n",
      ":WEAVE-CANARY - [0:0]\n:WEAVE-NPC - [0:0]\n:WEAVE-NPC-EGRESS - [0:0]\n"));
  CHECK(Diff(dump, npc).restore_text == "");
  const FirewallDiff off = Diff(dump, {});
  CHECK(off.stale.size() == 5);
  CHECK_THAT(off.restore_text, !Catch::Contains("-X WEAVE-NPC"));
  CHECK_THAT(off.restore_text, Catch::Contains("-D FORWARD -o weave -j DROP"));
}

TEST_CASE("A chain of ours to which others jump is emptied, not deleted", "[host][firewall]") {
  FirewallConfig npc;
  npc.expect_npc = true;
  const FirewallDiff diff =
      Diff(Dump(Filter(kForward + "-A OUTPUT -j WEAVE-EXPOSE\n-A WEAVE-EXPOSE -j ACCEPT\n")), npc);
  CHECK_THAT(diff.restore_text, Catch::Contains("-F WEAVE-EXPOSE\n"));
  CHECK_THAT(diff.restore_text, !Catch::Contains("-X WEAVE-EXPOSE\n"));
}

TEST_CASE("Removal finds everything of ours whatever the ports and bridges were, and nothing else",
          "[host][firewall]") {
  const std::string foreign =
      "-A INPUT -i docker1 -p udp -m udp --dport 53 -j ACCEPT\n"
      "-A INPUT -d 172.18.0.1/32 -i docker1 -p tcp -m tcp --dport 8080 -j DROP\n"
      "-A FORWARD -i eth0 -o weave -j DROP\n-A FORWARD -o weave -j DROP\n-A FORWARD -j WEAVE-MINE\n"
      "-A OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 6784 -j DROP\n";
  const std::string other_bridge =
      "-A FORWARD -i wv7 -o wv7 -j ACCEPT\n-A FORWARD -o wv7 -j WEAVE-EXPOSE\n-A FORWARD -i docker0 -o wv7 -j DROP\n";
  const FirewallDump dump =
      Dump(Filter(kDockerInput + kControl + kControl + foreign + other_bridge +
                      "-A OUTPUT ! -p esp -m policy --dir out --pol none -m mark --mark 0x20000/0x20000 -j DROP\n"
                      "-A INPUT -j WEAVE-IPSEC-IN\n-A MINE -s 10.0.0.1/32 -j WEAVE-EXPOSE\n",
                  ":MINE - [0:0]\n:WEAVE-MINE - [0:0]\n:WEAVE-EXPOSE - [0:0]\n:WEAVE-CANARY - [0:0]\n"
                  ":WEAVE-IPSEC-IN - [0:0]\n:WEAVE-NPC-DEFAULT - [0:0]\n"));
  const FirewallDiff diff = DiffToNothing(dump);
  CHECK(diff.missing.empty());
  for (const char* line : {"docker1", "eth0", "-o weave -j DROP", "WEAVE-MINE", "-D OUTPUT -d"}) {
    CHECK_THAT(diff.restore_text, !Catch::Contains(line));
  }
  // 5 + 2 + 3 rules, IPsec's two, the jump from MINE, the NAT jump; then 7 chains.
  CHECK(diff.stale.size() == 14 + 7);
  for (const char* chain : {"WEAVE-EXPOSE", "WEAVE-CANARY", "WEAVE-IPSEC-IN", "WEAVE-NPC-DEFAULT", "WEAVE"}) {
    CHECK_THAT(diff.restore_text, Catch::Contains(absl::StrCat("-X ", chain, "\n")));
  }
}

TEST_CASE("What is left of a half-removed group is found by the names we are told", "[host][firewall]") {
  const std::string rest =
      "-A INPUT -d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 7001 -j DROP\n"
      "-A INPUT -i docker0 -p udp -m udp --dport 53 -j ACCEPT\n";
  const FirewallDump dump = Dump(absl::StrCat("*filter\n:INPUT ACCEPT [0:0]\n", rest, "COMMIT\n"));
  CHECK(DiffToNothing(dump).Matches());
  CHECK(DiffToNothing(dump, {"weave", "docker0", 7000}).stale.size() == 2);
}

TEST_CASE("In a container only the multicast rules of the interface are ours", "[host][firewall]") {
  const FirewallDump dump = Dump(
      "*filter\n:INPUT ACCEPT [0:0]\n"
      "-A INPUT -s 10.2.0.0/24 -d 224.0.0.0/4 -i ethwe -j ACCEPT\n-A INPUT -d 224.0.0.0/4 -i eth0 -j DROP\n"
      "-A INPUT -d 224.0.0.0/4 -i ethwe -j DROP\n-A INPUT -d 224.0.0.0/4 -i ethwe -p udp -j DROP\nCOMMIT\n");
  const RuleSet rules = BuildSandboxRuleSet("ethwe", {Cidr::Parse("10.32.0.1/12").value()}).value();
  CHECK(DiffFirewall(dump, rules, FindOursInSandbox(dump, "ethwe")).restore_text ==
        "*filter\n-D INPUT -s 10.2.0.0/24 -d 224.0.0.0/4 -i ethwe -j ACCEPT\n"
        "-I INPUT 1 -s 10.32.0.0/12 -d 224.0.0.0/4 -i ethwe -j ACCEPT\nCOMMIT\n");
}

}  // namespace
}  // namespace weave
