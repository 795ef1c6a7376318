#include "ipam/legacy_store.h"

#include <cstdint>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "ipam/ipam_messages.h"
#include "wire/bolt_file.h"
#include "wire/gob.h"

namespace weave {

struct StoredCidr {
  std::uint32_t address = 0;
  std::int64_t prefix_length = 0;
};

struct StoredHolding {
  bool is_container = false;
  std::vector<StoredCidr> cidrs;
};

template <>
struct GobDescription<StoredCidr>
    : GobStruct<"CIDR", GobField<"Addr", &StoredCidr::address>, GobField<"PrefixLen", &StoredCidr::prefix_length>> {};

template <>
struct GobDescription<StoredHolding> : GobStruct<"ownedData", GobField<"IsContainer", &StoredHolding::is_container>,
                                                 GobField<"Cidrs", &StoredHolding::cidrs>> {};

namespace {

constexpr std::uint8_t kMajorVersion = 1;

template <typename T>
absl::StatusOr<T> Decode(ByteView value) {
  T decoded{};
  GobReader reader(value);
  RETURN_IF_ERROR(reader.Read(decoded));
  return decoded;
}

absl::Status CheckVersion(ByteView value) {
  if (value.size() == 2 && value[0] == kMajorVersion) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(ToHex(value), ", want major version 1"));
}

absl::StatusOr<std::vector<AllocationRecord>> DecodeAllocations(ByteView value) {
  using Holdings = absl::btree_map<std::string, StoredHolding>;
  ASSIGN_OR_RETURN(const Holdings holdings, Decode<Holdings>(value));
  std::vector<AllocationRecord> records;
  for (const auto& [ident, holding] : holdings) {
    if (holding.cidrs.empty()) continue;
    AllocationRecord record{.ident = ident, .addresses = {}, .is_container = holding.is_container};
    for (const StoredCidr& cidr : holding.cidrs) {
      if (cidr.prefix_length < 0 || cidr.prefix_length > BitCount(IpFamily::kV4))
        return absl::InvalidArgumentError(
            absl::StrCat("\"", ident, "\" has an address with prefix length ", cidr.prefix_length, ", want 0 to 32"));
      record.addresses.emplace_back(IpAddress::V4(cidr.address), static_cast<int>(cidr.prefix_length));
    }
    records.push_back(std::move(record));
  }
  return records;
}

// Keys of tools (`flag:..`) and of later minor versions are left alone.
absl::Status Take(const BoltEntry& entry, LegacyStore& store) {
  if (entry.key == "version") return CheckVersion(entry.value);
  if (entry.key == "peername") {
    ASSIGN_OR_RETURN(const PeerName name, Decode<PeerName>(entry.value));
    if (name.known()) store.name = name;
  } else if (entry.key == "ring") {
    ASSIGN_OR_RETURN(Ring ring, DecodeStoredRing(entry.value));
    if (!ring.empty()) store.ring = std::move(ring);
  } else if (entry.key == "ownedAddresses") {
    ASSIGN_OR_RETURN(store.allocations, DecodeAllocations(entry.value));
  } else if (entry.key == "directPeers") {
    ASSIGN_OR_RETURN(store.direct_peers, Decode<std::vector<std::string>>(entry.value));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LegacyStore> ReadLegacyStore(ByteView file) {
  const absl::StatusOr<std::vector<BoltEntry>> entries = ReadBoltBucket(file, "top");
  if (absl::IsNotFound(entries.status())) return LegacyStore();  // made, and never written to
  RETURN_IF_ERROR(entries.status());
  LegacyStore store;
  for (const BoltEntry& entry : *entries)
    RETURN_IF_ERROR(Annotate(Take(entry, store), absl::StrCat("entry \"", entry.key, "\"")));
  return store;
}

}  // namespace weave
