#include "host/firewall_rules.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr char kMulticast[] = "224.0.0.0/4";

// IFNAMSIZ of linux/if.h and IPSET_MAXNAMELEN of linux/netfilter/ipset/ip_set.h, without the final zero.
constexpr std::size_t kMaxInterfaceNameSize = 15;
constexpr std::size_t kMaxSetNameSize = 31;

// The rule file is text: a name must be one word to the program that reads it, and no pattern ("eth+").
absl::Status CheckName(absl::string_view what, absl::string_view name, std::size_t max_size) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-_.:@", absl::string_view(&c, 1));
  });
  if (!name.empty() && name.size() <= max_size && name.front() != '-' && plain) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("packet filter: ", what, " \"", absl::CHexEscape(name),
                                                 "\" is not a name of 1 to ", max_size,
                                                 " letters, digits and -_.:@ that does not begin with -"));
}

absl::Status CheckV4(absl::string_view what, const IpAddress& address) {
  if (address.IsV4()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("packet filter: ", what, " ", address.ToString(), " is not IPv4"));
}

// "Not in 0.0.0.0/0" matches nothing, and the programs refuse it.
absl::Status CheckSubnet(absl::string_view what, const Cidr& subnet) {
  RETURN_IF_ERROR(CheckV4(what, subnet.address()));
  if (subnet.prefix_length() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("packet filter: ", what, " ", subnet.ToString(), " has no prefix length of 1 to 32"));
}

absl::Status CheckConfig(const FirewallConfig& config) {
  RETURN_IF_ERROR(CheckName("bridge", config.bridge, kMaxInterfaceNameSize));
  if (!config.docker_bridge.empty()) {
    RETURN_IF_ERROR(CheckName("Docker bridge", config.docker_bridge, kMaxInterfaceNameSize));
    RETURN_IF_ERROR(CheckV4("address of the Docker bridge", config.docker_bridge_address));
  }
  if (!config.no_masq_local_set.empty()) {
    RETURN_IF_ERROR(CheckName("ipset", config.no_masq_local_set, kMaxSetNameSize));
  }
  if (config.port == 0 || config.port == 65535) {
    return absl::InvalidArgumentError(absl::StrCat("packet filter: port ", config.port, " is not in 1 to 65534"));
  }
  if (config.control && config.control->port == 0) {
    return absl::InvalidArgumentError("packet filter: control port 0 is not in 1 to 65535");
  }
  for (const FirewallExposure& exposure : config.exposures) {
    RETURN_IF_ERROR(CheckSubnet("exposed address", exposure.address));
  }
  return absl::OkStatus();
}

bool IsLoopback(const IpAddress& address) { return address.IsV4() && address.v4() >> 24 == 127; }

void AddDockerBridge(const FirewallConfig& config, FirewallBuiltin& input, FirewallBuiltin& forward) {
  if (config.docker_bridge.empty()) return;
  const std::string to_bridge =
      absl::StrCat("-d ", config.docker_bridge_address.ToString(), "/32 -i ", config.docker_bridge);
  const auto drop = [&](absl::string_view protocol, int port) {
    input.present.push_back(absl::StrCat(to_bridge, " -p ", protocol, " -m ", protocol, " --dport ", port, " -j DROP"));
  };
  drop("tcp", config.port);
  drop("udp", config.port);
  drop("udp", config.port + 1);
  // Containers ask our DNS at the bridge's address, which firewalls like UFW would not let in.
  for (absl::string_view protocol : {"udp", "tcp"}) {
    input.present.push_back(
        absl::StrCat("-i ", config.docker_bridge, " -p ", protocol, " -m ", protocol, " --dport 53 -j ACCEPT"));
  }
  if (config.docker_bridge != config.bridge) {
    forward.top.push_back(absl::StrCat("-i ", config.docker_bridge, " -o ", config.bridge, " -j DROP"));
  }
}

// With net.ipv4.conf.*.route_localnet=1 (kube-proxy) neighbours can reach what listens on 127.0.0.1.
void AddControlPort(const FirewallControlPort& control, FirewallBuiltin& input) {
  const std::string address = IsLoopback(control.address) ? control.address.ToString() : "127.0.0.1";
  input.present.push_back(absl::StrCat("-d ", address, "/32 -p tcp -m tcp --dport ", control.port,
                                       " -m addrtype ! --src-type LOCAL -m conntrack ! --ctstate RELATED,ESTABLISHED",
                                       " -m comment --comment \"", kControlPortComment, "\" -j DROP"));
}

void AddForwarding(const FirewallConfig& config, RuleSet& rules, FirewallBuiltin& input, FirewallBuiltin& forward) {
  const std::string& bridge = config.bridge;
  if (config.expect_npc) {
    rules.chains.push_back({FirewallTable::kFilter, "WEAVE-NPC", {}, /*others_fill=*/true});
    rules.chains.push_back({FirewallTable::kFilter, "WEAVE-NPC-EGRESS", {}, /*others_fill=*/true});
    input.present.push_back(absl::StrCat("-i ", bridge, " -j WEAVE-NPC-EGRESS"));
    const std::string note = " -m comment --comment \"NOTE: this must go before \\'-j KUBE-FORWARD\\'\" -j ";
    forward.top.push_back(absl::StrCat("-i ", bridge, note, "WEAVE-NPC-EGRESS"));
    forward.top.push_back(absl::StrCat("-o ", bridge, note, "WEAVE-NPC"));
    forward.top.push_back(absl::StrCat("-o ", bridge, " -m state --state NEW -j NFLOG --nflog-group 86"));
    forward.top.push_back(absl::StrCat("-o ", bridge, " -j DROP"));
  } else {
    forward.top.push_back(absl::StrCat("-i ", bridge, " -o ", bridge, " -j ACCEPT"));
    forward.top.push_back(absl::StrCat("-o ", bridge, " -j WEAVE-EXPOSE"));
  }
  forward.top.push_back(absl::StrCat("-i ", bridge, " ! -o ", bridge, " -j ACCEPT"));
  forward.top.push_back(absl::StrCat("-o ", bridge, " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"));
}

