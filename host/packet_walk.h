// What the packet filter would do to a packet, told from a dump of its rules. Pure: for those who explain why something
// does not arrive, not for those who decide.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "host/firewall_dump.h"

namespace weave {

// The first packet of a flow that nobody translates; IPv4, to one receiver.
struct WalkedPacket {
  std::string in_interface;              // empty: not known, or none
  std::string out_interface;             // the same
  std::optional<IpAddress> source;       // none: not known
  std::optional<IpAddress> destination;  // the same
  std::string protocol;                  // "tcp", "udp"
  std::uint16_t port = 0;                // of the destination; 0: not known
  bool from_us = false;                  // the source is an address of this host
  bool to_us = false;                    // the destination is
};

struct WalkResult {
  enum class Fate : std::uint8_t {
    kAccepted,
    kDropped,  // REJECT, too
    kUnclear,  // dropped, unless a rule before accepts it whose conditions cannot be told from the packet
  };

  Fate fate = Fate::kAccepted;
  std::string chain;  // where it ends
  std::string rule;   // that ends it; empty: the policy of `chain`
};

// Walks the table filter from a built-in chain on. A condition that cannot be judged counts as met by a rule that
// accepts and as not met by one that drops, so that kDropped is certain. No such chain: accepted.
WalkResult WalkFilter(const FirewallDump& dump, absl::string_view chain, const WalkedPacket& packet);

}  // namespace weave
