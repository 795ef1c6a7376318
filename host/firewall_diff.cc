#include "host/firewall_diff.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weave {
namespace {

using Rules = std::vector<RuleParts>;

std::string Name(FirewallTable table, absl::string_view chain, absl::string_view rule = "") {
  return absl::StrCat(ToString(table), " ", chain, rule.empty() ? "" : " ", rule);
}

Rules ParseAll(const std::vector<std::string>& rules) { return Rules(rules.begin(), rules.end()); }

bool Contains(const Rules& rules, const RuleParts& rule) {
  return std::find(rules.begin(), rules.end(), rule) != rules.end();
}

// The changes of one table, in the order in which the program must see them.
struct TableEdit {
  std::string declare, remove, empty, erase, append, insert;

  std::string Text(FirewallTable table) const {
    const std::string body = absl::StrCat(declare, remove, empty, erase, append, insert);
    return body.empty() ? "" : absl::StrCat("*", ToString(table), "\n", body, "COMMIT\n");
  }
};

class TableDiffer {
 public:
  TableDiffer(FirewallTable table, const FirewallDump& dump, const OwnedParts& owned, FirewallDiff& diff)
      : table_(table), owned_(owned), diff_(diff) {
    if (auto it = dump.find(table); it != dump.end()) dumped_ = it->second;
  }

  std::string Run(const RuleSet& wanted) {
    for (const FirewallChain& chain : wanted.chains) {
      if (chain.table == table_) DiffChain(chain);
    }
    for (const FirewallBuiltin& builtin : wanted.builtins) {
      if (builtin.table == table_) DiffBuiltin(builtin);
    }
    for (const DumpedChain& chain : dumped_.chains) RemoveStaleRules(chain);
    RemoveUnwantedChains(wanted);
    return edit_.Text(table_);
  }

 private:
  void DiffChain(const FirewallChain& wanted) {
    const DumpedChain* found = dumped_.Find(wanted.name);
    if (found == nullptr) {
      diff_.missing.push_back(Name(table_, wanted.name));
      // -N fails should the chain's owner be making it at this moment; a declaration would empty it.
      absl::StrAppend(&edit_.declare, wanted.others_fill ? "-N " : ":", wanted.name,
                      wanted.others_fill ? "\n" : " - [0:0]\n");
      AppendAll(wanted.name, wanted.rules);
      return;
    }
    if (wanted.others_fill) return;
    const Rules have = ParseAll(found->rules);
    const Rules want = ParseAll(wanted.rules);
    if (have == want) return;
    const std::size_t noted = diff_.missing.size() + diff_.stale.size();
    for (std::size_t i = 0; i < want.size(); ++i) {
      if (!Contains(have, want[i])) diff_.missing.push_back(Name(table_, wanted.name, wanted.rules[i]));
    }
    for (std::size_t i = 0; i < have.size(); ++i) {
      if (!Contains(want, have[i])) diff_.stale.push_back(Name(table_, wanted.name, found->rules[i]));
    }
    if (diff_.missing.size() + diff_.stale.size() == noted) diff_.displaced.push_back(Name(table_, wanted.name));
    absl::StrAppend(&edit_.declare, ":", wanted.name, " - [0:0]\n");  // empties it
    AppendAll(wanted.name, wanted.rules);
  }

  void DiffBuiltin(const FirewallBuiltin& wanted) {
    static const DumpedChain kNone;
    const DumpedChain* found = dumped_.Find(wanted.chain);
    const DumpedChain& chain = found != nullptr ? *found : kNone;
    const Rules have = ParseAll(chain.rules);
    DiffTop(wanted, chain, have);
    DiffPresent(wanted, chain, have);
  }

  void DiffTop(const FirewallBuiltin& wanted, const DumpedChain& chain, const Rules& have) {
    const Rules want = ParseAll(wanted.top);
    Rules staying;  // what is left once stale rules are gone
    std::vector<std::size_t> copies;
    for (std::size_t i = 0; i < have.size(); ++i) {
      if (Contains(want, have[i])) copies.push_back(i);
      if (Contains(want, have[i]) || !IsStale(wanted, chain, i, have[i])) staying.push_back(have[i]);
    }
    for (std::size_t i : copies) seen_.insert({table_, chain.name, i});
    const bool in_place = copies.size() == want.size() && staying.size() >= want.size() &&
                          std::equal(want.begin(), want.end(), staying.begin());
    if (in_place) return;

    const std::size_t noted = diff_.missing.size();
    for (std::size_t i = 0; i < want.size(); ++i) {
      if (!Contains(have, want[i])) diff_.missing.push_back(Name(table_, wanted.chain, wanted.top[i]));
    }
    if (copies.size() > want.size()) diff_.stale.push_back(Name(table_, wanted.chain, "(second copies)"));
    if (diff_.missing.size() == noted && copies.size() == want.size()) {
      diff_.displaced.push_back(Name(table_, wanted.chain));
    }
    // All of them anew: a few lines in one transaction, and the order is certain.
    for (std::size_t i : copies) Remove(chain, i);
    for (std::size_t i = 0; i < wanted.top.size(); ++i) {
      absl::StrAppend(&edit_.insert, "-I ", wanted.chain, " ", i + 1, " ", wanted.top[i], "\n");
    }
  }

