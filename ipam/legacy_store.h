// What a peer of Weave Net 2.8 remembered (spec/ipam.md section 10), read from its file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "ipam/ipam_records.h"
#include "ipam/ring.h"

namespace weave {

struct LegacyStore {
  std::optional<PeerName> name;  // none: it never had an allocator
  std::optional<Ring> ring;
  std::vector<AllocationRecord> allocations;  // by ident
  std::vector<std::string> direct_peers;      // as the user gave them
};

// InvalidArgument, naming the entry, for a file that is no store of 2.8, is damaged, or of a later version than 2.8's.
absl::StatusOr<LegacyStore> ReadLegacyStore(ByteView file);

}  // namespace weave
