#include "plugin/docker/network_options.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "io/file.h"

namespace weave {
namespace {

constexpr char kMulticast[] = "multicast";
constexpr char kPlain[] = "plain";

}  // namespace

NetworkOptions::NetworkOptions(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const std::string text = ReadSmallFile(path_).value_or("");
  const MutexLock lock(&mutex_);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() == 2 && (words[1] == kMulticast || words[1] == kPlain))
      multicast_[std::string(words[0])] = words[1] == kMulticast;
  }
}

std::optional<bool> NetworkOptions::MulticastOf(absl::string_view network_id) const {
  const MutexLock lock(&mutex_);
  const auto found = multicast_.find(network_id);
  if (found == multicast_.end()) return std::nullopt;
  return found->second;
}

absl::Status NetworkOptions::Set(absl::string_view network_id, bool multicast) {
  const MutexLock lock(&mutex_);
  const auto [entry, added] = multicast_.try_emplace(std::string(network_id), multicast);
  if (!added && entry->second == multicast) return absl::OkStatus();
  entry->second = multicast;
  return Save();
}

absl::Status NetworkOptions::Remove(absl::string_view network_id) {
  const MutexLock lock(&mutex_);
  return multicast_.erase(std::string(network_id)) > 0 ? Save() : absl::OkStatus();
}

absl::Status NetworkOptions::Save() const {
  if (path_.empty() || multicast_.size() > kMaxNetworkCount) return absl::OkStatus();
  std::string text;
  for (const auto& [id, multicast] : multicast_) absl::StrAppend(&text, id, " ", multicast ? kMulticast : kPlain, "\n");
  RETURN_IF_ERROR(EnsureDirectory(DirectoryOf(path_)));
  return WriteFileAtomically(path_, text);
}

}  // namespace weave
