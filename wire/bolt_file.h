// Reads what a peer of Weave Net 2.8 stored: a bbolt file (spec/ipam.md section 10). The format is bbolt's version 2:
// pages of B+trees, little-endian on every platform 2.8 ran on.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace weave {

struct BoltEntry {
  absl::string_view key;
  ByteView value;
};

// The entries of a bucket at the top level, in the order of their keys, as of the last transaction that was committed;
// views into `file`. Buckets inside it are left out. The memory used is that of the entries, of which a page holds one
// per 16 bytes at most.
//
//   NotFound         there is no bucket of that name
//   InvalidArgument  no bbolt file, of another version, damaged or cut short; the text says where
absl::StatusOr<std::vector<BoltEntry>> ReadBoltBucket(ByteView file, absl::string_view bucket);

}  // namespace weave
