#include "host/firewall_ours.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "host/firewall_ipsec.h"

namespace weave {
namespace {

// "tcp to this address from this bridge, port N: DROP", as made for Docker's bridge.
struct PortDrop {
  std::string bridge, address, protocol;
  int port = 0;

  friend auto operator<=>(const PortDrop&, const PortDrop&) = default;
};

bool ParsePortDrop(const RuleParts& rule, PortDrop& drop) {
  drop = {std::string(rule.Value("-i")), std::string(rule.Value("-d")), std::string(rule.Value("-p")), 0};
  return rule.parts().size() == 5 && rule.Target() == "DROP" && !drop.bridge.empty() && !drop.address.empty() &&
         (drop.protocol == "tcp" || drop.protocol == "udp") && absl::SimpleAtoi(rule.Value("--dport"), &drop.port);
}

// A chain of the dump with its rules taken apart once.
struct ParsedChain {
  std::string name;
  std::vector<RuleParts> rules;
};

ParsedChain Parse(const FirewallDump& dump, FirewallTable table, absl::string_view chain) {
  ParsedChain parsed{std::string(chain), {}};
  auto it = dump.find(table);
  const DumpedChain* found = it == dump.end() ? nullptr : it->second.Find(chain);
  if (found == nullptr) return parsed;
  for (const std::string& rule : found->rules) parsed.rules.emplace_back(rule);
  return parsed;
}

class Finder {
 public:
  Finder(const FirewallDump& dump, const FirewallOwner& owner)
      : dump_(dump),
        owner_(owner),
        input_(Parse(dump, FirewallTable::kFilter, "INPUT")),
        forward_(Parse(dump, FirewallTable::kFilter, "FORWARD")) {}

  OwnedParts Run(OwnedScope scope) {
    FindBridges();
    FindDockerBridges();
    for (const std::string& bridge : bridges_) FindForwarding(bridge);
    FindByText();
    FindIpsec();
    FindChains(scope);
    if (scope == OwnedScope::kEverything) FindEverything();
    return std::move(ours_);
  }

 private:
  void Own(FirewallTable table, absl::string_view chain, std::size_t index) {
    ours_.rules.insert({table, std::string(chain), index});
  }

  // Every copy of `rule`; how many there are.
  std::size_t OwnAll(FirewallTable table, const ParsedChain& chain, absl::string_view rule) {
    const RuleParts wanted(rule);
    std::size_t count = 0;
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      if (chain.rules[i] != wanted) continue;
      Own(table, chain.name, i);
      ++count;
    }
    return count;
  }

  // The bridge we are told of, and those whose traffic is sent to chains of ours: the name may have been another.
  void FindBridges() {
    bridges_.insert(owner_.bridge);
    for (const RuleParts& rule : forward_.rules) {
      const std::string bridge(rule.Value("-o"));
      if (rule == RuleParts(absl::StrCat("-o ", bridge, " -j WEAVE-EXPOSE")) ||
          (!bridge.empty() && rule.Target() == "WEAVE-NPC" && rule.Has("-m comment"))) {
        bridges_.insert(bridge);
      }
    }
    bridges_.erase("");
  }

  // The three rules that close our ports to Docker's bridge are known as a group; alone, only with our ports.
  void FindDockerBridges() {
    absl::btree_set<PortDrop> all;
    PortDrop drop;
    for (const RuleParts& rule : input_.rules) {
      if (ParsePortDrop(rule, drop)) all.insert(drop);
    }
    const auto whole = [&](PortDrop d, int port) {
      const auto has = [&](const char* protocol, int p) {
        d.protocol = protocol;
        d.port = p;
        return all.contains(d);
      };
      return has("tcp", port) && has("udp", port) && has("udp", port + 1);
    };
    absl::btree_set<std::string> docker_bridges;
    for (std::size_t i = 0; i < input_.rules.size(); ++i) {
      if (!ParsePortDrop(input_.rules[i], drop)) continue;
      const bool told = drop.bridge == owner_.docker_bridge &&
                        (drop.port == owner_.port || (drop.protocol == "udp" && drop.port == owner_.port + 1));
      if (!told && !whole(drop, drop.port) && !(drop.protocol == "udp" && whole(drop, drop.port - 1))) continue;
      Own(FirewallTable::kFilter, input_.name, i);
      docker_bridges.insert(drop.bridge);
    }
    for (const std::string& bridge : bridges_) {
      if (!owner_.docker_bridge.empty() &&
          OwnAll(FirewallTable::kFilter, forward_,
                 absl::StrCat("-i ", owner_.docker_bridge, " -o ", bridge, " -j DROP")) > 0) {
        docker_bridges.insert(owner_.docker_bridge);
      }
      for (const std::string& docker : docker_bridges) {
        OwnAll(FirewallTable::kFilter, forward_, absl::StrCat("-i ", docker, " -o ", bridge, " -j DROP"));
      }
    }
    // A rule that lets DNS in says nothing about who made it: ours only beside others of ours.
    for (const std::string& docker : docker_bridges) {
      OwnAll(FirewallTable::kFilter, input_, absl::StrCat("-i ", docker, " -p udp --dport 53 -j ACCEPT"));
      OwnAll(FirewallTable::kFilter, input_, absl::StrCat("-i ", docker, " -p tcp --dport 53 -j ACCEPT"));
    }
  }

