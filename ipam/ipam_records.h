// What an allocator remembers over a restart. The rows of other components stand in peer/core/records.h.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "ipam/council_state.h"
#include "ipam/paxos.h"
#include "ipam/ring.h"

namespace weave {

// The ring as this peer may tell it. Of another peer name or universe than today's, it is set aside with all addresses
// (contract A5-12).
struct RingRecord {
  PeerName self;
  AddressRange universe;
  std::vector<RingEntry> entries;
  std::vector<PeerName> seeds;
  absl::btree_map<PeerName, std::string> nicknames;  // of the owners, so that `rmpeer` knows them after a restart
  // In one row with the ring: a takeover is carried out once, whatever is lost in between. None: of a version without.
  std::optional<CouncilMemory> council;

  friend bool operator==(const RingRecord&, const RingRecord&) = default;
};

// Promises and votes, while there is no ring. `node` stays the same over restarts until then.
struct PaxosRecord {
  PaxosNodeId node;
  PaxosClaims claims;

  friend bool operator==(const PaxosRecord&, const PaxosRecord&) = default;
};

// Who says that addresses are free again.
enum class Upkeep : std::uint8_t {
  kHolder,     // who asked for them, or the end of the container
  kDocker,     // the Docker plugin; or it says that Docker knows nothing of them any more
  kInterface,  // nobody: they are free when no interface of this host has them
};

// The addresses of one holder: a container id, `weave:expose`, or the text of the address where the holder is unknown.
struct AllocationRecord {
  std::string ident;
  std::vector<Cidr> addresses;  // in the order they were given; at least one
  bool is_container = false;    // its life is watched
  Upkeep upkeep = Upkeep::kHolder;

  friend bool operator==(const AllocationRecord&, const AllocationRecord&) = default;
};

using IpamRecord = std::variant<RingRecord, PaxosRecord, AllocationRecord>;

struct IpamRecordChange {
  std::string key;
  std::optional<IpamRecord> value;  // none: erased

  friend bool operator==(const IpamRecordChange&, const IpamRecordChange&) = default;
};

// Keys are stable across versions: they name rows on disk.
std::string RingKey();
std::string PaxosKey();
std::string AllocationKey(absl::string_view ident);
// None: not the key of an allocation.
std::optional<std::string> IdentOfKey(absl::string_view key);

}  // namespace weave
