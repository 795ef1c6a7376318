// What the flags say about the network, in the words of the core and of its sockets.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/peer_name.h"
#include "peer/core/peer_core.h"
#include "peer/core/records.h"
#include "peer/flags.h"
#include "peer/network_port.h"

namespace weave {

// InvalidArgument when --host is no IP address.
absl::StatusOr<NetworkPortOptions> MakeNetworkPortOptions(const WeaverOptions& options);

// The peers to dial first, as the user gave them: those of the command line; with --resume, and after a crash, those of
// the last run.
std::vector<std::string> FirstPeers(const WeaverOptions& options, const std::vector<Record>& records);

// `first_peers` are not looked up yet: the core knows their texts only.
PeerConfig MakePeerConfig(const WeaverOptions& options, PeerName name, absl::string_view nickname,
                          absl::string_view boot_id, const std::vector<std::string>& first_peers);

}  // namespace weave
