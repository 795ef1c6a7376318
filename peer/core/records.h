// What a peer remembers over a restart. The shell writes these as protobuf (proto/weave/v1/record.proto); the
// simulator's disk keeps them as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "ipam/ipam_records.h"
#include "wire/topology.h"

namespace weave {

// A container's network namespace, as resolved from what the user typed.
struct SandboxRef {
  std::string ident;              // container id (64 hex digits), or 12 hex digits of the namespace for a pid or path
  std::string netns_path;         // absolute; leads to the namespace while the container lives
  std::uint64_t netns_inode = 0;  // the namespace's identity within this boot

  friend bool operator==(const SandboxRef&, const SandboxRef&) = default;
};

// Bytes: the most that an interface can have.
inline constexpr std::size_t kMaxInterfaceMtu = 65535;

// The name this peer had, so that it keeps it (contract A7-15), during which boot of the machine, and what it was in
// the network: how tunnels called it, and what its containers' interfaces could have.
struct IdentityRecord {
  PeerName name;
  std::string boot_id = {};                       // empty: not known
  std::optional<ShortId> short_id = {};           // none: not known
  std::optional<std::size_t> interface_mtu = {};  // bytes; none: not known

  friend bool operator==(const IdentityRecord&, const IdentityRecord&) = default;
};

// A sandbox and the addresses it shall have. Written before the host is changed, so that a crash in between leaves a
// record to compare with the host, never an interface that nobody remembers.
struct EndpointRecord {
  SandboxRef sandbox;
  std::string boot_id;          // namespaces of another boot are gone
  std::vector<Cidr> addresses;  // in the order they were asked for, no address twice; empty: about to be removed
  bool multicast_route = true;  // link-scope route for 224.0.0.0/4

  friend bool operator==(const EndpointRecord&, const EndpointRecord&) = default;
};

// An address of the host in the overlay (`weave expose`).
struct ExposureRecord {
  Cidr cidr;
  bool masquerade = true;

  friend bool operator==(const ExposureRecord&, const ExposureRecord&) = default;
};

// What the core takes of named peers: their number, and bytes of one as it was given.
inline constexpr std::size_t kMaxDirectPeerCount = 512;
inline constexpr std::size_t kMaxDirectPeerSize = 300;  // a host name of 253, a port

// The peers the user named, as given: what a restart connects to again (contract A2-05, A2-10).
struct DirectPeersRecord {
  std::vector<std::string> peers;

  friend bool operator==(const DirectPeersRecord&, const DirectPeersRecord&) = default;
};

// A name of our own in the network: an entry of the registry that is alive (dns/name_registry.h).
struct NameRecord {
  std::string holder;
  IpAddress address;
  std::string hostname;  // fully qualified
  std::int64_t version = 0;

  friend bool operator==(const NameRecord&, const NameRecord&) = default;
};

// Those of the allocator stand in ipam/ipam_records.h.
using Record = std::variant<IdentityRecord, EndpointRecord, ExposureRecord, DirectPeersRecord, RingRecord, PaxosRecord,
                            AllocationRecord, NameRecord>;

struct RecordChange {
  std::string key;              // see the Key functions
  std::optional<Record> value;  // nullopt erases

  friend bool operator==(const RecordChange&, const RecordChange&) = default;
};

// Keys are stable across versions: they name rows on disk.
std::string IdentityKey();
std::string EndpointKey(std::uint64_t netns_inode);
std::string ExposureKey(const IpAddress& address);
std::string DirectPeersKey();
std::string NameKey(absl::string_view holder, const IpAddress& address, absl::string_view hostname);

// Between the allocator's vocabulary and that of the whole peer.
Record ToRecord(const IpamRecord& record);
std::optional<IpamRecord> ToIpamRecord(const Record& record);  // none: not the allocator's

}  // namespace weave
