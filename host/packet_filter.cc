#include "host/packet_filter.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "io/subprocess.h"

namespace weave {
namespace {

constexpr std::size_t kLegacyWins = 10;  // contract A14-08
constexpr int kAttempts = 3;
constexpr std::size_t kMaxDumpSize = 64 << 20;  // some 400,000 rules

FirewallBackend Other(FirewallBackend backend) {
  return backend == FirewallBackend::kNft ? FirewallBackend::kLegacy : FirewallBackend::kNft;
}

std::vector<std::string> SearchPath(const PacketFilterOptions& options) {
  if (!options.search_path.empty()) return options.search_path;
  const char* path = std::getenv("PATH");
  std::vector<std::string> directories = absl::StrSplit(path == nullptr ? "" : path, ':', absl::SkipEmpty());
  directories.insert(directories.end(), {"/usr/local/sbin", "/usr/sbin", "/sbin"});
  return directories;
}

// The path of a program, "" when it is in none of the directories.
std::string FindProgram(absl::string_view name, const PacketFilterOptions& options) {
  for (const std::string& directory : SearchPath(options)) {
    std::string path = absl::StrCat(directory, "/", name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

// "iptables-restore v1.8.9 (nf_tables)"; before 1.8 there was only legacy and no word in brackets.
std::optional<FirewallBackend> BackendOf(const std::string& program, Duration deadline) {
  SubprocessOptions options;
  options.argv = {program, "--version"};
  options.timeout = deadline;
  const absl::StatusOr<SubprocessResult> result = RunSubprocess(options);
  if (!result.ok() || !result->succeeded()) return std::nullopt;
  return absl::StrContains(result->output, "nf_tables") ? FirewallBackend::kNft : FirewallBackend::kLegacy;
}

std::string LastLine(absl::string_view text) {
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  // The legacy programs end with advice on their own options.
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (!absl::StartsWith(*line, "Try `") && !absl::StartsWith(*line, "Perhaps ")) return std::string(*line);
  }
  return "";
}

// What a failed program means to the caller, by what it said (iptables 1.8, xshared.c, libiptc.c, nft.c).
absl::Status ProgramError(const std::string& program, const SubprocessResult& result) {
  const std::string& said = result.error_output;
  const auto says = [&](absl::string_view words) { return absl::StrContains(said, words); };
  const std::string text = absl::StrCat(
      program, " failed: ", LastLine(said).empty() ? absl::StrCat("exit status ", result.exit_status) : LastLine(said));
  if (says("xtables lock")) return absl::UnavailableError(absl::StrCat(text, " (the lock is held by another program)"));
  if (says("you must be root") || says("Permission denied") || says("Operation not permitted")) {
    return absl::PermissionDeniedError(absl::StrCat(text, " (root is needed)"));
  }
  if (says("do you need to insmod") || says("can't initialize iptables table") || says("Failed to initialize nft") ||
      says("Could not fetch rule set generation id") || says("missing kernel module")) {
    return absl::UnimplementedError(absl::StrCat(
        text, " (this kernel lacks what the program needs; IPTABLES_BACKEND=nft or legacy selects another)"));
  }
  if (says("is incompatible")) return absl::FailedPreconditionError(text);
  return absl::AbortedError(text);
}

}  // namespace

absl::string_view ToString(FirewallBackend backend) { return backend == FirewallBackend::kNft ? "nft" : "legacy"; }

absl::StatusOr<std::optional<FirewallBackend>> ParseFirewallBackend(absl::string_view text) {
  if (text.empty() || text == "auto") return std::optional<FirewallBackend>();
  if (text == "nft") return std::optional<FirewallBackend>(FirewallBackend::kNft);
  if (text == "legacy") return std::optional<FirewallBackend>(FirewallBackend::kLegacy);
  return absl::InvalidArgumentError(absl::StrCat("packet filter: back end \"", text, "\" is not auto, nft or legacy"));
}

PacketFilter::PacketFilter(FirewallBackend backend, std::string save, std::string restore,
                           const PacketFilterOptions& options)
    : backend_(backend),
      save_(std::move(save)),
      restore_(std::move(restore)),
      deadline_(options.deadline),
      lock_wait_seconds_(options.lock_wait_seconds) {}

absl::StatusOr<PacketFilter> PacketFilter::Find(FirewallBackend backend, const PacketFilterOptions& options) {
  const std::string name = absl::StrCat("iptables-", ToString(backend));
  std::string save = FindProgram(name + "-save", options);
  std::string restore = FindProgram(name + "-restore", options);
  if (save.empty() || restore.empty()) {  // some systems install one back end, under the plain name only
    save = FindProgram("iptables-save", options);
    restore = FindProgram("iptables-restore", options);
    if (!restore.empty() && BackendOf(restore, options.deadline) != backend) restore.clear();
  }
  if (!save.empty() && !restore.empty()) return PacketFilter(backend, save, restore, options);
  return absl::NotFoundError(absl::StrCat("packet filter: no ", name, "-save and ", name, "-restore in ",
                                          absl::StrJoin(SearchPath(options), ", "), "; install the package iptables"));
}

absl::StatusOr<PacketFilter> PacketFilter::Detect(const PacketFilterOptions& options) {
  if (options.backend) return Find(*options.backend, options);
  absl::StatusOr<PacketFilter> nft = Find(FirewallBackend::kNft, options);
  absl::StatusOr<PacketFilter> legacy = Find(FirewallBackend::kLegacy, options);
  if (!nft.ok() && !legacy.ok()) {
    return absl::NotFoundError(
        absl::StrCat("packet filter: neither iptables-nft-restore nor iptables-legacy-restore in ",
                     absl::StrJoin(SearchPath(options), ", "), "; install the package iptables"));
  }
  if (!nft.ok()) return legacy;
  if (!legacy.ok()) return nft;

  const absl::StatusOr<std::size_t> legacy_count = legacy->CountForeignRules();
  if (!legacy_count.ok()) return nft;
  if (*legacy_count >= kLegacyWins) return legacy;
  const absl::StatusOr<std::size_t> nft_count = nft->CountForeignRules();
  if (!nft_count.ok()) return legacy;
  if (*legacy_count != *nft_count) return *legacy_count > *nft_count ? legacy : nft;

  const std::string plain = FindProgram("iptables-restore", options);
  const bool says_legacy = !plain.empty() && BackendOf(plain, options.deadline) == FirewallBackend::kLegacy;
  return says_legacy ? legacy : nft;
}

absl::Status PacketFilter::RemoveFromAll(const FirewallOwner& owner, const PacketFilterOptions& options) {
  absl::Status worst;
  for (FirewallBackend backend : {FirewallBackend::kNft, FirewallBackend::kLegacy}) {
    const absl::StatusOr<PacketFilter> filter = Find(backend, options);
    if (absl::IsNotFound(filter.status())) continue;
    absl::Status status = filter.ok() ? filter->Remove(owner) : filter.status();
    if (!status.ok()) worst = status;  // the other one is still to be cleaned
  }
  return worst;
}

absl::Status PacketFilter::RemoveFromOther(const FirewallOwner& owner, const PacketFilterOptions& options) const {
  const absl::StatusOr<PacketFilter> other = Find(Other(backend_), options);
  if (absl::IsNotFound(other.status())) return absl::OkStatus();
  RETURN_IF_ERROR(other.status());
  return other->Remove(owner);
}

absl::StatusOr<FirewallDiff> PacketFilter::Apply(const RuleSet& rules) const {
  const auto find = [&](const FirewallDump& dump) { return FindOurs(dump, rules.owner, OwnedScope::kRuleSet); };
  return Reconcile(rules, find, kOwnNamespace, true);
}

absl::StatusOr<FirewallDiff> PacketFilter::Verify(const RuleSet& rules) const {
  ASSIGN_OR_RETURN(const FirewallDump dump, Read());
  return DiffFirewall(dump, rules, FindOurs(dump, rules.owner, OwnedScope::kRuleSet));
}

absl::Status PacketFilter::Remove(const FirewallOwner& owner) const {
  const auto find = [&](const FirewallDump& dump) { return FindOurs(dump, owner, OwnedScope::kEverything); };
  const absl::Status status = Reconcile(RuleSet{}, find, kOwnNamespace, true).status();
  // What the kernel has no tables for holds no rules of ours.
  return absl::IsUnimplemented(status) ? absl::OkStatus() : status;
}

absl::Status PacketFilter::ApplyInSandbox(int netns_fd, absl::string_view interface,
                                          const std::vector<Cidr>& subnets) const {
  ASSIGN_OR_RETURN(const RuleSet rules, BuildSandboxRuleSet(interface, subnets));
  const auto find = [&](const FirewallDump& dump) { return FindOursInSandbox(dump, interface); };
  // Nobody watches over these rules: they are written once, and once is enough.
  return Annotate(Reconcile(rules, find, netns_fd, false).status(), absl::StrCat("multicast rules of ", interface));
}

absl::Status PacketFilter::RemoveInSandbox(int netns_fd, absl::string_view interface) const {
  return ApplyInSandbox(netns_fd, interface, {});
}

absl::StatusOr<FirewallDiff> PacketFilter::Reconcile(const RuleSet& rules, FindOwned find_owned, int netns_fd,
                                                     bool confirm) const {
  std::optional<FirewallDiff> first;
  absl::Status last;
  // The round after a restore confirms it, or tries again when somebody else was quicker.
  for (int attempt = 0; attempt <= kAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const FirewallDump dump, Dump(netns_fd));
    FirewallDiff diff = DiffFirewall(dump, rules, find_owned(dump));
    if (!first) first = diff;
    if (diff.Matches()) return *std::move(first);
    if (attempt == kAttempts) {
      return absl::AbortedError(absl::StrCat("packet filter: after ", kAttempts, " attempts still ", diff.Summary(),
                                             last.ok() ? "" : "; ", last.message()));
    }
    last = Restore(diff.restore_text, netns_fd);
    if (last.ok() && !confirm) return *std::move(first);
    if (!last.ok() && !absl::IsAborted(last)) return last;
  }
  return last;
}

absl::StatusOr<FirewallDump> PacketFilter::Read() const { return Dump(kOwnNamespace); }

absl::StatusOr<bool> PacketFilter::RejectsForwarding() const {
  ASSIGN_OR_RETURN(const FirewallDump dump, Read());
  const auto filter = dump.find(FirewallTable::kFilter);
  const DumpedChain* forward = filter == dump.end() ? nullptr : filter->second.Find("FORWARD");
  if (forward == nullptr) return false;
  const RuleParts reject(kForwardReject);
  return std::any_of(forward->rules.begin(), forward->rules.end(),
                     [&](const std::string& rule) { return RuleParts(rule) == reject; });
}

absl::StatusOr<std::vector<IpsecPath>> PacketFilter::ListIpsecPaths() const {
  ASSIGN_OR_RETURN(const FirewallDump dump, Read());
  return FindIpsecPaths(dump);
}

absl::StatusOr<std::size_t> PacketFilter::CountForeignRules() const {
  ASSIGN_OR_RETURN(const std::string text, Save(kOwnNamespace));
  std::size_t count = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "-A ")) continue;
    const std::pair<absl::string_view, absl::string_view> chain_and_rule =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (IsWeaveChain(chain_and_rule.first) || IsWeaveChain(RuleParts(chain_and_rule.second).Target())) continue;
    ++count;
  }
  return count;
}

