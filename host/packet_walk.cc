#include "host/packet_walk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weave {
namespace {

// Deeper no kernel goes: a dump that nests more was tampered with.
constexpr int kMaxDepth = 64;

// Rules that are looked at for one packet. Chains that call each other twice over are longer than anybody's patience.
constexpr int kMaxSteps = 1 << 18;

enum class Match : std::uint8_t { kNo, kYes, kUnknown };

Match Known(bool matches) { return matches ? Match::kYes : Match::kNo; }

// "eth+" means all that begin with eth.
Match MatchInterface(absl::string_view pattern, const std::string& interface) {
  if (interface.empty()) return Match::kUnknown;
  if (absl::ConsumeSuffix(&pattern, "+")) return Known(absl::StartsWith(interface, pattern));
  return Known(pattern == interface);
}

// "6783", "6000:7000", and several with commas between.
Match MatchPort(absl::string_view ports, std::uint16_t port) {
  if (port == 0) return Match::kUnknown;
  for (absl::string_view part : absl::StrSplit(ports, ',')) {
    const std::pair<absl::string_view, absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits(':', 1));
    std::uint32_t first = 0;
    std::uint32_t last = 65535;
    const bool range = absl::StrContains(part, ":");
    if (!ends.first.empty() && !absl::SimpleAtoi(ends.first, &first)) return Match::kUnknown;
    if (!range) last = first;
    if (!ends.second.empty() && !absl::SimpleAtoi(ends.second, &last)) return Match::kUnknown;
    if (port >= first && port <= last) return Match::kYes;
  }
  return Match::kNo;
}

Match MatchAddress(absl::string_view text, const std::optional<IpAddress>& address) {
  const absl::StatusOr<Cidr> cidr = Cidr::Parse(text);
  if (!cidr.ok() || !address.has_value()) return Match::kUnknown;
  return Known(cidr->Contains(*address));
}

bool IsAnyOf(absl::string_view word, absl::string_view list) {
  const std::vector<absl::string_view> words = absl::StrSplit(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

Match MatchProtocol(absl::string_view protocols, const std::string& ours) {
  return Known(IsAnyOf("all", protocols) || IsAnyOf("0", protocols) || IsAnyOf(ours, protocols) ||
               IsAnyOf(ours == "tcp" ? "6" : "17", protocols));
}

// Of the kinds of addresses we know whether one is this host's; it is never one of many receivers.
Match MatchAddressType(absl::string_view types, bool ours) { return Known(IsAnyOf(ours ? "LOCAL" : "UNICAST", types)); }

Match MatchOption(absl::string_view option, absl::string_view value, const WalkedPacket& packet) {
  if (option == "-i") return MatchInterface(value, packet.in_interface);
  if (option == "-o") return MatchInterface(value, packet.out_interface);
  if (option == "-s") return MatchAddress(value, packet.source);
  if (option == "-d") return MatchAddress(value, packet.destination);
  if (option == "-p") return MatchProtocol(value, packet.protocol);
  if (option == "--dport" || option == "--dports") return MatchPort(value, packet.port);
  if (option == "--ctstate" || option == "--state") return Known(IsAnyOf("NEW", value));
  if (option == "--src-type") return MatchAddressType(value, packet.from_us);
  if (option == "--dst-type") return MatchAddressType(value, packet.to_us);
  if (option == "--tcp-flags" && value == "FIN,SYN,RST,ACK SYN") return Match::kYes;
  if (option == "-f") return Match::kNo;  // the rest of a packet in pieces
  // What takes options of its own is judged by those.
  if (option == "-m") {
    return IsAnyOf(value, "tcp,udp,multiport,conntrack,state,comment,addrtype") ? Match::kYes : Match::kUnknown;
  }
  if (option == "--comment" || option == "-j" || option == "-g" || option == "--reject-with") return Match::kYes;
  return Match::kUnknown;
}

Match MatchRule(const RuleParts& rule, const WalkedPacket& packet) {
  Match all = Match::kYes;
  for (absl::string_view part : rule.parts()) {
    const bool negated = absl::ConsumePrefix(&part, "! ");
    const std::pair<absl::string_view, absl::string_view> words = absl::StrSplit(part, absl::MaxSplits(' ', 1));
    Match match = MatchOption(words.first, words.second, packet);
    if (negated && match != Match::kUnknown) match = match == Match::kYes ? Match::kNo : Match::kYes;
    if (match == Match::kNo) return Match::kNo;
    if (match == Match::kUnknown) all = Match::kUnknown;
  }
  return all;
}

class Walk {
 public:
  Walk(const DumpedTable& table, const WalkedPacket& packet) : table_(table), packet_(packet) {}

  // None: the packet comes back from the chain.
  std::optional<WalkResult> Through(const DumpedChain& chain, bool certain, int depth) {
    if (depth > kMaxDepth) return std::nullopt;
    for (const std::string& text : chain.rules) {
      if (++steps_ > kMaxSteps) may_be_accepted_ = true;  // by what is not looked at any more
      if (steps_ > kMaxSteps) return std::nullopt;
      const RuleParts rule(text);
      const Match match = MatchRule(rule, packet_);
      if (match == Match::kNo) continue;
      const bool surely = certain && match == Match::kYes;
      const absl::string_view target = rule.Target();
      if (target == "ACCEPT") {
        if (surely) return WalkResult{WalkResult::Fate::kAccepted, chain.name, text};
        may_be_accepted_ = true;
      } else if (target == "DROP" || target == "REJECT") {
        if (surely) return Dropped(chain.name, text);
      } else if (target == "RETURN") {
        if (surely) return std::nullopt;
        may_be_accepted_ = true;  // it may not come to what follows
      } else if (const DumpedChain* next = table_.Find(target); next != nullptr) {
        std::optional<WalkResult> result = Through(*next, surely, depth + 1);
        if (result.has_value()) return result;
        if (surely && !rule.Value("-g").empty()) return std::nullopt;
      }
    }
    return std::nullopt;
  }

  WalkResult Dropped(std::string chain, std::string rule) const {
    return {may_be_accepted_ ? WalkResult::Fate::kUnclear : WalkResult::Fate::kDropped, std::move(chain),
            std::move(rule)};
  }

 private:
  const DumpedTable& table_;
  const WalkedPacket& packet_;
  bool may_be_accepted_ = false;
  int steps_ = 0;
};

}  // namespace

WalkResult WalkFilter(const FirewallDump& dump, absl::string_view chain, const WalkedPacket& packet) {
  const auto table = dump.find(FirewallTable::kFilter);
  const DumpedChain* first = table == dump.end() ? nullptr : table->second.Find(chain);
  if (first == nullptr) return {};
  Walk walk(table->second, packet);
  if (std::optional<WalkResult> result = walk.Through(*first, /*certain=*/true, 0); result.has_value())
    return *std::move(result);
  if (first->policy == "DROP") return walk.Dropped(first->name, "");
  return {WalkResult::Fate::kAccepted, first->name, ""};
}

}  // namespace weave
