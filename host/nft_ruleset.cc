#include "host/nft_ruleset.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weave {
namespace {

// A condition that packet_walk.h cannot judge.
constexpr absl::string_view kNobodyKnows = "--nft";

bool IsOfIptables(absl::string_view table) {
  const std::vector<absl::string_view> theirs = {"ip filter", "ip nat", "ip mangle", "ip raw", "ip security"};
  return std::find(theirs.begin(), theirs.end(), table) != theirs.end();
}

// Blanks separate words; what stands in quotes or braces is one.
std::vector<std::string> WordsOf(absl::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  bool quoted = false;
  int depth = 0;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    if (!quoted && c == '{') ++depth;
    if (!quoted && c == '}') --depth;
    if (c == ' ' && !quoted && depth == 0) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c != '"') words.back() += c;
  }
  return words;
}

// "{ 22, 80-90 }" as "22,80:90".
std::string ListOf(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"{", ""}, {"}", ""}, {" ", ""}, {"-", ":"}});
}

// One rule after the other, word by word.
class Translation {
 public:
  explicit Translation(absl::string_view line) : words_(WordsOf(line)) {
    if (std::find(words_.begin(), words_.end(), "vmap") != words_.end())
      Map(line);
    else
      while (at_ < words_.size()) Statement();
  }

  std::string Text() const { return absl::StrJoin(parts_, " "); }

 private:
  std::string Take() { return at_ < words_.size() ? words_[at_++] : std::string(); }
  bool TakeIf(absl::string_view word) {
    if (at_ >= words_.size() || words_[at_] != word) return false;
    ++at_;
    return true;
  }

  void Add(absl::string_view option, bool negated, absl::string_view value) {
    parts_.push_back(absl::StrCat(negated ? "! " : "", option, " ", value));
  }

  // The value of a condition, with the sign of its negation before it.
  void Condition(absl::string_view option) {
    const bool negated = TakeIf("!=");
    Add(option, negated, ListOf(Take()));
  }

  void Statement() {
    const std::string word = Take();
    if (word == "accept" || word == "drop" || word == "return") {
      parts_.push_back(absl::StrCat("-j ", absl::AsciiStrToUpper(word)));
    } else if (word == "reject") {
      parts_.emplace_back("-j REJECT");
      at_ = words_.size();
    } else if (word == "jump" || word == "goto") {
      parts_.push_back(absl::StrCat(word == "jump" ? "-j " : "-g ", Take()));
    } else if (word == "iifname" || word == "iif" || word == "oifname" || word == "oif") {
      const bool negated = TakeIf("!=");
      Interface(word[0] == 'i' ? "-i" : "-o", negated, Take());
    } else if (word == "counter") {
      if (TakeIf("packets")) at_ = std::min(at_ + 3, words_.size());
    } else if (word == "comment") {
      Take();
    } else if (word == "log") {
      Log();
    } else {
      Header(word);
    }
  }

  void Interface(absl::string_view option, bool negated, const std::string& name) {
    if (absl::StrContains(name, "{"))
      parts_.emplace_back(kNobodyKnows);
    else
      Add(option, negated, absl::StrReplaceAll(name, {{"*", "+"}}));
  }

  // What names a field of a header, or of the tracked connection.
  void Header(const std::string& word) {
    const std::string field = at_ < words_.size() ? words_[at_] : std::string();
    if ((word == "tcp" || word == "udp" || word == "th") && field == "dport") {
      Take();
      if (word != "th") Add("-p", false, word);
      Condition("--dports");
    } else if ((word == "ip" && field == "protocol") || (word == "meta" && field == "l4proto")) {
      Take();
      Condition("-p");
    } else if (word == "ip" && (field == "saddr" || field == "daddr")) {
      Condition(Take() == "saddr" ? "-s" : "-d");
      Address();
    } else if (word == "ct" && field == "state") {
      Take();
      State();
    } else if (word == "ct" && field == "status") {  // of what was translated, or answered
      at_ = std::min(at_ + 2, words_.size());
      Add("--ctstate", false, "NONE");
    } else if (word == "icmp" || word == "icmpv6" || word == "igmp" || word == "ip6") {
      at_ = std::min(at_ + 2, words_.size());
      Add("-p", false, word);
    } else if (word == "meta" && field == "nfproto") {
      Take();
      if (Take() == "ipv6") Add("-p", false, "ip6");
    } else {
      parts_.emplace_back(kNobodyKnows);
    }
  }

