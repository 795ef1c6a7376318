// One name of one address, as the peers of a network replicate it (spec/dns.md section 1).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>

#include "base/peer_name.h"

namespace weave {

struct NameEntry {
  std::string container;  // a container's id, or any other text: who has the address
  PeerName origin;        // the peer that made the entry; nobody else changes it
  std::uint32_t address = 0;
  std::string hostname;        // fully qualified, with the final dot, in the user's spelling
  std::int64_t version = 0;    // of two of one identity the higher one counts
  std::int64_t tombstone = 0;  // 0: alive; else when it was deleted, seconds since 1970

  bool alive() const { return tombstone == 0; }

  friend bool operator==(const NameEntry&, const NameEntry&) = default;
};

// Entries are shared between the registry and what waits to be sent; a change makes another one.
using NameEntryPtr = std::shared_ptr<const NameEntry>;

// What makes two entries the same one, in the order of the wire.
inline auto IdentityOf(const NameEntry& entry) {
  return std::tie(entry.hostname, entry.origin, entry.container, entry.address);
}

struct NameIdentityLess {
  bool operator()(const NameEntryPtr& a, const NameEntryPtr& b) const { return IdentityOf(*a) < IdentityOf(*b); }
};

// Of two of one identity.
inline bool IsNewer(const NameEntry& a, const NameEntry& b) {
  return std::tie(a.version, a.tombstone) > std::tie(b.version, b.tombstone);
}

}  // namespace weave
