// Who this machine is: the peer name derived from what stays the same on it (spec/overlay.md section 9, contract
// A7-15), its hostname, and which boot this is.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/peer_name.h"

namespace weave {

struct IdentityOptions {
  std::string host_root;          // where the host's root is mounted; empty: here (contract A3-27b)
  std::string sys_path = "/sys";  // not under host_root: /sys shows the machine from everywhere
  std::string proc_path = "/proc";
};

// From machine-id and the machine's UUID, or the one of them that exists. Neither: FailedPrecondition naming the files.
absl::StatusOr<PeerName> DerivePeerName(const IdentityOptions& options);

// From the UUID alone, as old versions did: a persisted name that equals it is kept. No UUID: NotFound.
absl::StatusOr<PeerName> DerivePeerNameFromUuid(const IdentityOptions& options);

absl::StatusOr<std::string> Hostname();

// The kernel's random name of this boot: differs after every reboot.
absl::StatusOr<std::string> BootId(const IdentityOptions& options);

}  // namespace weave