  void DiffPresent(const FirewallBuiltin& wanted, const DumpedChain& chain, const Rules& have) {
    for (const std::string& rule : wanted.present) {
      const RuleParts want(rule);
      bool found = false;
      for (std::size_t i = 0; i < have.size(); ++i) {
        if (have[i] != want) continue;
        seen_.insert({table_, chain.name, i});
        if (found) {
          diff_.stale.push_back(Name(table_, chain.name, chain.rules[i]));
          Remove(chain, i);
        }
        found = true;
      }
      if (found) continue;
      diff_.missing.push_back(Name(table_, wanted.chain, rule));
      absl::StrAppend(&edit_.append, "-A ", wanted.chain, " ", rule, "\n");
    }
  }

  bool IsStale(const FirewallBuiltin& wanted, const DumpedChain& chain, std::size_t index,
               const RuleParts& parts) const {
    if (!owned_.rules.contains(DumpedRuleId{table_, chain.name, index})) return false;
    return std::none_of(wanted.present.begin(), wanted.present.end(),
                        [&](const std::string& rule) { return RuleParts(rule) == parts; });
  }

  // Rules of ours that no wanted rule claimed.
  void RemoveStaleRules(const DumpedChain& chain) {
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      const DumpedRuleId index{table_, chain.name, i};
      if (!owned_.rules.contains(index) || seen_.contains(index)) continue;
      diff_.stale.push_back(Name(table_, chain.name, chain.rules[i]));
      Remove(chain, i);
      removed_.insert(index);
    }
  }

  void RemoveUnwantedChains(const RuleSet& wanted) {
    std::vector<const DumpedChain*> unwanted;
    for (const DumpedChain& chain : dumped_.chains) {
      const bool is_wanted = std::any_of(wanted.chains.begin(), wanted.chains.end(), [&](const FirewallChain& c) {
        return c.table == table_ && c.name == chain.name;
      });
      if (!is_wanted && owned_.chains.contains({table_, chain.name})) unwanted.push_back(&chain);
    }
    for (const DumpedChain* chain : unwanted) {
      const bool stays = IsReferenced(chain->name, unwanted);
      if (stays && chain->rules.empty()) continue;
      diff_.stale.push_back(Name(table_, chain->name));
      if (!chain->rules.empty()) absl::StrAppend(&edit_.empty, "-F ", chain->name, "\n");
      if (!stays) absl::StrAppend(&edit_.erase, "-X ", chain->name, "\n");
    }
  }

  // Whether a rule that will still be there jumps to the chain.
  bool IsReferenced(absl::string_view name, const std::vector<const DumpedChain*>& unwanted) const {
    for (const DumpedChain& chain : dumped_.chains) {
      if (std::find(unwanted.begin(), unwanted.end(), &chain) != unwanted.end()) continue;
      for (std::size_t i = 0; i < chain.rules.size(); ++i) {
        if (removed_.contains({table_, chain.name, i})) continue;
        if (RuleParts(chain.rules[i]).Target() == name) return true;
      }
    }
    return false;
  }

  void AppendAll(absl::string_view chain, const std::vector<std::string>& rules) {
    for (const std::string& rule : rules) absl::StrAppend(&edit_.append, "-A ", chain, " ", rule, "\n");
  }

  // By its text, not its number: if the chain changes meanwhile the transaction fails instead of hitting another rule.
  void Remove(const DumpedChain& chain, std::size_t index) {
    absl::StrAppend(&edit_.remove, "-D ", chain.name, " ", chain.rules[index], "\n");
  }

  const FirewallTable table_;
  const OwnedParts& owned_;
  FirewallDiff& diff_;
  DumpedTable dumped_;
  TableEdit edit_;
  absl::btree_set<DumpedRuleId> seen_;     // claimed by a wanted rule
  absl::btree_set<DumpedRuleId> removed_;  // deleted by RemoveStaleRules
};

std::string Sample(absl::string_view what, const std::vector<std::string>& items) {
  constexpr std::size_t kShown = 3;
  if (items.empty()) return "";
  const std::vector<std::string> first(items.begin(), items.begin() + std::min(items.size(), kShown));
  return absl::StrCat(items.size(), " ", what, ": ", absl::StrJoin(first, "; "), items.size() > kShown ? "; ..." : "");
}

}  // namespace

std::string FirewallDiff::Summary() const {
  std::vector<std::string> parts;
  for (std::string part : {Sample("missing", missing), Sample("stale", stale), Sample("displaced", displaced)}) {
    if (!part.empty()) parts.push_back(std::move(part));
  }
  return parts.empty() ? "nothing differs" : absl::StrJoin(parts, ", ");
}

FirewallDiff DiffFirewall(const FirewallDump& current, const RuleSet& wanted, const OwnedParts& owned) {
  FirewallDiff diff;
  for (FirewallTable table : {FirewallTable::kFilter, FirewallTable::kMangle, FirewallTable::kNat}) {
    diff.restore_text += TableDiffer(table, current, owned, diff).Run(wanted);
  }
  return diff;
}

}  // namespace weave
