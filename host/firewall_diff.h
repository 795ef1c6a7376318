// Compares the packet filter as dumped with the RuleSet we want, and says what to change. Pure: packet_filter.h runs
// the programs.
#pragma once

#include <string>
#include <vector>

#include "host/firewall_dump.h"
#include "host/firewall_ours.h"
#include "host/firewall_rules.h"

namespace weave {

struct FirewallDiff {
  std::vector<std::string> missing;    // "filter FORWARD -i weave -o weave -j ACCEPT", "mangle WEAVE-CANARY"
  std::vector<std::string> stale;      // ours, but not wanted, or a second copy; written alike
  std::vector<std::string> displaced;  // "filter FORWARD": rules of others stand above ours, or the order is wrong
  std::string restore_text;            // for `iptables-restore --noflush`: makes the dump match; one COMMIT per table

  bool Matches() const { return restore_text.empty(); }

  // Everything is there, only not in its place.
  bool OnlyDisplaced() const { return missing.empty() && stale.empty() && !displaced.empty(); }

  std::string Summary() const;  // one line for a log
};

// Leaves alone what already matches and what is not in `owned`. A chain of ours that is not wanted is deleted, unless a
// rule of others jumps to it: then it is only emptied.
FirewallDiff DiffFirewall(const FirewallDump& current, const RuleSet& wanted, const OwnedParts& owned);

}  // namespace weave
