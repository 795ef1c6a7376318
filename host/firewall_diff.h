// Compares what `iptables-save` prints with the RuleSet we want, and says what to change. Pure: text in, text out;
// packet_filter.h runs the programs.
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "host/firewall_rules.h"

namespace weave {

// A table as dumped: chains in the order printed, each with its rules (without `-A CHAIN`).
struct DumpedChain {
  std::string name;
  bool builtin = false;  // has a policy
  std::vector<std::string> rules;
};
struct DumpedTable {
  std::vector<DumpedChain> chains;
  const DumpedChain* Find(absl::string_view chain) const;  // nullptr when absent
};
using FirewallDump = absl::btree_map<FirewallTable, DumpedTable>;

// Reads the output of `iptables-save`. Tables we do not use are skipped. InvalidArgument when it is not such output;
// FailedPrecondition when the program says that a table of ours holds what iptables cannot show.
absl::StatusOr<FirewallDump> ParseFirewallDump(absl::string_view text);

// Two rules are the same rule when their normal forms are equal: order of the conditions, the implied `-m tcp` and
// quoting do not count.
std::string NormalizeRule(absl::string_view rule);

// What of a dump is ours.
struct OwnedParts {
  absl::btree_set<std::pair<FirewallTable, std::string>> chains;
  // Rules outside of our chains: table, chain, index in the dump.
  absl::btree_set<std::tuple<FirewallTable, std::string, std::size_t>> rules;
};

enum class OwnedScope {
  kRuleSet,     // what BuildRuleSet can make, of any configuration with the same owner
  kEverything,  // also IPsec, the network policy controller's own chains, and rules of others that jump to our chains
};
OwnedParts FindOurs(const FirewallDump& dump, const FirewallOwner& owner, OwnedScope scope);

// What BuildSandboxRuleSet can make for `interface`.
OwnedParts FindOursInSandbox(const FirewallDump& dump, absl::string_view interface);

struct FirewallDiff {
  std::vector<std::string> missing;    // "filter FORWARD -i weave -o weave -j ACCEPT", "mangle WEAVE-CANARY"
  std::vector<std::string> stale;      // ours, but not wanted, or a second copy; written alike
  std::vector<std::string> displaced;  // "filter FORWARD": rules of others stand above ours, or the order is wrong
  std::string restore_text;            // for `iptables-restore --noflush`: makes the dump match; one COMMIT per table

  bool Matches() const { return restore_text.empty(); }
  std::string Summary() const;  // one line for a log
};

// Leaves alone what already matches and what is not in `owned`. A chain of ours that is not wanted is deleted, unless a
// rule of others jumps to it: then it is only emptied.
FirewallDiff DiffFirewall(const FirewallDump& current, const RuleSet& wanted, const OwnedParts& owned);

}  // namespace weave