absl::StatusOr<std::string> PacketFilter::Save(int netns_fd) const {
  SubprocessOptions options;
  options.argv = {save_};
  options.timeout = deadline_;
  options.netns_fd = netns_fd;
  options.max_output_size = kMaxDumpSize;
  ASSIGN_OR_RETURN(SubprocessResult result, RunSubprocess(options));
  if (!result.succeeded()) return Annotate(ProgramError(save_, result), "packet filter");
  if (result.truncated) {
    return absl::ResourceExhaustedError(
        absl::StrCat("packet filter: ", save_, " printed more than ", kMaxDumpSize >> 20, " MiB"));
  }
  return std::move(result.output);
}

absl::StatusOr<FirewallDump> PacketFilter::Dump(int netns_fd) const {
  ASSIGN_OR_RETURN(const std::string text, Save(netns_fd));
  return ParseFirewallDump(text);
}

absl::Status PacketFilter::Restore(const std::string& text, int netns_fd) const {
  SubprocessOptions options;
  options.argv = {restore_, "--noflush", "-w", absl::StrCat(lock_wait_seconds_)};
  options.input = text;
  options.timeout = deadline_;
  options.netns_fd = netns_fd;
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(options));
  return result.succeeded() ? absl::OkStatus() : Annotate(ProgramError(restore_, result), "packet filter");
}

}  // namespace weave
