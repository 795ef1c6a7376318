// Telling everybody on a link which MAC an address has now (contract A7-09: a re-used address is reachable at once).
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/mac.h"

namespace weave {

// Broadcasts an ARP announcement (RFC 5227 section 3) for `address`, IPv4, on a link of the calling thread's namespace.
absl::Status AnnounceAddress(int link_index, const MacAddress& mac, const IpAddress& address);

// The Ethernet frame of that announcement.
Bytes ArpAnnouncement(const MacAddress& mac, const IpAddress& address);

}  // namespace weave
