// Durable records: keys with values in one SQLite file, committed in groups, checksummed, owned by one process. What it
// hands back is what was acknowledged, or it says what is wrong; it never hands back a wrong value.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/log.h"

namespace weave {

struct StoreChange {
  std::string key;                   // not empty
  std::optional<std::string> value;  // nullopt erases; erasing what is not there succeeds
};

// Applied in order, all or nothing.
using StoreBatch = std::vector<StoreChange>;

// Any thread. Files: `path`, `path`-wal beside it while open, `path`.lock.
class RecordStore {
 public:
  struct OpenResult {
    std::unique_ptr<RecordStore> store;

    // Where a damaged file was moved, with the fresh store started in its place; empty when there was no damage.
    std::string set_aside_path;

    // Where the file of Weave Net 2.8 stays whose records the store began with; empty when there was none.
    std::string imported_path;
  };

  // Makes records of a file that Weave Net 2.8 wrote. An error is the whole Open's, with the path before it.
  using BoltImport = absl::AnyInvocable<absl::StatusOr<StoreBatch>(ByteView file)>;

  struct Stats {
    std::uint64_t commit_count = 0;        // transactions that became durable
    std::uint64_t batch_count = 0;         // batches acknowledged by those
    std::uint64_t failed_batch_count = 0;  // batches that got an error
  };

  // Makes a missing directory (0700) and a missing file. Errors name the path; none of them leaves anything changed:
  //   AlreadyExists       another process has the store open; its pid is named (contract A17-06)
  //   FailedPrecondition  a file of a newer version; a Weave Net 2.8 file (bbolt) without `import`, or still in use by
  //                       a peer of 2.8; a directory or another thing that is not a regular file
  //   PermissionDenied    file or directory not readable or not writable
  //   ResourceExhausted   no space
  //   Unavailable         another program has locked the file
  // A damaged file (not SQLite, not ours, failing SQLite's check or our checksums) is renamed with its -wal to
  // `<path>.damaged-<UTC time>` and logged at error.
  //
  // A Weave Net 2.8 file is read once: what `import` makes of it is on disk before the file gets another name,
  // `<path>.weave-2.8`, unchanged.
  static absl::StatusOr<OpenResult> Open(absl::string_view path, Logger& log, BoltImport import = nullptr);

  // Removes the store's files, the lock file included; not those set aside. OK when there are none; AlreadyExists, and
  // nothing removed, while a process has it open.
  static absl::Status Remove(absl::string_view path);

  RecordStore(const RecordStore&) = delete;
  RecordStore& operator=(const RecordStore&) = delete;

  // Commits what was submitted, calls its callbacks, closes the file, releases the lock.
  ~RecordStore();

  // Returns at once. Batches become durable in the order of submission, those waiting together in one transaction;
  // `done` is called in that order on the commit thread once the batch is on disk, or will never be. It must not block
  // and must not destroy the store. A failing batch (disk full) fails alone and leaves its records as they were.
  void Commit(StoreBatch batch, absl::AnyInvocable<void(absl::Status)> done);

  // Waits until everything submitted before has been answered.
  void Flush();

  // What has been committed. DataLoss when a checksum fails.
  absl::StatusOr<std::map<std::string, std::string>> ReadAll();

  Stats stats() const;
  const std::string& path() const;

 private:
  class Impl;
  explicit RecordStore(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
