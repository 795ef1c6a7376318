#include "peer/legacy_import.h"

#include <string>
#include <utility>

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
    // The start drops what containers had that are not on record as attached. Those of 2.8 are not, and may well live.
    allocation.is_container = false;
    RETURN_IF_ERROR(Add(AllocationKey(allocation.ident), allocation, batch));
  }
  if (!store.direct_peers.empty()) RETURN_IF_ERROR(Add(DirectPeersKey(), DirectPeersRecord{store.direct_peers}, batch));
  return batch;
}

}  // namespace weave
