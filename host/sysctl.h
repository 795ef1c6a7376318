// Writing kernel settings under /proc/sys/net, which shows the network namespace of the calling thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave {

// `name` with slashes: `net/ipv4/neigh/weave/ucast_solicit`. `proc_path` is where the host's /proc is mounted
// (contract A3-27a). A setting that this kernel does not have: NotFound.
absl::Status WriteSysctl(absl::string_view proc_path, absl::string_view name, absl::string_view value);

// The value without its final newline.
absl::StatusOr<std::string> ReadSysctl(absl::string_view proc_path, absl::string_view name);

// Neighbour cache settings of the bridge and of container interfaces: entries of a re-used address age quickly
// (spec/overlay.md section 6).
absl::Status TuneArpCache(absl::string_view proc_path, absl::string_view interface);

// The kernel announces the interface's addresses by gratuitous ARP when it comes up or gets a MAC.
absl::Status AnnounceMacChanges(absl::string_view proc_path, absl::string_view interface);

// No router advertisement from the overlay changes this interface (contract A7-17). A kernel without IPv6 is fine.
absl::Status IgnoreRouterAdvertisements(absl::string_view proc_path, absl::string_view interface);

}  // namespace weave
