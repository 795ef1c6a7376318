// What the flags say about the name server, in the words of its sockets.
#pragma once

#include "absl/status/statusor.h"
#include "dns/os/dns_server.h"
#include "peer/flags.h"

namespace weave {

// InvalidArgument when --dns-listen-address has no IP address.
absl::StatusOr<DnsServerOptions> MakeDnsServerOptions(const WeaverOptions& options);

}  // namespace weave
