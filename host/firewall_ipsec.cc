#include "host/firewall_ipsec.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr char kIn[] = "WEAVE-IPSEC-IN";
constexpr char kInMark[] = "WEAVE-IPSEC-IN-MARK";
constexpr char kOut[] = "WEAVE-IPSEC-OUT";
constexpr char kOutMark[] = "WEAVE-IPSEC-OUT-MARK";
constexpr char kIpsecRuleMark[] = "0x20000/0x20000";
constexpr char kUnprotected[] = "-m policy --dir out --pol none";  // not on its way into ESP
constexpr std::uint32_t kReservedSpiCount = 0x100;                 // RFC 4303, section 2.1

absl::Status CheckPath(const IpsecPath& path) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("packet filter: IPsec from ", path.remote.ToString(), " to ", path.local.ToString(), ": ", why));
  };
  if (!path.local.IsV4() || !path.remote.IsV4()) return refuse("only IPv4 is possible");
  if (path.spi < kReservedSpiCount) return refuse(absl::StrCat("index ", path.spi, " is not 256 or more"));
  if (path.local_port == 0 || path.remote_port == 0) return refuse("port 0 is not in 1 to 65535");
  return absl::OkStatus();
}

void AddOnce(std::vector<std::string>& rules, std::string rule) {
  if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(std::move(rule));
}

std::vector<std::string>& TopOf(FirewallTable table, absl::string_view chain, RuleSet& rules) {
  for (FirewallBuiltin& builtin : rules.builtins) {
    if (builtin.table == table && builtin.chain == chain) return builtin.top;
  }
  rules.builtins.push_back({table, std::string(chain), {}, {}});
  return rules.builtins.back().top;
}

// "10.0.0.1/32", as rules name one address.
std::optional<IpAddress> OneAddress(absl::string_view text) {
  const absl::StatusOr<Cidr> cidr = Cidr::Parse(text);
  if (!cidr.ok() || !cidr->address().IsV4() || cidr->prefix_length() != 32) return std::nullopt;
  return cidr->address();
}

using Pair = std::pair<IpAddress, IpAddress>;  // source, destination

std::optional<Pair> PairOf(const RuleParts& rule) {
  const std::optional<IpAddress> source = OneAddress(rule.Value("-s")), destination = OneAddress(rule.Value("-d"));
  if (!source || !destination) return std::nullopt;
  return Pair(*source, *destination);
}

std::vector<RuleParts> RulesOf(const FirewallDump& dump, FirewallTable table, absl::string_view chain) {
  const auto found = dump.find(table);
  const DumpedChain* dumped = found == dump.end() ? nullptr : found->second.Find(chain);
  if (dumped == nullptr) return {};
  return {dumped->rules.begin(), dumped->rules.end()};
}

absl::btree_map<Pair, std::uint16_t> PortsOf(const std::vector<RuleParts>& rules) {
  absl::btree_map<Pair, std::uint16_t> ports;
  for (const RuleParts& rule : rules) {
    const std::optional<Pair> pair = PairOf(rule);
    std::uint32_t port = 0;
    if (pair && rule.Has("-p udp") && absl::SimpleAtoi(rule.Value("--dport"), &port) && port <= 0xffff)
      ports[*pair] = static_cast<std::uint16_t>(port);
  }
  return ports;
}

}  // namespace

absl::Status AddIpsecRules(const std::vector<IpsecPath>& paths, RuleSet& rules) {
  for (const IpsecPath& path : paths) RETURN_IF_ERROR(CheckPath(path));
  if (paths.empty()) return absl::OkStatus();
  const std::string set_mark = absl::StrCat("-j MARK --set-xmark ", kIpsecRuleMark);
  FirewallChain in{FirewallTable::kMangle, kIn, {}}, out{FirewallTable::kMangle, kOut, {}},
      guard{FirewallTable::kFilter, kIn, {}};
  for (const IpsecPath& path : paths) {
    const std::string local = path.local.ToString(), remote = path.remote.ToString();
    const std::string inbound = absl::StrCat("-s ", remote, "/32 -d ", local, "/32 -p ");
    AddOnce(in.rules, absl::StrCat(inbound, "esp -m esp --espspi ", path.spi, " -j ", kInMark));
    AddOnce(guard.rules, absl::StrCat(inbound, "udp -m udp --dport ", path.local_port, " -m mark ! --mark ",
                                      kIpsecRuleMark, " -j DROP"));
    AddOnce(out.rules, absl::StrCat("-s ", local, "/32 -d ", remote, "/32 -p udp -m udp --dport ", path.remote_port,
                                    " ", kUnprotected, " -j ", kOutMark));
  }
  rules.chains.push_back(std::move(in));
  rules.chains.push_back({FirewallTable::kMangle, kInMark, {set_mark}});
  rules.chains.push_back(std::move(out));
  rules.chains.push_back({FirewallTable::kMangle, kOutMark, {set_mark}});
  rules.chains.push_back(std::move(guard));

  const auto add_top = [&](FirewallTable table, absl::string_view chain, std::string rule) {
    std::vector<std::string>& top = TopOf(table, chain, rules);
    top.insert(top.begin(), std::move(rule));
  };
  add_top(FirewallTable::kMangle, "INPUT", absl::StrCat("-j ", kIn));
  add_top(FirewallTable::kMangle, "OUTPUT", absl::StrCat("-j ", kOut));
  add_top(FirewallTable::kFilter, "INPUT", absl::StrCat("-j ", kIn));
  add_top(FirewallTable::kFilter, "OUTPUT",
          absl::StrCat("! -p esp ", kUnprotected, " -m mark --mark ", kIpsecRuleMark, " -j DROP"));
  return absl::OkStatus();
}

std::vector<IpsecPath> FindIpsecPaths(const FirewallDump& dump) {
  const auto inbound_ports = PortsOf(RulesOf(dump, FirewallTable::kFilter, kIn));
  const auto outbound_ports = PortsOf(RulesOf(dump, FirewallTable::kMangle, kOut));
  const auto port = [](const absl::btree_map<Pair, std::uint16_t>& ports, const Pair& pair) {
    const auto found = ports.find(pair);
    return found == ports.end() ? std::uint16_t{0} : found->second;
  };
  std::vector<IpsecPath> paths;
  for (const RuleParts& rule : RulesOf(dump, FirewallTable::kMangle, kIn)) {
    const std::optional<Pair> pair = PairOf(rule);
    std::uint32_t spi = 0;
    if (!pair || !rule.Has("-p esp") || !absl::SimpleAtoi(rule.Value("--espspi"), &spi)) continue;
    const auto& [remote, local] = *pair;
    paths.push_back({local, remote, spi, port(inbound_ports, *pair), port(outbound_ports, {local, remote})});
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace weave
