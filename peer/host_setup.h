// What a peer must know and check about its host before it changes anything, and what it takes away when nothing is to
// stay.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "host/firewall_rules.h"
#include "host/netlink.h"
#include "peer/core/peer_identity.h"
#include "peer/core/records.h"
#include "peer/flags.h"

namespace weave {

// The name of this peer (spec/overlay.md section 9). A random one is logged as a warning: it survives in the store
// only.
absl::StatusOr<PeerIdentity> FindPeerIdentity(const WeaverOptions& options, Netlink& netlink,
                                              const std::vector<Record>& records, Logger& logger);

// The name a peer with these options would take if it had no store.
absl::StatusOr<PeerName> PeerNameWithoutStore(const WeaverOptions& options);

// The rules' view of the options. NotFound when the Docker bridge is asked for and not there (contract A3-06b).
absl::StatusOr<FirewallConfig> MakeFirewallConfig(const WeaverOptions& options, Netlink& netlink);

// A line about --ipalloc-range colliding with a route of this host; none when it does not (contract A1-12).
absl::StatusOr<std::optional<std::string>> FindRangeOverlap(const WeaverOptions& options);

// FailedPrecondition when the default range collides. Whoever named another one is only warned
// (contract A2-04), but for a managed plugin (contract A4-15f).
absl::Status CheckRangeOverlap(const WeaverOptions& options);

// `--cleanup`: takes away what a peer that no longer runs left on the host. Nothing there is success.
absl::Status CleanUpHost(const WeaverOptions& options);

}  // namespace weave
