// The store's file, its directory and its lock: looked at, never opened for writing.
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "doctor/os/gather.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "io/record_format.h"

namespace weave {
namespace {

// The directory of the store, or the nearest one above it that is there: a store may be yet to be made.
std::string ExistingDirectory(const std::string& path) {
  std::string directory = DirectoryOf(path);
  while (directory.size() > 1 && ::access(directory.c_str(), F_OK) != 0) directory = DirectoryOf(directory);
  return directory;
}

void LookAtDisk(const std::string& directory, StoreFacts& store) {
  struct statvfs disk = {};
  if (::statvfs(directory.c_str(), &disk) != 0) {
    store.write_error = absl::StrCat(directory, ": ", std::strerror(errno));
    return;
  }
  store.free_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  store.counts_inodes = disk.f_files != 0;
  store.free_inodes = disk.f_favail;
  // Asked of the kernel and not of the mode: root may write everywhere but on a read-only file system.
  if (::access(directory.c_str(), W_OK) != 0) store.write_error = absl::StrCat(directory, ": ", std::strerror(errno));
}

void LookAtFile(StoreFacts& store) {
  std::uint32_t newer_version = 0;
  const absl::StatusOr<record_format::FileKind> kind = record_format::Inspect(store.path, &newer_version);
  if (!kind.ok()) {
    store.kind = StoreKind::kUnreadable;
    store.error = std::string(kind.status().message());
    return;
  }
  switch (*kind) {
    case record_format::FileKind::kAbsent:
      store.kind = StoreKind::kNone;
      return;
    case record_format::FileKind::kBolt:
      store.kind = StoreKind::kBolt;
      return;
    case record_format::FileKind::kDamaged:
      store.kind = StoreKind::kUnreadable;
      store.error = "the file is damaged; the next launch sets it aside and begins anew";
      return;
    case record_format::FileKind::kPresent:
      store.kind = StoreKind::kOurs;
      break;
  }
  if (newer_version == 0) return;
  store.kind = StoreKind::kUnreadable;
  store.error = absl::StrCat("it is of version ", newer_version, ", made by a later weave than this one");
}

}  // namespace

StoreFacts GatherStore(const std::string& path) {
  StoreFacts store;
  store.path = path;
  LookAtDisk(ExistingDirectory(path), store);
  LookAtFile(store);
  const absl::StatusOr<std::optional<pid_t>> holder = HolderOf(absl::StrCat(path, ".lock"));
  if (holder.ok()) store.lock_pid = holder->value_or(0);
  const std::filesystem::path file(path);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path(), error))
    if (absl::StartsWith(entry.path().filename().string(), file.filename().string() + ".damaged-"))
      store.set_aside.push_back(entry.path().string());
  return store;
}

}  // namespace weave
