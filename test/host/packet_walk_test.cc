// What the packet filter does to a packet, told from its rules: those of iptables and, translated, those of nft.
#include "host/packet_walk.h"

#include "host/nft_ruleset.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Fate = WalkResult::Fate;

WalkedPacket Tcp(const std::string& source = "10.0.0.2", std::uint16_t port = 6783) {
  WalkedPacket packet;
  packet.in_interface = "eth0";
  packet.source = IpAddress::Parse(source).value();
  packet.destination = IpAddress::Parse("10.0.0.1").value();
  packet.protocol = "tcp";
  packet.port = port;
  packet.to_us = true;
  return packet;
}

// `rules`: lines of iptables-save, chains first.
WalkResult Walk(const std::string& rules, const WalkedPacket& packet = Tcp()) {
  return WalkFilter(ParseFirewallDump("*filter\n" + rules + "COMMIT\n").value(), "INPUT", packet);
}

// Of the only base chain.
WalkResult WalkNft(const std::string& rules, const WalkedPacket& packet = Tcp()) {
  const std::vector<NftTable> tables =
      ParseNftRuleset("table inet guard {\n\tchain in {\n\t\ttype filter hook input priority filter; policy drop;\n" +
                      rules + "\t}\n}\n");
  REQUIRE(tables.size() == 1);
  REQUIRE(tables[0].bases.size() == 1);
  CHECK(tables[0].name == "inet guard");
  CHECK(tables[0].bases[0].hook == "input");
  WalkResult result = WalkFilter(tables[0].dump, "in", packet);
  const auto spelled = tables[0].spelling.find(result.rule);
  if (spelled != tables[0].spelling.end()) result.rule = spelled->second;
  return result;
}

}  // namespace

TEST_CASE("The first rule that matches decides, then the policy", "[host][firewall]") {
  CHECK(Walk("").fate == Fate::kAccepted);  // no such chain
  CHECK(Walk(":INPUT ACCEPT [0:0]\n").fate == Fate::kAccepted);
  const WalkResult policy = Walk(":INPUT DROP [12:3]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n");
  CHECK(policy.fate == Fate::kDropped);
  CHECK(policy.chain == "INPUT");
  CHECK(policy.rule.empty());
  CHECK(Walk(":INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 6783 -j ACCEPT\n").fate == Fate::kAccepted);
  const WalkResult rule = Walk(
      ":INPUT ACCEPT [0:0]\n-A INPUT -p udp -j DROP\n-A INPUT -p tcp -m tcp --dport 6000:7000 -j REJECT --reject-with "
      "icmp-port-unreachable\n");
  CHECK(rule.fate == Fate::kDropped);
  CHECK(rule.rule == "-p tcp -m tcp --dport 6000:7000 -j REJECT --reject-with icmp-port-unreachable");
}

TEST_CASE("Interfaces, sources, lists of ports and states are conditions", "[host][firewall]") {
  const std::string drop = ":INPUT DROP [0:0]\n";
  const auto accepts = [&](const std::string& conditions) {
    return Walk(drop + "-A INPUT " + conditions + " -j ACCEPT\n").fate == Fate::kAccepted;
  };
  CHECK(accepts("-i eth0"));
  CHECK(accepts("-i eth+"));
  CHECK(accepts("! -i lo"));
  CHECK_FALSE(accepts("! -i eth0"));
  CHECK(accepts("-s 10.0.0.0/24"));
  CHECK_FALSE(accepts("-s 10.0.1.0/24"));
  CHECK(accepts("-d 10.0.0.1/32"));
  CHECK_FALSE(accepts("! -d 10.0.0.0/8"));
  CHECK(accepts("-p tcp -m multiport --dports 22,6783"));
  CHECK_FALSE(accepts("-p tcp -m multiport --dports 22,80:90"));
  CHECK(accepts("-m conntrack --ctstate NEW,ESTABLISHED"));
  CHECK_FALSE(accepts("-m conntrack --ctstate RELATED,ESTABLISHED"));
  CHECK(accepts("-m comment --comment \"a b\""));
  CHECK(accepts("-m addrtype --dst-type LOCAL"));
  CHECK_FALSE(accepts("-m addrtype --dst-type MULTICAST"));
  CHECK_FALSE(accepts("-m addrtype --src-type LOCAL"));
  CHECK(accepts("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW"));
  CHECK_FALSE(accepts("-p icmp -m icmp --icmp-type 8"));
  CHECK_FALSE(accepts("-f"));
}