  // What it says changes nothing.
  void Log() {
    while (TakeIf("prefix") || TakeIf("level") || TakeIf("group") || TakeIf("flags") || TakeIf("snaplen")) Take();
  }

  // "established,related", "{ established, related }".
  void State() {
    const bool negated = TakeIf("!=");
    Add("--ctstate", negated, absl::AsciiStrToUpper(ListOf(Take())));
  }

  // A verdict that depends: it may be to accept. One on states has none for new flows unless it names them.
  void Map(absl::string_view line) {
    const bool of_states = absl::StartsWith(line, "ct state vmap");
    if (of_states && !absl::StrContains(line, "new :")) return;
    parts_ = {std::string(kNobodyKnows), "-j ACCEPT"};
  }

  // A single address or network can be judged, a set cannot.
  void Address() {
    std::string& part = parts_.back();
    if (absl::StrContains(part, ",") || absl::StrContains(part, ":") || absl::StrContains(part, "@"))
      part = std::string(kNobodyKnows);
    else if (!absl::StrContains(part, "/"))
      part += "/32";
  }

  const std::vector<std::string> words_;
  std::size_t at_ = 0;
  std::vector<std::string> parts_;
};

class RulesetReader {
 public:
  void Line(absl::string_view line) {
    if (line.empty() || line[0] == '#') return;
    if (absl::ConsumePrefix(&line, "table ")) return OpenTable(absl::StripSuffix(line, " {"));
    if (absl::StartsWith(line, "chain ") && table_ != nullptr && depth_ == 1)
      return OpenChain(absl::StripSuffix(line.substr(6), " {"));
    if (line == "}") return Close();
    // A set, a map or an element list over several lines: its braces count, its content does not.
    if (absl::EndsWith(line, "{")) ++depth_;
    if (chain_ == nullptr || depth_ != 2) return;
    if (absl::StartsWith(line, "type "))
      Base(line);
    else
      Rule(line);
  }

  std::vector<NftTable> Finish() && { return std::move(tables_); }

 private:
  void OpenTable(absl::string_view name) {
    depth_ = 1;
    chain_ = nullptr;
    table_ = nullptr;
    if (IsOfIptables(name) || (!absl::StartsWith(name, "ip ") && !absl::StartsWith(name, "inet "))) return;
    tables_.push_back({std::string(name), {}, {}, {}});
    table_ = &tables_.back();
  }

  void OpenChain(absl::string_view name) {
    depth_ = 2;
    std::vector<DumpedChain>& chains = table_->dump[FirewallTable::kFilter].chains;
    chains.push_back({std::string(name), false, {}});
    chain_ = &chains.back();
  }

  void Close() {
    --depth_;
    if (depth_ < 2) chain_ = nullptr;
    if (depth_ < 1) table_ = nullptr;
  }

  // "type filter hook input priority 0; policy drop;"
  void Base(absl::string_view line) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" ;"), absl::SkipEmpty());
    const auto behind = [&](absl::string_view word) {
      const auto found = std::find(words.begin(), words.end(), word);
      return found == words.end() || found + 1 == words.end() ? absl::string_view() : *(found + 1);
    };
    chain_->builtin = true;
    chain_->policy = behind("policy") == "drop" ? "DROP" : "ACCEPT";
    if (behind("type") == "filter") table_->bases.push_back({std::string(behind("hook")), chain_->name});
  }

  void Rule(absl::string_view line) {
    std::string rule = Translation(line).Text();
    table_->spelling.emplace(rule, line);
    chain_->rules.push_back(std::move(rule));
  }

  std::vector<NftTable> tables_;
  NftTable* table_ = nullptr;     // the last of tables_; null: in none that counts
  DumpedChain* chain_ = nullptr;  // the last of its chains
  int depth_ = 0;                 // of braces
};

}  // namespace

std::vector<NftTable> ParseNftRuleset(absl::string_view text) {
  RulesetReader reader;
  for (absl::string_view line : absl::StrSplit(text, '\n')) reader.Line(absl::StripAsciiWhitespace(line));
  return std::move(reader).Finish();
}

}  // namespace weave
