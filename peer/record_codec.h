// What a peer remembers (peer/core/records.h) as bytes on disk (proto/weave/v1/record.proto), and back.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peer/core/records.h"

namespace weave {

// Far above what a host has; a larger record is damage or an attack on our memory.
inline constexpr std::size_t kMaxRecordAddressCount = 4096;
inline constexpr std::size_t kMaxRecordTextSize = 4096;        // bytes of one text, PATH_MAX
inline constexpr std::size_t kMaxStoredRecordSize = 32 << 20;  // bytes; a ring of all that one message can say

// `key` is the record's own (IdentityKey() etc.). InvalidArgument naming it for a record that DecodeRecord would
// refuse, so that nothing is written that cannot be read back.
absl::StatusOr<std::string> EncodeRecord(absl::string_view key, const Record& record);

// Total: any bytes give a record or DataLoss naming the key and what is wrong. Fields of later versions are passed
// over; a kind of record that we do not know is an error.
absl::StatusOr<Record> DecodeRecord(absl::string_view key, absl::string_view bytes);

}  // namespace weave
