#include "peer/flags.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/service_notify.h"
#include "peer/bridge_plan.h"
#include "peer/flag_table.h"
#include "peer/flag_values.h"

namespace weave {
namespace {

constexpr std::size_t kHelpColumn = 34;

std::string Spelled(const FlagSpec& flag) { return absl::StrCat(flag.name[1] == '\0' ? "-" : "--", flag.name); }

const FlagSpec* FindFlag(absl::string_view spelled) {
  if (spelled == "-h") spelled = "--help";
  for (const FlagSpec& flag : FlagTable())
    if (Spelled(flag) == spelled) return &flag;
  return nullptr;
}

// As docker's mflag: a value after `=` may stand in quotes.
absl::string_view TrimQuotes(absl::string_view text) {
  if (text.size() >= 2 && text.front() == text.back() && (text.front() == '"' || text.front() == '\''))
    return text.substr(1, text.size() - 2);
  return text;
}

// Walks the arguments once.
class Parser {
 public:
  Parser(absl::Span<const std::string> args, WeaverOptions& options) : args_(args), options_(options) {}

  // Stops at --help.
  absl::Status Run() {
    TakeCommand();
    while (!args_.empty()) {
      const std::string& arg = Take();
      if (arg == "--") break;
      if (arg.size() > 1 && arg.front() == '-') {
        RETURN_IF_ERROR(TakeFlag(arg));
        if (options_.action == WeaverAction::kPrintHelp) return absl::OkStatus();
      } else {
        RETURN_IF_ERROR(AddPeer(arg));
      }
    }
    while (!args_.empty()) RETURN_IF_ERROR(AddPeer(Take()));
    return absl::OkStatus();
  }

  bool Given(const FlagSpec& flag) const { return std::find(given_.begin(), given_.end(), &flag) != given_.end(); }

 private:
  const std::string& Take() {
    const std::string& arg = args_.front();
    args_.remove_prefix(1);
    return arg;
  }

  // `weaver version` reads like a command; a peer of that name can be had by `weaver -- version`.
  void TakeCommand() {
    if (args_.empty()) return;
    const std::string& word = args_.front();
    if (word == "version") {
      options_.action = WeaverAction::kPrintVersion;
    } else if (word == "print-peer-name") {
      options_.action = WeaverAction::kPrintPeerName;
    } else if (word == "help") {
      options_.action = WeaverAction::kPrintHelp;
    } else {
      return;
    }
    args_.remove_prefix(1);
  }

  absl::Status TakeFlag(absl::string_view arg) {
    const std::size_t equals = arg.find('=');
    const absl::string_view spelled = arg.substr(0, equals);
    const FlagSpec* flag = FindFlag(spelled);
    if (flag == nullptr)  // what follows the `=` may be a secret
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag ", QuoteForError(spelled), "; weaver --help lists those there are"));
    absl::string_view text = "true";
    if (equals != absl::string_view::npos) {
      text = TrimQuotes(arg.substr(equals + 1));
    } else if (flag->hint != nullptr) {
      if (args_.empty()) return absl::InvalidArgumentError(absl::StrCat(spelled, ": wants a value, ", flag->hint));
      text = Take();
    }
    given_.push_back(flag);
    return Annotate(flag->set(text, options_), spelled);
  }

  absl::Status AddPeer(absl::string_view arg) {
    ASSIGN_OR_RETURN(std::string peer, ParsePeerAddress(arg));
    options_.peers.push_back(std::move(peer));
    return absl::OkStatus();
  }