TEST_CASE("Chains are followed, and left where they say so", "[host][firewall]") {
  const std::string rules =
      ":INPUT DROP [0:0]\n:ours - [0:0]\n:gate - [0:0]\n-A INPUT -j ours\n-A INPUT -j gate\n"
      "-A ours -p tcp -j RETURN\n-A ours -j ACCEPT\n-A gate -p tcp -m tcp --dport 6783 -j DROP\n";
  CHECK(Walk(rules).fate == Fate::kDropped);
  CHECK(Walk(rules).chain == "gate");
  WalkedPacket udp = Tcp();
  udp.protocol = "udp";
  CHECK(Walk(rules, udp).fate == Fate::kAccepted);
  // A circle, which no kernel has, ends.
  CHECK(Walk(":INPUT DROP [0:0]\n:a - [0:0]\n-A INPUT -j a\n-A a -j a\n").fate == Fate::kDropped);
}

TEST_CASE("Chains that call each other without end of patience leave the packet unclear", "[host][firewall]") {
  std::string chains = ":INPUT DROP [0:0]\n";
  std::string rules = "-A INPUT -j c0\n";
  for (int i = 0; i < 60; ++i) {
    chains += ":c" + std::to_string(i) + " - [0:0]\n";
    for (int twice = 0; twice < 2; ++twice)
      rules += "-A c" + std::to_string(i) + " -j c" + std::to_string(i + 1) + "\n";
  }
  CHECK(Walk(chains + ":c60 - [0:0]\n" + rules).fate == Fate::kUnclear);
}

TEST_CASE("The rules of ufw and of firewalld are judged without a doubt", "[host][firewall]") {
  const std::string ufw =
      ":INPUT DROP [0:0]\n:ufw-before-input - [0:0]\n:ufw-not-local - [0:0]\n:ufw-user-input - [0:0]\n"
      "-A INPUT -j ufw-before-input\n"
      "-A ufw-before-input -i lo -j ACCEPT\n"
      "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
      "-A ufw-before-input -m conntrack --ctstate INVALID -j DROP\n"
      "-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"
      "-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT\n"
      "-A ufw-before-input -j ufw-not-local\n"
      "-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT\n"
      "-A ufw-before-input -j ufw-user-input\n"
      "-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n"
      "-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN\n"
      "-A ufw-not-local -j DROP\n"
      "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT\n";
  CHECK(Walk(ufw).fate == Fate::kDropped);
  CHECK(Walk(ufw).rule.empty());
  CHECK(Walk(ufw + "-A ufw-user-input -p tcp -m tcp --dport 6783 -j ACCEPT\n").fate == Fate::kAccepted);
  const std::string firewalld =
      "\t\tct state { established, related } accept\n\t\tct status dnat accept\n\t\tiifname \"lo\" accept\n"
      "\t\tct state invalid log prefix \"STATE_INVALID_DROP: \" level warn drop\n\t\tip6 nexthdr ipv6-icmp accept\n"
      "\t\tmeta l4proto { icmp, ipv6-icmp } accept\n\t\ticmp type echo-request accept\n"
      "\t\tmeta nfproto ipv6 udp dport 546 accept\n\t\tjump zones\n";
  const std::string rejects = "\t\treject with icmpx admin-prohibited\n";
  CHECK(WalkNft(firewalld + rejects).fate == Fate::kDropped);
  CHECK(WalkNft(firewalld + "\t\tmeta nfproto ipv4 tcp dport 6783 accept\n" + rejects).fate == Fate::kAccepted);
}

