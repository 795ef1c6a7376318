// The store of a Weave Net 2.8 peer as records of ours (contract A17-01).
#pragma once

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "io/record_store.h"

namespace weave {

// Its name, ring, addresses and the peers it was told to dial. InvalidArgument, naming the entry, for what 2.8 does not
// write. For RecordStore::Open.
absl::StatusOr<StoreBatch> ImportLegacyStore(ByteView file);

}  // namespace weave
