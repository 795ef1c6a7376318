// How a record store looks on disk, and what a file at its path is before SQLite may touch it. For the store, and for
// who explains one (doctor/os).
//
// One table `records` of key, value and checksum. The record with the empty key describes the rest: version, count of
// records and digest, rewritten by every transaction, so that a lost, stale or foreign page is noticed as well as a
// changed one. application_id and user_version of the SQLite header name the format; a later version must have them in
// the main file, not only in the -wal, before it writes anything else.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave::record_format {

inline constexpr std::uint32_t kApplicationId = 0x57'45'41'56;  // "WEAV"
inline constexpr std::uint32_t kVersion = 1;

inline constexpr char kCreateTable[] =
    "CREATE TABLE records (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL) "
    "STRICT, WITHOUT ROWID";

// zlib's crc32 over the size of the key (8 bytes, little endian), the key and the value.
std::uint32_t Checksum(absl::string_view key, absl::string_view value);

// Count and digest of a set of records, independent of their order.
struct Summary {
  std::uint64_t record_count = 0;
  std::uint64_t digest = 0;

  void Add(std::uint32_t checksum);
  void Remove(std::uint32_t checksum);

  // The value of the record with the empty key.
  std::string ToValue() const;

  friend bool operator==(const Summary&, const Summary&) = default;
};

enum class FileKind {
  kAbsent,   // neither file nor -wal
  kPresent,  // claims to be of this version: SQLite may open it
  kDamaged,  // cannot be ours any more
  kBolt,     // a file of Weave Net 2.8, which keeps its records in bbolt
};

// Reads, changes nothing. The errors are those RecordStore::Open promises for a path that must be left alone: a
// directory or special file, not readable or not writable. `newer_version` is set to the header's version
// when that is above ours (the kind is kPresent then).
absl::StatusOr<FileKind> Inspect(const std::string& path, std::uint32_t* newer_version);

}  // namespace weave::record_format
