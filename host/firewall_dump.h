// Reading what `iptables-save` prints: tables, chains, and rules that can be compared. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "host/firewall_rules.h"

namespace weave {

// A table as dumped: chains in the order printed, each with its rules (without `-A CHAIN`).
struct DumpedChain {
  std::string name;
  bool builtin = false;  // has a policy
  std::vector<std::string> rules;
  std::string policy = {};  // of a built-in chain: "ACCEPT", "DROP"
};
struct DumpedTable {
  std::vector<DumpedChain> chains;
  const DumpedChain* Find(absl::string_view chain) const;  // nullptr when absent
};
using FirewallDump = absl::btree_map<FirewallTable, DumpedTable>;

// Tables we do not use are skipped. InvalidArgument when `text` is not such output; FailedPrecondition when the program
// says that a table of ours holds what iptables cannot show.
absl::StatusOr<FirewallDump> ParseFirewallDump(absl::string_view text);

// The conditions and the target of a rule, in an order of our own: two rules are the same rule when their parts are
// equal. Order of the conditions, the implied `-m tcp` and `-m udp`, and quoting do not count.
class RuleParts {
 public:
  explicit RuleParts(absl::string_view rule);

  // Sorted: "! -o weave", "--dport 53", "-d 10.0.0.1/32", "-j DROP".
  const std::vector<std::string>& parts() const { return parts_; }
  bool Has(absl::string_view part) const;

  // What follows `option`, "" without it: Value("-i") is "weave".
  absl::string_view Value(absl::string_view option) const;

  // The chain or target of -j or -g, "" without one.
  absl::string_view Target() const;

  friend bool operator==(const RuleParts&, const RuleParts&) = default;

 private:
  std::vector<std::string> parts_;
};

}  // namespace weave
