#include "host/firewall_dump.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weave {
namespace {

struct Word {
  std::string text;
  bool quoted = false;

  bool IsOption() const { return !quoted && text.size() > 1 && text[0] == '-'; }
};

// Words are separated by blanks; double quotes group, a backslash takes the next character as it is.
std::vector<Word> SplitWords(absl::string_view rule) {
  std::vector<Word> words;
  bool in_word = false;
  bool in_quotes = false;
  for (std::size_t i = 0; i < rule.size(); ++i) {
    const char c = rule[i];
    if (!in_quotes && (c == ' ' || c == '\t')) {
      in_word = false;
      continue;
    }
    if (!in_word) {
      words.emplace_back();
      in_word = true;
    }
    if (c == '"') {
      in_quotes = !in_quotes;
      words.back().quoted = true;
    } else {
      words.back().text += c == '\\' && i + 1 < rule.size() ? rule[++i] : c;
    }
  }
  return words;
}

std::optional<FirewallTable> TableOf(absl::string_view name) {
  for (FirewallTable table : {FirewallTable::kFilter, FirewallTable::kMangle, FirewallTable::kNat}) {
    if (name == ToString(table)) return table;
  }
  return std::nullopt;
}

// "# Table `filter' is incompatible, use 'nft' tool."
absl::Status CheckRemark(absl::string_view line) {
  if (!absl::StrContains(line, "is incompatible")) return absl::OkStatus();
  const std::vector<absl::string_view> pieces = absl::StrSplit(line, absl::ByAnyChar("`'"));
  if (pieces.size() < 2 || !TableOf(pieces[1])) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("packet filter: table ", pieces[1],
                   " holds rules made with nft that iptables cannot show; move them to a table of another name"));
}

class DumpReader {
 public:
  absl::Status Line(absl::string_view line) {
    if (line.empty()) return absl::OkStatus();
    if (line[0] == '#') return CheckRemark(line);
    if (line[0] == '*') {
      in_table_ = true;
      table_ = TableOf(line.substr(1));
      return absl::OkStatus();
    }
    if (!in_table_) return Unreadable(line);
    if (line == "COMMIT") {
      in_table_ = false;
      return absl::OkStatus();
    }
    const std::pair<absl::string_view, absl::string_view> name_and_rest = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (line[0] == ':') return AddChain(name_and_rest.first.substr(1), name_and_rest.second, line);
    if (name_and_rest.first == "-A") return AddRule(name_and_rest.second, line);
    return Unreadable(line);
  }

  absl::StatusOr<FirewallDump> Finish() {
    if (in_table_) return absl::InvalidArgumentError("packet filter: the dump of the rules ends without COMMIT");
    return std::move(dump_);
  }

 private:
  static absl::Status Unreadable(absl::string_view line) {
    return absl::InvalidArgumentError(
        absl::StrCat("packet filter: \"", line.substr(0, 80), "\" is not a line of iptables-save"));
  }

  absl::Status AddChain(absl::string_view name, absl::string_view policy, absl::string_view line) {
    if (name.empty() || policy.empty()) return Unreadable(line);
    if (!table_) return absl::OkStatus();
    DumpedChain chain{std::string(name), !absl::StartsWith(policy, "-"), {}};
    if (chain.builtin) chain.policy = std::string(policy.substr(0, policy.find(' ')));  // counters follow
    dump_[*table_].chains.push_back(std::move(chain));
    return absl::OkStatus();
  }

  absl::Status AddRule(absl::string_view chain_and_rule, absl::string_view line) {
    if (!table_) return absl::OkStatus();
    const std::pair<absl::string_view, absl::string_view> split =
        absl::StrSplit(chain_and_rule, absl::MaxSplits(' ', 1));
    // Rules come grouped by chain.
    std::vector<DumpedChain>& chains = dump_[*table_].chains;
    if (last_ >= chains.size() || chains[last_].name != split.first) {
      last_ = std::find_if(chains.begin(), chains.end(), [&](const auto& c) { return c.name == split.first; }) -
              chains.begin();
    }
    if (last_ == chains.size()) return Unreadable(line);
    chains[last_].rules.emplace_back(split.second);
    return absl::OkStatus();
  }

  FirewallDump dump_;
  std::optional<FirewallTable> table_;
  bool in_table_ = false;
  std::size_t last_ = 0;
};

}  // namespace

const DumpedChain* DumpedTable::Find(absl::string_view chain) const {
  auto it = std::find_if(chains.begin(), chains.end(), [&](const DumpedChain& c) { return c.name == chain; });
  return it == chains.end() ? nullptr : &*it;
}

absl::StatusOr<FirewallDump> ParseFirewallDump(absl::string_view text) {
  DumpReader reader;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::Status status = reader.Line(absl::StripSuffix(line, "\r")); !status.ok()) return status;
  }
  return reader.Finish();
}

RuleParts::RuleParts(absl::string_view rule) {
  std::vector<std::string> words;
  const auto finish = [&] {
    if (words.empty()) return;
    const bool address = words.size() == 2 && (words[0] == "-s" || words[0] == "-d");
    if (address && !absl::StrContains(words[1], "/")) words[1] += "/32";
    std::string part = absl::StrJoin(words, " ");
    words.clear();
    if (part != "-m tcp" && part != "-m udp") parts_.push_back(std::move(part));
  };
  bool negated = false;
  for (Word& word : SplitWords(rule)) {
    if (!word.quoted && word.text == "!") {
      finish();
      negated = true;
    } else if (word.IsOption()) {
      if (!negated) finish();
    }
    words.push_back(std::move(word.text));
    if (words.back() != "!") negated = false;
  }
  finish();
  std::sort(parts_.begin(), parts_.end());
}

bool RuleParts::Has(absl::string_view part) const {
  return std::find(parts_.begin(), parts_.end(), part) != parts_.end();
}

absl::string_view RuleParts::Value(absl::string_view option) const {
  for (absl::string_view part : parts_) {
    if (absl::ConsumePrefix(&part, option) && absl::ConsumePrefix(&part, " ")) return part;
  }
  return "";
}

absl::string_view RuleParts::Target() const {
  const absl::string_view jump = Value("-j");
  return jump.empty() ? Value("-g") : jump;
}

}  // namespace weave
