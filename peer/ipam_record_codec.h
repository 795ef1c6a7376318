// The allocator's records (ipam/ipam_records.h) as protobuf and back; the part of peer/record_codec.h that is theirs.
// Errors as there, without the key.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ipam/ipam_records.h"
#include "weave/v1/record.pb.h"

namespace weave {

void StoreRing(const RingRecord& record, v1::StoredRing& stored);
absl::StatusOr<RingRecord> LoadRing(const v1::StoredRing& stored);
// A ring that is not valid would be told to others.
absl::Status CheckRing(const RingRecord& record);

void StorePaxos(const PaxosRecord& record, v1::StoredPaxos& stored);
absl::StatusOr<PaxosRecord> LoadPaxos(const v1::StoredPaxos& stored);

void StoreAllocation(const AllocationRecord& record, v1::StoredAllocation& stored);
absl::StatusOr<AllocationRecord> LoadAllocation(const v1::StoredAllocation& stored);
absl::Status CheckAllocation(const AllocationRecord& record);

}  // namespace weave
