// The host's packet filters, whoever made their rules: would they let through what the peer and containers need?
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "doctor/os/gather.h"
#include "host/firewall_diff.h"
#include "host/firewall_ipsec.h"
#include "host/firewall_ours.h"
#include "host/nft_ruleset.h"
#include "host/packet_filter.h"
#include "host/packet_walk.h"
#include "host/sysctl.h"
#include "io/file.h"
#include "io/subprocess.h"

namespace weave {
namespace {

constexpr std::size_t kMaxRulesetSize = 64 << 20;

// A packet that must pass, and how a person says so.
struct Need {
  std::string what;
  std::string whom;
  absl::string_view hook;  // of nft; in capitals iptables' chain
  WalkedPacket packet;
};

// What this host and the one at the other end of a way send each other. None: wherever peers will be.
void AddNeedsOf(const PathFacts& path, int port, std::vector<Need>& needs) {
  const absl::StatusOr<IpAddress> remote = IpAddress::Parse(path.address);
  const absl::StatusOr<IpAddress> local = IpAddress::Parse(path.local);
  const std::string whom = remote.ok() ? path.address : "other peers";
  const std::optional<IpAddress> there = remote.ok() ? std::optional<IpAddress>(*remote) : std::nullopt;
  const std::optional<IpAddress> here = local.ok() ? std::optional<IpAddress>(*local) : std::nullopt;
  for (const auto& [protocol, number] : {std::pair("tcp", port), std::pair("udp", port), std::pair("udp", port + 1)}) {
    const std::string what = absl::StrCat(absl::AsciiStrToUpper(protocol), " port ", number);
    const auto target = static_cast<std::uint16_t>(number);
    needs.push_back({what, "from " + whom, "input", {path.device, "", there, here, protocol, target, false, true}});
    needs.push_back({what, "to " + whom, "output", {"", path.device, here, there, protocol, target, true, false}});
  }
}

std::vector<Need> NeedsOf(const GatherOptions& options, const std::vector<PathFacts>& paths, bool forwards) {
  std::vector<Need> needs;
  for (const PathFacts& path : paths) AddNeedsOf(path, options.port, needs);
  if (paths.empty()) AddNeedsOf({}, options.port, needs);
  if (!forwards) return needs;
  Need among{"what containers of this host send each other (bridge-nf-call-iptables is 1)", "", "forward", {}};
  among.packet.in_interface = options.bridge;
  among.packet.out_interface = options.bridge;
  among.packet.protocol = "tcp";
  needs.push_back(std::move(among));
  return needs;
}

PacketFate FateOf(const WalkResult& result) {
  switch (result.fate) {
    case WalkResult::Fate::kAccepted:
      return PacketFate::kAccepted;
    case WalkResult::Fate::kDropped:
      return PacketFate::kDropped;
    case WalkResult::Fate::kUnclear:
      break;
  }
  return PacketFate::kUnclear;
}

// What lets a packet through, put before all others.
std::string AcceptCommand(const std::string& program, const Need& need) {
  if (need.packet.port == 0)
    return absl::StrCat(program, " -I FORWARD -i ", need.packet.in_interface, " -o ", need.packet.out_interface,
                        " -j ACCEPT");
  return absl::StrCat(program, " -I ", absl::AsciiStrToUpper(need.hook), " -p ", need.packet.protocol, " --dport ",
                      need.packet.port, " -j ACCEPT");
}

std::string NftAcceptCommand(const NftTable& table, const std::string& chain, const Need& need) {
  const std::string insert = absl::StrCat("nft insert rule ", table.name, " ", chain, " ");
  if (need.packet.port == 0)
    return absl::StrCat(insert, "iifname ", need.packet.in_interface, " oifname ", need.packet.out_interface,
                        " accept");
  return absl::StrCat(insert, need.packet.protocol, " dport ", need.packet.port, " accept");
}

void WalkIptables(const std::string& program, const FirewallDump& dump, const std::vector<Need>& needs,
                  FirewallFacts& firewall) {
  for (const Need& need : needs) {
    const WalkResult result = WalkFilter(dump, absl::AsciiStrToUpper(need.hook), need.packet);
    if (result.fate == WalkResult::Fate::kAccepted) continue;
    firewall.paths.push_back(
        {need.what, need.whom, program, result.chain, result.rule, FateOf(result), AcceptCommand(program, need)});
  }
}

void WalkNft(const NftTable& table, const std::vector<Need>& needs, FirewallFacts& firewall) {
  for (const NftTable::BaseChain& base : table.bases) {
    for (const Need& need : needs) {
      if (base.hook != need.hook) continue;
      const WalkResult result = WalkFilter(table.dump, base.name, need.packet);
      if (result.fate == WalkResult::Fate::kAccepted) continue;
      const auto spelled = table.spelling.find(result.rule);
      firewall.paths.push_back({need.what, need.whom, "nft", absl::StrCat(table.name, " ", result.chain),
                                spelled == table.spelling.end() ? result.rule : spelled->second, FateOf(result),
                                NftAcceptCommand(table, base.name, need)});
    }
  }
}

// What is found and what is wanted differ in no more than this. Rules of single encrypted connections come and go with
// those and in their order: those that are there are wanted.
void CompareWithOurs(const FirewallConfig& config, const FirewallDump& dump, FirewallFacts& firewall) {
  absl::StatusOr<RuleSet> rules = BuildRuleSet(config);
  std::vector<IpsecPath> paths = FindIpsecPaths(dump);
  std::erase_if(paths, [](const IpsecPath& path) { return path.local_port == 0 || path.remote_port == 0; });
  if (!rules.ok() || !AddIpsecRules(paths, *rules).ok()) return;  // a peer would not run with such
  const FirewallDiff diff = DiffFirewall(dump, *rules, FindOurs(dump, rules->owner, OwnedScope::kRuleSet));
  const auto keep = [](const std::vector<std::string>& all, std::vector<std::string>& kept) {
    for (const std::string& one : all)
      if (!absl::StrContains(one, "WEAVE-IPSEC")) kept.push_back(one);
  };
  keep(diff.missing, firewall.missing);
  keep(diff.displaced, firewall.displaced);
}

// Listing the rules of iptables-legacy would load its tables where there are none.
bool UsesLegacy(const std::string& proc_path) {
  const absl::StatusOr<std::string> tables = ReadSmallFile(absl::StrCat(proc_path, "/net/ip_tables_names"));
  return tables.ok() && !tables->empty();
}

void LookAtIptables(const GatherOptions& options, const std::vector<Need>& needs, FirewallBackend backend,
                    DoctorFacts& facts) {
  const std::string program = absl::StrCat("iptables-", ToString(backend));
  PacketFilterOptions wanted;
  wanted.backend = backend;
  const absl::StatusOr<PacketFilter> filter = PacketFilter::Detect(wanted);
  if (absl::IsNotFound(filter.status())) return;
  const absl::StatusOr<FirewallDump> dump = filter.ok() ? filter->Read() : filter.status();
  if (absl::IsUnimplemented(dump.status())) return;  // what the kernel lacks drops nothing
  if (!dump.ok()) {
    facts.unseen.push_back(absl::StrCat("rules of ", program, ": ", dump.status().message()));
    return;
  }
  WalkIptables(program, *dump, needs, *facts.firewall);
  if (options.firewall.has_value() && options.firewall_backend == backend)
    CompareWithOurs(*options.firewall, *dump, *facts.firewall);
}

void LookAtNft(const std::vector<Need>& needs, DoctorFacts& facts) {
  SubprocessOptions list;
  list.argv = {"nft", "--stateless", "list", "ruleset"};
  list.max_output_size = kMaxRulesetSize;
  const absl::StatusOr<SubprocessResult> listed = RunSubprocess(list);
  if (!listed.ok() || !listed->succeeded()) return;  // not installed, or a kernel without nftables
  for (const NftTable& table : ParseNftRuleset(listed->output)) WalkNft(table, needs, *facts.firewall);
}

}  // namespace

void GatherFirewall(const GatherOptions& options, DoctorFacts& facts) {
  FirewallFacts& firewall = facts.firewall.emplace();
  const auto is_on = [&](absl::string_view name) {
    const absl::StatusOr<std::string> value = ReadSysctl(options.proc_path, name);
    return value.ok() && *value != "0";
  };
  firewall.ip_forward = is_on("net/ipv4/ip_forward");
  const std::vector<Need> needs = NeedsOf(options, facts.paths, is_on("net/bridge/bridge-nf-call-iptables"));
  LookAtIptables(options, needs, FirewallBackend::kNft, facts);
  if (UsesLegacy(options.proc_path)) LookAtIptables(options, needs, FirewallBackend::kLegacy, facts);
  LookAtNft(needs, facts);
}

}  // namespace weave
