// What users asked for when they made a Docker network. Docker tells a driver once, and makes containers' endpoints
// long after, also while it starts and cannot be asked itself: so it is kept in a file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "io/mutex.h"

namespace weave {

inline constexpr char kMulticastOption[] = "works.weave.multicast";  // the multicast route
inline constexpr char kIsolatedOption[] = "works.weave.isolated";    // no frames to or from other networks

struct NetworkSettings {
  bool multicast = false;
  std::vector<Cidr> isolated_to;  // its own subnets, when its containers are kept to them; else empty

  friend bool operator==(const NetworkSettings&, const NetworkSettings&) = default;
};

// Of a network with these options and IPv4 subnets. Values are blank, which is true, or as for strconv.ParseBool.
// Other options are passed over. InvalidArgument names the option and what is accepted.
absl::StatusOr<NetworkSettings> ReadNetworkSettings(const std::map<std::string, std::string>& options,
                                                    const std::vector<Cidr>& subnets);

// Any thread. A file that cannot be read counts as empty: networks are then asked for.
class NetworkOptions {
 public:
  static constexpr std::size_t kMaxNetworkCount = 10'000;  // beyond that the file is not written

  // `path` empty: nothing is kept.
  explicit NetworkOptions(std::string path);

  std::optional<NetworkSettings> Find(absl::string_view network_id) const;
  // Ids have no blanks and line ends (IsContainerName).
  absl::Status Set(absl::string_view network_id, NetworkSettings settings);
  absl::Status Remove(absl::string_view network_id);

 private:
  absl::Status Save() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  mutable Mutex mutex_;
  std::map<std::string, NetworkSettings, std::less<>> networks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace weave
