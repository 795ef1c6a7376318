// Containers on the bridge whose interfaces others made, for `weave ps`: CNI's, Docker's networks'.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/mac.h"
#include "host/sandbox.h"

namespace weave {

struct BridgeEndpoint {
  // The container's, as CNI or Docker has it; 12 hex digits of the namespace's inode where nobody tells.
  std::string id;
  std::string host_ifname;
  std::uint64_t netns_inode = 0;
  MacAddress mac;
  std::vector<Cidr> addresses;
};

// All container interfaces in the bridge that lead to a container, in the order of their names here; those of `weave
// attach` too. Docker is asked for ids when it made one of them, and `options` say where processes are looked for.
// Blocks: not for the loop's thread.
absl::StatusOr<std::vector<BridgeEndpoint>> ListBridgeEndpoints(absl::string_view bridge,
                                                                const SandboxOptions& options);

}  // namespace weave