  void FindForwarding(const std::string& bridge) {
    for (bool npc : {false, true}) {
      FirewallConfig config;
      config.bridge = bridge;
      config.expect_npc = npc;
      const absl::StatusOr<RuleSet> shapes = BuildRuleSet(config);
      if (!shapes.ok()) return;  // no bridge of ours is named so
      const std::string log = absl::StrCat("-o ", bridge, " -m state --state NEW -j NFLOG --nflog-group 86");
      const std::string drop = absl::StrCat("-o ", bridge, " -j DROP");
      const bool logs = OwnAll(FirewallTable::kFilter, forward_, log) > 0;
      for (const FirewallBuiltin& builtin : shapes->builtins) {
        if (builtin.chain == "FORWARD") {
          for (const std::string& rule : builtin.top) {
            // Anyone may drop what goes to the bridge; ours comes with the rule that logs it.
            if (rule != drop || logs) OwnAll(FirewallTable::kFilter, forward_, rule);
          }
        } else if (builtin.chain == "INPUT") {
          for (const std::string& rule : builtin.present) OwnAll(FirewallTable::kFilter, input_, rule);
        }
      }
    }
  }

  void FindByText() {
    for (std::size_t i = 0; i < input_.rules.size(); ++i) {
      if (input_.rules[i].Value("--comment") == kControlPortComment) Own(FirewallTable::kFilter, input_.name, i);
    }
    OwnAll(FirewallTable::kNat, Parse(dump_, FirewallTable::kNat, "POSTROUTING"), "-j WEAVE");
  }

  // What any path brings: the chains by name, and what leads to them.
  void FindIpsec() {
    RuleSet shapes;
    const IpAddress any = IpAddress::V4(1);
    CHECK(AddIpsecRules({{any, any, 0x100, 1, 1}}, shapes).ok());
    for (const FirewallChain& chain : shapes.chains) ipsec_chains_.insert({chain.table, chain.name});
    for (const FirewallBuiltin& builtin : shapes.builtins) {
      for (const std::string& rule : builtin.top)
        OwnAll(builtin.table, Parse(dump_, builtin.table, builtin.chain), rule);
    }
  }

  void FindChains(OwnedScope scope) {
    for (const auto& [table, dumped] : dump_) {
      for (const DumpedChain& chain : dumped.chains) {
        const bool made_here =
            chain.name == "WEAVE-CANARY" || (table == FirewallTable::kFilter && chain.name == "WEAVE-EXPOSE") ||
            (table == FirewallTable::kNat && chain.name == "WEAVE") || ipsec_chains_.contains({table, chain.name});
        const bool ours = made_here || (scope == OwnedScope::kEverything && IsWeaveChain(chain.name));
        if (ours && !chain.builtin) ours_.chains.insert({table, chain.name});
      }
    }
  }

  void FindEverything() {
    for (const auto& [table, dumped] : dump_) {
      for (const DumpedChain& chain : dumped.chains) {
        if (IsWeaveChain(chain.name)) continue;
        for (std::size_t i = 0; i < chain.rules.size(); ++i) {
          if (IsWeaveChain(RuleParts(chain.rules[i]).Target())) Own(table, chain.name, i);
        }
      }
    }
  }

  const FirewallDump& dump_;
  const FirewallOwner& owner_;
  const ParsedChain input_;
  const ParsedChain forward_;
  absl::btree_set<std::string> bridges_;
  absl::btree_set<std::pair<FirewallTable, std::string>> ipsec_chains_;
  OwnedParts ours_;
};

}  // namespace

OwnedParts FindOurs(const FirewallDump& dump, const FirewallOwner& owner, OwnedScope scope) {
  return Finder(dump, owner).Run(scope);
}

OwnedParts FindOursInSandbox(const FirewallDump& dump, absl::string_view interface) {
  OwnedParts ours;
  const ParsedChain input = Parse(dump, FirewallTable::kFilter, "INPUT");
  for (std::size_t i = 0; i < input.rules.size(); ++i) {
    const RuleParts& rule = input.rules[i];
    if (!rule.Has("-d 224.0.0.0/4") || rule.Value("-i") != interface) continue;
    const bool accepts = rule.parts().size() == 4 && rule.Target() == "ACCEPT" && !rule.Value("-s").empty();
    const bool drops = rule.parts().size() == 3 && rule.Target() == "DROP";
    if (accepts || drops) ours.rules.insert({FirewallTable::kFilter, input.name, i});
  }
  return ours;
}

}  // namespace weave