  absl::Span<const std::string> args_;
  WeaverOptions& options_;
  std::vector<const FlagSpec*> given_;
};

// Sets what the command line left open; `sources` gets flag and variable.
absl::Status ApplyEnvironment(const Environment& environment, const Parser& parser, WeaverOptions& options,
                              std::map<const FlagSpec*, std::string>& sources) {
  for (const FlagSpec& flag : FlagTable()) {
    // 2.8 takes a blank --password for none.
    const bool blank = absl::string_view(flag.name) == "password" && options.password.empty();
    if (flag.variable == nullptr || (parser.Given(flag) && !blank)) continue;
    const char* text = environment(flag.variable);
    if (text == nullptr || *text == '\0') continue;
    RETURN_IF_ERROR(Annotate(flag.set(text, options), flag.variable));
    sources[&flag] = flag.variable;
  }
  return absl::OkStatus();
}

absl::Status CheckIpam(const WeaverOptions& options) {
  if (options.ipalloc_default_subnet.has_value()) {
    if (!options.ipalloc_range.has_value())
      return absl::InvalidArgumentError("--ipalloc-default-subnet: needs --ipalloc-range");
    if (!options.ipalloc_range->Overlaps(*options.ipalloc_default_subnet))
      return absl::InvalidArgumentError(
          absl::StrCat("--ipalloc-default-subnet: ", options.ipalloc_default_subnet->ToString(),
                       " does not overlap with --ipalloc-range ", options.ipalloc_range->ToString()));
  }
  if (options.ipalloc_init.has_value() && !options.ipalloc_range.has_value())
    return absl::InvalidArgumentError("--ipalloc-init: needs --ipalloc-range");
  return absl::OkStatus();
}

// Of kind fastdp the datapath is the bridge, of the other it stands beside it.
absl::Status CheckDatapath(const WeaverOptions& options) {
  if (options.no_fastdp) return absl::OkStatus();
  const std::string datapath = DatapathName(options);
  const bool one_device = datapath == options.weave_bridge;
  if (options.no_bridged_fastdp && !one_device)
    return absl::InvalidArgumentError(absl::StrCat("--datapath: with --no-bridged-fastdp the bridge ",
                                                   QuoteForError(options.weave_bridge), " is the datapath, not ",
                                                   QuoteForError(datapath)));
  if (!options.no_bridged_fastdp && one_device)
    return absl::InvalidArgumentError(
        absl::StrCat("--datapath: ", QuoteForError(datapath), " is the name of the bridge; want another one"));
  return absl::OkStatus();
}

absl::Status CheckAwsVpc(const WeaverOptions& options) {
  if (!options.awsvpc) return absl::OkStatus();
  if (!options.password.empty()) return absl::InvalidArgumentError("--awsvpc: cannot be combined with a password");
  if (!options.ipalloc_range.has_value()) return absl::InvalidArgumentError("--awsvpc: needs --ipalloc-range");
  if (options.no_masq_local) return absl::InvalidArgumentError("--awsvpc: cannot be combined with --no-masq-local");
  return absl::OkStatus();
}

absl::Status CheckTls(const WeaverOptions& options) {
  if (!options.tls && !options.tlsverify) return absl::OkStatus();
  const char* flag = options.tlsverify ? "--tlsverify" : "--tls";
  if (options.tlscert.empty()) return absl::InvalidArgumentError(absl::StrCat(flag, ": needs --tlscert"));
  if (options.tlskey.empty()) return absl::InvalidArgumentError(absl::StrCat(flag, ": needs --tlskey"));
  if (options.tlsverify && options.tlscacert.empty())
    return absl::InvalidArgumentError("--tlsverify: needs --tlscacert");
  return absl::OkStatus();
}

absl::Status CheckCombinations(const WeaverOptions& options) {
  if (options.resume && !options.peers.empty())
    return absl::InvalidArgumentError("--resume: cannot be combined with a list of peers");
  RETURN_IF_ERROR(CheckDatapath(options));
  RETURN_IF_ERROR(CheckIpam(options));
  RETURN_IF_ERROR(CheckAwsVpc(options));
  return CheckTls(options);
}

absl::Status NotSupported(absl::string_view what, Feature feature) {
  return absl::UnimplementedError(absl::StrCat(what, ": not supported in this build (", FeatureName(feature), ")"));
}

absl::Status CheckSupported(const WeaverOptions& options, const std::map<const FlagSpec*, std::string>& sources) {
  const WeaverOptions defaults;
  for (const FlagSpec& flag : FlagTable()) {
    if (flag.feature == Feature::kPresent || !flag.asks(options, defaults)) continue;
    const auto source = sources.find(&flag);
    return NotSupported(source == sources.end() ? Spelled(flag) : source->second, flag.feature);
  }
  return absl::OkStatus();
}

// `--flag HINT` up to the column of explanations.
std::string HelpLine(const FlagSpec& flag) {
  std::string line =
      absl::StrCat("  ", Spelled(flag), flag.hint == nullptr ? "" : " ", flag.hint == nullptr ? "" : flag.hint);
  if (line.size() >= kHelpColumn) absl::StrAppend(&line, "\n", std::string(kHelpColumn, ' '));
  if (line.size() < kHelpColumn) line.append(kHelpColumn - line.size(), ' ');
  absl::StrAppend(&line, flag.help);
  if (flag.hint != nullptr && *flag.default_text != '\0') absl::StrAppend(&line, " (default ", flag.default_text, ")");
  if (flag.variable != nullptr) absl::StrAppend(&line, " [", flag.variable, "]");
  if (flag.feature != Feature::kPresent) absl::StrAppend(&line, " - not in this build");
  return absl::StrCat(line, "\n");
}

}  // namespace

absl::StatusOr<WeaverOptions> ParseWeaverOptions(absl::Span<const std::string> args, const Environment& environment,
                                                 const HostCheck& host_check) {
  WeaverOptions options;
  Parser parser(args, options);
  RETURN_IF_ERROR(parser.Run());
  if (options.action == WeaverAction::kPrintHelp || options.action == WeaverAction::kPrintVersion) return options;

  std::map<const FlagSpec*, std::string> sources;
  RETURN_IF_ERROR(ApplyEnvironment(environment, parser, options, sources));
  if (options.action != WeaverAction::kRun) return options;
  const char* restarted = environment(kRestartVariable);
  options.restarted = restarted != nullptr && *restarted != '\0';
  RETURN_IF_ERROR(CheckCombinations(options));
  if (host_check != nullptr) RETURN_IF_ERROR(host_check(options));
  RETURN_IF_ERROR(CheckSupported(options, sources));
  return options;
}

std::string WeaverHelp() {
  std::string text =
      "usage: weaver [flag...] [peer...]\n"
      "       weaver version | print-peer-name\n"
      "\n"
      "Runs the Weave Net peer of this host. A peer to connect to is host[:port].\n"
      "In [brackets]: the environment variable that counts when the flag is not given.\n";
  absl::string_view group;
  for (const FlagSpec& flag : FlagTable()) {
    if (group != flag.group) absl::StrAppend(&text, "\n", flag.group, ":\n");
    group = flag.group;
    absl::StrAppend(&text, HelpLine(flag));
  }
  return text;
}

}  // namespace weave
