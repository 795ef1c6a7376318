#include "sim/ring_checker.h"

#include <algorithm>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "ipam/ring.h"

namespace weave::sim {
namespace {

template <typename... Parts>
absl::Status BrokenRing(const Parts&... parts) {
  return absl::InternalError(absl::StrCat(parts...));
}

absl::btree_set<IpAddress> HeldOn(const Allocator& allocator) {
  absl::btree_set<IpAddress> held;
  for (const auto& [holder, record] : allocator.allocations())
    for (const Cidr& address : record.addresses) held.insert(address.address());
  return held;
}

AddressCount CountHeldIn(const absl::btree_set<IpAddress>& held, const AddressRange& range) {
  AddressCount count = 0;
  for (auto at = held.lower_bound(range.start); at != held.end() && range.Contains(*at); ++at) ++count;
  return count;
}

std::string TextOf(const RingEntry& entry) {
  return absl::StrCat(entry.token.ToString(), " of ", entry.peer.ToString(), " in version ", entry.version, " with ",
                      absl::Uint128Low64(entry.free), " free");
}

// The first entry in which `ring` is not as `other`.
absl::Status CheckSame(const std::string& name, const Ring& ring, const Ring& other,
                       const absl::btree_set<PeerName>& forgetful) {
  if (ring.seeds() != other.seeds()) return BrokenRing(name, " has other first owners than the others");
  const std::size_t count = std::min(ring.entries().size(), other.entries().size());
  for (std::size_t i = 0; i < count; ++i) {
    const RingEntry& entry = ring.entries()[i];
    RingEntry wanted = other.entries()[i];
    if (forgetful.contains(wanted.peer)) wanted.free = entry.free;
    if (entry != wanted) return BrokenRing(name, " has ", TextOf(entry), ", others have ", TextOf(wanted));
  }
  if (ring.entries().size() == other.entries().size()) return absl::OkStatus();
  return BrokenRing(name, " has ", ring.entries().size(), " entries, others have ", other.entries().size());
}

// What the owner says of its entries, against the addresses that its callers have.
absl::Status CheckFreeCounts(const Allocator& owner) {
  const Ring& ring = owner.ring();
  const absl::btree_set<IpAddress> held = HeldOn(owner);
  for (std::size_t i = 0; i < ring.entries().size(); ++i) {
    const RingEntry& entry = ring.entries()[i];
    if (entry.peer != owner.config().self) continue;
    AddressCount free = ring.SizeOf(i);
    for (const AddressRange& part : ring.PartsOf(i)) free -= CountHeldIn(held, part);
    if (entry.free != free)
      return BrokenRing(entry.peer.ToString(), " reports ", absl::Uint128Low64(entry.free), " free addresses from ",
                        entry.token.ToString(), " on, and has ", absl::Uint128Low64(free));
  }
  return absl::OkStatus();
}

// An address that who asks for one of `subnet` could be given.
std::optional<IpAddress> FreeIn(const Cidr& subnet, const Allocator& allocator) {
  const absl::btree_set<IpAddress> held = HeldOn(allocator);
  const AddressRange wanted = subnet.Range();
  for (const AddressRange& range : allocator.ring().RangesOf(allocator.config().self)) {
    for (absl::uint128 offset = 0; offset < range.size; ++offset) {
      const IpAddress address = AddressAt(range.start.family(), range.start.value() + offset);
      const bool inside = wanted.Contains(address) && address != wanted.start &&
                          address.value() + 1 != wanted.start.value() + wanted.size;
      if (inside && !held.contains(address)) return address;
    }
  }
  return std::nullopt;
}

}  // namespace

absl::Status CheckOwners(Allocators allocators) {
  struct Owned {
    AddressRange range;
    PeerName owner;
  };
  std::vector<Owned> owned;
  for (const Allocator* allocator : allocators) {
    if (allocator->stray_count() > 0)
      return BrokenRing(allocator->config().self.ToString(), " uses ", allocator->stray_count(),
                        " addresses that it does not own");
    for (const AddressRange& range : allocator->ring().RangesOf(allocator->config().self))
      owned.push_back({range, allocator->config().self});
  }
  std::sort(owned.begin(), owned.end(), [](const Owned& a, const Owned& b) { return a.range.start < b.range.start; });
  for (std::size_t i = 1; i < owned.size(); ++i)
    if (owned[i].range.Overlaps(owned[i - 1].range))
      return BrokenRing(owned[i - 1].owner.ToString(), " and ", owned[i].owner.ToString(), " both own ",
                        owned[i].range.start.ToString());
  return absl::OkStatus();
}

absl::Status CheckRings(Allocators allocators, const absl::btree_set<PeerName>& forgetful) {
  absl::btree_set<PeerName> peers;
  for (const Allocator* allocator : allocators) peers.insert(allocator->config().self);
  for (const Allocator* allocator : allocators) {
    const Allocator& first = *allocators.front();
    const std::string name = allocator->config().self.ToString();
    if (allocator->ring().empty()) return BrokenRing(name, " has no ring");
    RETURN_IF_ERROR(CheckSame(name, allocator->ring(), first.ring(), forgetful));
    if (allocator->council().state() != first.council().state())
      return BrokenRing(name, " knows another decision of the council than ", first.config().self.ToString());
    RETURN_IF_ERROR(CheckFreeCounts(*allocator));
  }
  AddressCount total = 0;
  for (const PeerName owner : allocators.front()->ring().Owners()) {
    if (!peers.contains(owner)) return BrokenRing(owner.ToString(), " owns addresses and is no more");
    total += allocators.front()->ring().CountOf(owner);
  }
  if (total != allocators.front()->ring().universe().size) return BrokenRing("the ring does not cover the range");
  return absl::OkStatus();
}

absl::Status CheckServed(Allocators allocators) {
  for (const Allocator* allocator : allocators) {
    const std::string name = allocator->config().self.ToString();
    const IpamStatus status = allocator->Status();
    if (allocator->ring().empty()) return BrokenRing(name, " waits for a ring");
    for (const IpamStatus::PendingClaim& claim : status.pending_claims)
      return BrokenRing("the claim of ", claim.address.ToString(), " by ", claim.ident, " waits at ", name);
    if (!status.removals.empty()) return BrokenRing("a removal waits at ", name);
    absl::btree_set<Cidr> subnets;
    for (const IpamStatus::PendingAllocation& waiting : status.pending_allocations) subnets.insert(waiting.subnet);
    for (const Cidr& subnet : subnets)
      for (const Allocator* other : allocators)
        if (const std::optional<IpAddress> free = FreeIn(subnet, *other))
          return BrokenRing(name, " waits for an address of ", subnet.ToString(), ", and ", free->ToString(),
                            " is free at ", other->config().self.ToString());
  }
  return absl::OkStatus();
}

absl::Status CheckGiven(const NetworkOracle& oracle, HostId host, const Allocator& allocator) {
  for (const auto& [holder, address] : oracle.GivenOn(host))
    if (allocator.HolderOf(address) != holder)
      return BrokenRing(address.ToString(), " was given to ", holder, ", and the allocator has it of ",
                        allocator.HolderOf(address).value_or("nobody"));
  return absl::OkStatus();
}

}  // namespace weave::sim
