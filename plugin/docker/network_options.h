// Which Docker networks want the multicast route. Docker tells a driver once, when a network is made, and asks for its
// containers' routes long after, also while it starts and cannot be asked itself: so it is kept in a file.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "io/mutex.h"

namespace weave {

// Any thread. A file that cannot be read counts as empty: networks are then asked for.
class NetworkOptions {
 public:
  static constexpr std::size_t kMaxNetworkCount = 10'000;  // beyond that the file is not written

  // `path` empty: nothing is kept.
  explicit NetworkOptions(std::string path);

  std::optional<bool> MulticastOf(absl::string_view network_id) const;
  // Ids have no blanks and line ends (IsContainerName).
  absl::Status Set(absl::string_view network_id, bool multicast);
  absl::Status Remove(absl::string_view network_id);

 private:
  absl::Status Save() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  mutable Mutex mutex_;
  std::map<std::string, bool, std::less<>> multicast_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace weave