TEST_CASE("What cannot be judged makes a drop unclear, and drops nothing by itself", "[host][firewall]") {
  CHECK(Walk(":INPUT DROP [0:0]\n-A INPUT -m set --match-set good src -j ACCEPT\n").fate == Fate::kUnclear);
  CHECK(Walk(":INPUT DROP [0:0]\n:x - [0:0]\n-A INPUT -m limit --limit 5/sec -j x\n-A x -j ACCEPT\n").fate ==
        Fate::kUnclear);
  CHECK(Walk(":INPUT ACCEPT [0:0]\n-A INPUT -m mark ! --mark 0x20000/0x20000 -j DROP\n").fate == Fate::kAccepted);
  WalkedPacket unknown = Tcp();
  unknown.source.reset();
  CHECK(Walk(":INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/24 -j ACCEPT\n", unknown).fate == Fate::kUnclear);
}

TEST_CASE("Rules of nft are judged alike, and told as nft prints them", "[host][firewall]") {
  CHECK(WalkNft("").fate == Fate::kDropped);
  CHECK(WalkNft("\t\tct state established,related accept\n\t\tiifname \"lo\" accept\n\t\ttcp dport 22 accept\n").fate ==
        Fate::kDropped);
  CHECK(WalkNft("\t\ttcp dport { 22, 6780-6790 } accept comment \"weave is in\"\n").fate == Fate::kAccepted);
  CHECK(WalkNft("\t\tip saddr 10.0.0.0/24 counter accept\n").fate == Fate::kAccepted);
  CHECK(WalkNft("\t\tip saddr != 10.0.0.2 accept\n").fate == Fate::kDropped);
  CHECK(WalkNft("\t\tip daddr 10.0.0.1 accept\n").fate == Fate::kAccepted);
  CHECK(WalkNft("\t\tmeta l4proto udp accept\n").fate == Fate::kDropped);
  CHECK(WalkNft("\t\tct state vmap { invalid : drop, established : accept }\n").fate == Fate::kDropped);
  CHECK(WalkNft("\t\tct state vmap { new : accept }\n").fate == Fate::kUnclear);
  CHECK(WalkNft("\t\tip saddr @friends accept\n").fate == Fate::kUnclear);
  CHECK(WalkNft("\t\ttcp dport vmap { 22 : accept, 6783 : jump x }\n").fate == Fate::kUnclear);
  const WalkResult rejected = WalkNft("\t\ttcp dport 6783 reject with tcp reset\n\t\taccept\n");
  CHECK(rejected.fate == Fate::kDropped);
  CHECK(rejected.rule == "tcp dport 6783 reject with tcp reset");
}

TEST_CASE("Tables of iptables and of other families, sets and maps are no part of nft's judgement",
          "[host][firewall]") {
  const std::vector<NftTable> tables = ParseNftRuleset(
      "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"
      "table bridge b {\n\tchain c {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n"
      "table inet f {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1,\n\t\t\t     10.0.0.2 }\n\t}\n\n"
      "\tmap m {\n\t\ttype ipv4_addr : verdict\n\t}\n\n"
      "\tchain sub {\n\t\taccept\n\t}\n\n"
      "\tchain in {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tjump sub\n\t}\n"
      "\tchain nat {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t}\n}\n");
  REQUIRE(tables.size() == 1);
  CHECK(tables[0].name == "inet f");
  REQUIRE(tables[0].bases.size() == 1);
  CHECK(WalkFilter(tables[0].dump, "in", Tcp()).fate == Fate::kAccepted);
  CHECK(ParseNftRuleset("garbage {\n}\n}\n}\n").empty());
}

}  // namespace weave
