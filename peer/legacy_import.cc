#include "peer/legacy_import.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "ipam/ipam_records.h"
#include "ipam/legacy_store.h"
#include "peer/core/records.h"
#include "peer/record_codec.h"

namespace weave {
namespace {

absl::Status Add(std::string key, const Record& record, StoreBatch& batch) {
  ASSIGN_OR_RETURN(std::string bytes, EncodeRecord(key, record));
  batch.push_back({std::move(key), std::move(bytes)});
  return absl::OkStatus();
}

// The id of a container, whole or as people are shown it.
bool IsContainer(absl::string_view ident) {
  return (ident.size() == 12 || ident.size() == 64) &&
         std::all_of(ident.begin(), ident.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

// 2.8 hears when containers end, we do not: theirs are left to their interfaces. What it knew by the address alone is
// what its Docker plugin asked for.
Upkeep UpkeepOf(const AllocationRecord& allocation) {
  if (allocation.is_container || IsContainer(allocation.ident)) return Upkeep::kInterface;
  return IpAddress::Parse(allocation.ident).ok() ? Upkeep::kDocker : Upkeep::kHolder;
}

}  // namespace

absl::StatusOr<StoreBatch> ImportLegacyStore(ByteView file) {
  ASSIGN_OR_RETURN(const LegacyStore store, ReadLegacyStore(file));
  StoreBatch batch;
  if (store.name.has_value()) RETURN_IF_ERROR(Add(IdentityKey(), IdentityRecord{*store.name}, batch));
  if (store.ring.has_value()) {
    if (!store.name.has_value()) return absl::InvalidArgumentError("it has a ring, and no name of the peer");
    const Ring& ring = *store.ring;
    RETURN_IF_ERROR(
        Add(RingKey(), RingRecord{*store.name, ring.universe(), ring.entries(), ring.seeds(), {}, {}}, batch));
  }
  for (AllocationRecord allocation : store.allocations) {
    allocation.upkeep = UpkeepOf(allocation);
    // The start drops what containers had that are not on record as attached. Those of 2.8 are not, and may well live.
    allocation.is_container = false;
    RETURN_IF_ERROR(Add(AllocationKey(allocation.ident), allocation, batch));
  }
  if (!store.direct_peers.empty()) RETURN_IF_ERROR(Add(DirectPeersKey(), DirectPeersRecord{store.direct_peers}, batch));
  return batch;
}

}  // namespace weave