void AddUnique(std::vector<std::string>& rules, std::string rule) {
  if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(std::move(rule));
}

void AddExposures(const FirewallConfig& config, FirewallChain& expose, FirewallChain& nat) {
  for (const FirewallExposure& exposure : config.exposures) {
    const std::string network = exposure.address.Network().ToString();
    AddUnique(expose.rules, absl::StrCat("-d ", network, " -j ACCEPT"));
    if (!exposure.masquerade) continue;
    AddUnique(nat.rules, absl::StrCat("-s ", network, " -d ", kMulticast, " -j RETURN"));
    AddUnique(nat.rules, absl::StrCat("! -s ", network, " -d ", network, " -j MASQUERADE"));
    AddUnique(nat.rules, absl::StrCat("-s ", network, " ! -d ", network, " -j MASQUERADE"));
  }
}

}  // namespace

absl::string_view ToString(FirewallTable table) {
  switch (table) {
    case FirewallTable::kFilter:
      return "filter";
    case FirewallTable::kMangle:
      return "mangle";
    case FirewallTable::kNat:
      return "nat";
  }
  return "?";
}

bool IsWeaveChain(absl::string_view name) {
  return name == "WEAVE" || name == "WEAVE-EXPOSE" || name == "WEAVE-CANARY" || name == "WEAVE-NPC" ||
         absl::StartsWith(name, "WEAVE-NPC-") || absl::StartsWith(name, "WEAVE-IPSEC-");
}

absl::StatusOr<RuleSet> BuildRuleSet(const FirewallConfig& config) {
  RETURN_IF_ERROR(CheckConfig(config));
  RuleSet rules;
  rules.owner = {config.bridge, config.docker_bridge, config.port};
  FirewallBuiltin input{FirewallTable::kFilter, "INPUT", {}, {}};
  FirewallBuiltin forward{FirewallTable::kFilter, "FORWARD", {}, {}};
  FirewallChain expose{FirewallTable::kFilter, "WEAVE-EXPOSE", {}};
  FirewallChain nat{FirewallTable::kNat, "WEAVE", {}};

  // An empty chain in each table: 2.8 looks for it to learn that a table was flushed, and so may others.
  for (FirewallTable table : {FirewallTable::kFilter, FirewallTable::kMangle, FirewallTable::kNat}) {
    rules.chains.push_back({table, "WEAVE-CANARY", {}});
  }
  AddDockerBridge(config, input, forward);
  if (config.control) AddControlPort(*config.control, input);
  AddForwarding(config, rules, input, forward);
  if (!config.no_masq_local_set.empty()) {
    nat.rules.push_back(absl::StrCat("-m set --match-set ", config.no_masq_local_set,
                                     " dst -m comment --comment \"Prevent SNAT to locally running containers\"",
                                     " -j RETURN"));
  }
  AddExposures(config, expose, nat);

  if (!config.expect_npc) rules.chains.push_back(std::move(expose));
  rules.chains.push_back(std::move(nat));
  rules.builtins = {std::move(input), std::move(forward), {FirewallTable::kNat, "POSTROUTING", {}, {"-j WEAVE"}}};
  return rules;
}

absl::StatusOr<RuleSet> BuildSandboxRuleSet(absl::string_view interface, const std::vector<Cidr>& subnets) {
  RETURN_IF_ERROR(CheckName("interface", interface, kMaxInterfaceNameSize));
  RuleSet rules;
  FirewallBuiltin input{FirewallTable::kFilter, "INPUT", {}, {}};
  for (const Cidr& subnet : subnets) {
    RETURN_IF_ERROR(CheckSubnet("address", subnet));
    AddUnique(input.top,
              absl::StrCat("-s ", subnet.Network().ToString(), " -d ", kMulticast, " -i ", interface, " -j ACCEPT"));
  }
  if (!input.top.empty()) input.present.push_back(absl::StrCat("-d ", kMulticast, " -i ", interface, " -j DROP"));
  rules.builtins.push_back(std::move(input));
  return rules;
}

std::string RenderRuleSet(const RuleSet& rules) {
  std::string text;
  for (FirewallTable table : {FirewallTable::kFilter, FirewallTable::kMangle, FirewallTable::kNat}) {
    std::string chains, lines;
    for (const FirewallChain& chain : rules.chains) {
      if (chain.table != table) continue;
      absl::StrAppend(&chains, ":", chain.name, " - [0:0]\n");
      for (const std::string& rule : chain.rules) absl::StrAppend(&lines, "-A ", chain.name, " ", rule, "\n");
    }
    for (const FirewallBuiltin& builtin : rules.builtins) {
      if (builtin.table != table) continue;
      int position = 0;
      for (const std::string& rule : builtin.top) {
        absl::StrAppend(&lines, "-I ", builtin.chain, " ", ++position, " ", rule, "\n");
      }
      for (const std::string& rule : builtin.present) absl::StrAppend(&lines, "-A ", builtin.chain, " ", rule, "\n");
    }
    if (chains.empty() && lines.empty()) continue;
    absl::StrAppend(&text, "*", ToString(table), "\n", chains, lines, "COMMIT\n");
  }
  return text;
}

}  // namespace weave
