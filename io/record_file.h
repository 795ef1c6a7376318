// A record store's SQLite file, opened by the one process and used by one thread at a time. Private to the store.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "io/record_format.h"
#include "io/record_store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace weave {

class RecordFile {
 public:
  // Makes a store of `records` at `path`, complete or not at all: built beside it and renamed, in place of what is
  // there.
  static absl::Status Create(const std::string& path, const StoreBatch& records);

  // Removes what a Create() that was killed left beside `path`.
  static absl::Status RemoveUnfinished(const std::string& path);

  // Opens and checks everything. DataLoss: damaged, and not to be used; other codes as RecordStore::Open.
  static absl::StatusOr<std::unique_ptr<RecordFile>> Open(const std::string& path);

  // True when the file, read without touching it, passes every check of our version: then a header that claims a newer
  // one is damage. Anything less might be a newer store, and is left alone.
  static bool ProvesOurVersion(const std::string& path);

  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;
  ~RecordFile();

  // One transaction, on disk when OK; otherwise nothing changed.
  absl::Status Apply(absl::Span<const StoreBatch* const> batches);

  absl::StatusOr<std::map<std::string, std::string>> ReadAll();

 private:
  class Statement;

  explicit RecordFile(std::string path) : path_(std::move(path)) {}

  absl::Status Connect(const std::string& name, int flags);
  absl::Status Execute(const char* sql);
  absl::StatusOr<std::string> QueryText(const char* sql);
  absl::Status Prepare();
  absl::Status Check();
  absl::Status ApplyInTransaction(absl::Span<const StoreBatch* const> batches);
  absl::Status ApplyChange(const std::string& key, const std::string* value, record_format::Summary& summary);
  absl::Status Put(const std::string& key, const std::string& value, std::uint32_t checksum);

  // The status of a result code of SQLite's, with `what` and the path.
  absl::Status Error(int code, const char* what) const;

  const std::string path_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* find_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
  record_format::Summary summary_;  // of what is committed
};

}  // namespace weave
