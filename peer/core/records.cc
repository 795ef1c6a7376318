#include "peer/core/records.h"

#include "absl/strings/str_cat.h"

namespace weave {

std::string IdentityKey() { return "identity"; }

std::string EndpointKey(std::uint64_t netns_inode) { return absl::StrCat("endpoint/", netns_inode); }

std::string ExposureKey(const IpAddress& address) { return absl::StrCat("exposure/", address.ToString()); }

std::string DirectPeersKey() { return "direct-peers"; }

}  // namespace weave
