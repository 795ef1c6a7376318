// Finds what of a dump is ours, whatever configuration made it: the part of the packet filter that we may change. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"
#include "host/firewall_dump.h"
#include "host/firewall_rules.h"

namespace weave {

// A rule by its place in a dump.
using DumpedRuleId = std::tuple<FirewallTable, std::string, std::size_t>;  // table, chain, index

struct OwnedParts {
  absl::btree_set<std::pair<FirewallTable, std::string>> chains;
  absl::btree_set<DumpedRuleId> rules;  // outside of chains that are ours by name
};

enum class OwnedScope {
  kRuleSet,     // what BuildRuleSet and AddIpsecRules can make, of any configuration
  kEverything,  // also the policy controller's chains, and rules of others that jump to a chain of ours
};

// Known by sight: our chains, the comment of the control port's rule, the rules of a bridge from whose chain we are
// called. Known by the names in `owner` or, where the group of rules is whole, without: the rules of Docker's bridge.
OwnedParts FindOurs(const FirewallDump& dump, const FirewallOwner& owner, OwnedScope scope);

// What BuildSandboxRuleSet can make for `interface`.
OwnedParts FindOursInSandbox(const FirewallDump& dump, absl::string_view interface);

}  // namespace weave
