#include "plugin/docker/network_options.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "host/frame_gate.h"
#include "io/file.h"

namespace weave {
namespace {

constexpr char kMulticast[] = "multicast";
constexpr char kPlain[] = "plain";
constexpr char kIsolatedTo[] = "isolated:";

absl::StatusOr<bool> ReadSwitch(const std::map<std::string, std::string>& options, const char* option) {
  const auto found = options.find(option);
  if (found == options.end()) return false;
  const std::string& value = found->second;
  for (const char* yes : {"", "1", "t", "T", "TRUE", "true", "True"})
    if (value == yes) return true;
  for (const char* no : {"0", "f", "F", "FALSE", "false", "False"})
    if (value == no) return false;
  return absl::InvalidArgumentError(
      absl::StrCat("unrecognized value \"", absl::Utf8SafeCHexEscape(value), "\" for option ", option));
}

// A network's line: its id, then what it has.
std::string FormatLine(const std::string& id, const NetworkSettings& settings) {
  std::string line = absl::StrCat(id, " ", settings.multicast ? kMulticast : kPlain);
  if (!settings.isolated_to.empty())
    absl::StrAppend(&line, " ", kIsolatedTo,
                    absl::StrJoin(settings.isolated_to, ",",
                                  [](std::string* out, const Cidr& subnet) { out->append(subnet.ToString()); }));
  return line;
}

// nullopt: no such line.
std::optional<std::pair<std::string, NetworkSettings>> ParseLine(absl::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  if (words.size() < 2 || words.size() > 3 || (words[1] != kMulticast && words[1] != kPlain)) return std::nullopt;
  NetworkSettings settings;
  settings.multicast = words[1] == kMulticast;
  if (words.size() == 3) {
    absl::string_view subnets = words[2];
    if (!absl::ConsumePrefix(&subnets, kIsolatedTo)) return std::nullopt;
    for (const absl::string_view text : absl::StrSplit(subnets, ',')) {
      const absl::StatusOr<Cidr> subnet = Cidr::Parse(text);
      if (!subnet.ok()) return std::nullopt;
      settings.isolated_to.push_back(*subnet);
    }
    if (!CheckGateSubnets(settings.isolated_to).ok()) return std::nullopt;
  }
  return std::make_pair(std::string(words[0]), std::move(settings));
}

}  // namespace

absl::StatusOr<NetworkSettings> ReadNetworkSettings(const std::map<std::string, std::string>& options,
                                                    const std::vector<Cidr>& subnets) {
  NetworkSettings settings;
  ASSIGN_OR_RETURN(settings.multicast, ReadSwitch(options, kMulticastOption));
  ASSIGN_OR_RETURN(const bool isolated, ReadSwitch(options, kIsolatedOption));
  if (!isolated) return settings;
  RETURN_IF_ERROR(Annotate(CheckGateSubnets(subnets), absl::StrCat("option ", kIsolatedOption)));
  settings.isolated_to = subnets;
  return settings;
}

NetworkOptions::NetworkOptions(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const std::string text = ReadSmallFile(path_).value_or("");
  const MutexLock lock(&mutex_);
  for (const absl::string_view line : absl::StrSplit(text, '\n'))
    if (std::optional<std::pair<std::string, NetworkSettings>> network = ParseLine(line))
      networks_.insert(*std::move(network));
}

std::optional<NetworkSettings> NetworkOptions::Find(absl::string_view network_id) const {
  const MutexLock lock(&mutex_);
  const auto found = networks_.find(network_id);
  if (found == networks_.end()) return std::nullopt;
  return found->second;
}

absl::Status NetworkOptions::Set(absl::string_view network_id, NetworkSettings settings) {
  const MutexLock lock(&mutex_);
  const auto [entry, added] = networks_.try_emplace(std::string(network_id), settings);
  if (!added && entry->second == settings) return absl::OkStatus();
  entry->second = std::move(settings);
  return Save();
}

absl::Status NetworkOptions::Remove(absl::string_view network_id) {
  const MutexLock lock(&mutex_);
  return networks_.erase(std::string(network_id)) > 0 ? Save() : absl::OkStatus();
}

absl::Status NetworkOptions::Save() const {
  if (path_.empty() || networks_.size() > kMaxNetworkCount) return absl::OkStatus();
  std::string text;
  for (const auto& [id, settings] : networks_) absl::StrAppend(&text, FormatLine(id, settings), "\n");
  RETURN_IF_ERROR(EnsureDirectory(DirectoryOf(path_)));
  return WriteFileAtomically(path_, text);
}

}  // namespace weave
