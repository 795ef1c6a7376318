// Reading what `nft --stateless list ruleset` prints: tables that others made beside those of iptables, in iptables'
// words, so that packet_walk.h can be asked about them. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "host/firewall_dump.h"

namespace weave {

struct NftTable {
  struct BaseChain {
    std::string hook;  // "input", "forward", ...
    std::string name;
  };

  std::string name;  // "inet firewalld"
  // All chains, in the table filter. A rule that has no counterpart has conditions that nobody can judge.
  FirewallDump dump;
  std::vector<BaseChain> bases;
  std::map<std::string, std::string> spelling;  // rules of `dump` as nft prints them
};

// Tables of the families ip and inet, but for those of iptables-nft, which iptables-save shows. What cannot be read is
// passed over: it is somebody else's.
std::vector<NftTable> ParseNftRuleset(absl::string_view text);

}  // namespace weave
