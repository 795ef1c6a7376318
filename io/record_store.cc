#include "io/record_store.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/status.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "io/mutex.h"
#include "io/record_file.h"
#include "io/record_wal.h"

namespace weave {
namespace {

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

// Moves the file and what SQLite keeps beside it out of the way; returns where to.
absl::StatusOr<std::string> SetAside(const std::string& path) {
  const std::string stem =
      absl::StrCat(path, ".damaged-", absl::FormatTime("%Y%m%dT%H%M%SZ", SampleClocks().wall, absl::UTCTimeZone()));
  std::string target = stem;
  for (int i = 2; Exists(target) || Exists(target + "-wal"); ++i) target = absl::StrCat(stem, ".", i);
  // The -wal first: alone it would be played into the file that comes next.
  for (const char* suffix : {"-wal", "-shm", ""}) {
    const std::string from = path + suffix;
    if (::rename(from.c_str(), (target + suffix).c_str()) != 0 && errno != ENOENT)
      return ErrnoError(errno, absl::StrCat("set aside damaged store ", from));
  }
  RETURN_IF_ERROR(SyncDirectory(DirectoryOf(path)));
  return target;
}

// What may be known before the lock is taken: refuses what must be left alone.
absl::StatusOr<record_format::FileKind> Inspect(const std::string& path, bool can_import) {
  std::uint32_t newer_version = 0;
  ASSIGN_OR_RETURN(const record_format::FileKind kind, record_format::Inspect(path, &newer_version));
  if (kind == record_format::FileKind::kBolt && !can_import)
    return absl::FailedPreconditionError(
        absl::StrCat("store ", path, " was written by Weave Net 2.8 (bbolt); nothing was changed"));
  if (newer_version == 0) return kind;
  if (RecordFile::ProvesOurVersion(path)) return record_format::FileKind::kDamaged;
  return absl::FailedPreconditionError(absl::StrCat("store ", path, " has format version ", newer_version,
                                                    ", written by a newer Weave Net; this build reads version ",
                                                    record_format::kVersion, "; nothing was changed"));
}

// A 2.8 peer with a hundred thousand addresses has a tenth of that.
constexpr std::size_t kMaxBoltSize = 256 << 20;

// bbolt holds this lock as long as it has the file open.
absl::Status CheckUnused(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, absl::StrCat("open store ", path));
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return ErrnoError(errno, absl::StrCat("lock store ", path));
  return absl::FailedPreconditionError(
      absl::StrCat("store ", path, " is in use by a peer of Weave Net 2.8: stop it first; nothing was changed"));
}

// A second name for the file, so that the first is free to be replaced at one stroke.
absl::StatusOr<std::string> KeepUnderOtherName(const std::string& path) {
  const std::string stem = path + ".weave-2.8";
  std::string target = stem;
  for (int i = 2; ::link(path.c_str(), target.c_str()) != 0; ++i) {
    if (errno != EEXIST) return ErrnoError(errno, absl::StrCat("keep ", path, " as ", target));
    struct stat there, here;  // the same file: from an import that was cut short
    if (::stat(target.c_str(), &there) == 0 && ::stat(path.c_str(), &here) == 0 && there.st_ino == here.st_ino) break;
    target = absl::StrCat(stem, ".", i);
  }
  RETURN_IF_ERROR(SyncDirectory(DirectoryOf(path)));
  return target;
}

// Puts a store with the records of a 2.8 peer in the place of that peer's file. Returns the file's new name.
absl::StatusOr<std::string> Import(const std::string& path, RecordStore::BoltImport& import) {
  RETURN_IF_ERROR(CheckUnused(path));
  ASSIGN_OR_RETURN(const std::string content, ReadSmallFile(path, kMaxBoltSize));
  const absl::StatusOr<StoreBatch> records = import(AsBytes(content));
  if (!records.ok())
    return absl::FailedPreconditionError(
        absl::StrCat("store ", path, " was written by Weave Net 2.8 and cannot be read: ", records.status().message(),
                     "; nothing was changed"));
  ASSIGN_OR_RETURN(std::string kept, KeepUnderOtherName(path));
  if (absl::Status created = RecordFile::Create(path, *records); !created.ok()) {
    (void)RemoveIfExists(kept);
    return created;
  }
  return kept;
}

struct OpenedFile {
  std::unique_ptr<RecordFile> file;
  std::string set_aside_path;
  std::string imported_path;
};

// With the lock held.
absl::StatusOr<OpenedFile> OpenOrCreate(const std::string& path, Logger& log, RecordStore::BoltImport& import) {
  ASSIGN_OR_RETURN(const record_format::FileKind kind, Inspect(path, import != nullptr));
  absl::Status damage = absl::DataLossError(absl::StrCat("store ", path, ": the header is not that of a record store"));
  OpenedFile opened;
  if (kind == record_format::FileKind::kBolt) {
    ASSIGN_OR_RETURN(opened.imported_path, Import(path, import));
    ASSIGN_OR_RETURN(opened.file, RecordFile::Open(path));
    return opened;
  }
  if (kind == record_format::FileKind::kPresent) {
    const absl::Status wal = CheckWal(path + "-wal");
    absl::StatusOr<std::unique_ptr<RecordFile>> file = wal.ok() ? RecordFile::Open(path) : wal;
    if (file.ok()) {
      opened.file = *std::move(file);
      return opened;
    }
    if (!absl::IsDataLoss(file.status())) return file.status();
    damage = file.status();
  }
  if (kind != record_format::FileKind::kAbsent) {
    ASSIGN_OR_RETURN(opened.set_aside_path, SetAside(path));
    log.Error("the record store is damaged: set aside, starting with an empty one",
              {{"path", path}, {"set_aside", opened.set_aside_path}, {"reason", std::string(damage.message())}});
  }
  RETURN_IF_ERROR(RecordFile::Create(path, {}));
  ASSIGN_OR_RETURN(opened.file, RecordFile::Open(path));
  return opened;
}

}  // namespace

class RecordStore::Impl {
 public:
  Impl(std::string path, LockFile lock, std::unique_ptr<RecordFile> file)
      : path_(std::move(path)), lock_(std::move(lock)), file_(std::move(file)), thread_([this] { CommitQueued(); }) {}

  ~Impl() {
    {
      const MutexLock lock(&mutex_);
      closing_ = true;
    }
    changed_.Signal();
    thread_.join();
  }

  void Commit(StoreBatch batch, absl::AnyInvocable<void(absl::Status)> done) {
    for (const StoreChange& change : batch) CHECK(!change.key.empty()) << "a record without a key";
    const MutexLock lock(&mutex_);
    CHECK(!closing_) << "a commit to " << path_ << ", which is being closed";
    queue_.push_back({std::move(batch), std::move(done)});
    ++submitted_count_;
    changed_.Signal();
  }

  void Flush() {
    CHECK(std::this_thread::get_id() != thread_.get_id()) << "Flush() by a callback of a commit";
    const MutexLock lock(&mutex_);
    const std::uint64_t target = submitted_count_;
    while (answered_count_ < target) answered_.Wait(&mutex_);
  }

  absl::StatusOr<std::map<std::string, std::string>> ReadAll() {
    const MutexLock lock(&file_mutex_);
    return file_->ReadAll();
  }

  Stats stats() const {
    const MutexLock lock(&mutex_);
    return stats_;
  }

  const std::string& path() const { return path_; }

 private:
  struct Request {
    StoreBatch batch;
    absl::AnyInvocable<void(absl::Status)> done;
  };

  // The commit thread: whatever is waiting becomes one transaction.
  void CommitQueued() {
    pthread_setname_np(pthread_self(), "commit");
    while (true) {
      std::vector<Request> group;
      {
        const MutexLock lock(&mutex_);
        while (queue_.empty() && !closing_) changed_.Wait(&mutex_);
        if (queue_.empty()) return;
        group.swap(queue_);
      }
      CommitGroup(group);
    }
  }

  void CommitGroup(std::vector<Request>& group) {
    std::vector<const StoreBatch*> batches;
    batches.reserve(group.size());
    for (const Request& request : group) batches.push_back(&request.batch);
    const absl::Status status = Apply(batches);
    if (status.ok() || group.size() == 1) {
      for (Request& request : group) Answer(request, status);
      return;
    }
    // One batch may be what does not fit: each gets its own chance, in order.
    for (Request& request : group) Answer(request, Apply({&request.batch}));
  }

  absl::Status Apply(const std::vector<const StoreBatch*>& batches) {
    absl::Status status;
    {
      const MutexLock lock(&file_mutex_);
      status = file_->Apply(batches);
    }
    const MutexLock lock(&mutex_);
    if (status.ok()) {
      ++stats_.commit_count;
      stats_.batch_count += batches.size();
    } else if (batches.size() == 1) {
      ++stats_.failed_batch_count;
    }
    return status;
  }

  void Answer(Request& request, const absl::Status& status) {
    request.done(status);
    request.done = nullptr;
    const MutexLock lock(&mutex_);
    ++answered_count_;
    answered_.SignalAll();
  }

  const std::string path_;
  const LockFile lock_;

  Mutex file_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  const std::unique_ptr<RecordFile> file_ ABSL_PT_GUARDED_BY(file_mutex_);

  mutable Mutex mutex_;
  CondVar changed_;   // of work waiting or the end coming
  CondVar answered_;  // of answered_count_
  std::vector<Request> queue_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t submitted_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t answered_count_ ABSL_GUARDED_BY(mutex_) = 0;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // last: it uses all of the above
};

absl::StatusOr<RecordStore::OpenResult> RecordStore::Open(absl::string_view path, Logger& log, BoltImport import) {
  const std::string name(path);
  RETURN_IF_ERROR(Inspect(name, import != nullptr).status());
  RETURN_IF_ERROR(Annotate(EnsureDirectory(DirectoryOf(name), 0700), absl::StrCat("open store ", name)));
  const bool lock_is_new = !Exists(name + ".lock");
  absl::StatusOr<LockFile> lock = LockFile::Acquire(name + ".lock");
  if (!lock.ok()) return Annotate(lock.status(), absl::StrCat("open store ", name));
  absl::StatusOr<OpenedFile> opened = OpenOrCreate(name, log, import);
  if (!opened.ok()) {
    if (lock_is_new) (void)lock->ReleaseAndRemove();
    return opened.status();
  }
  try {
    std::unique_ptr<RecordStore> store(
        new RecordStore(std::make_unique<Impl>(name, *std::move(lock), std::move(opened->file))));
    return OpenResult{std::move(store), std::move(opened->set_aside_path), std::move(opened->imported_path)};
  } catch (const std::system_error& error) {
    return ErrnoError(error.code().value(), absl::StrCat("open store ", name, ": start the commit thread"));
  }
}

absl::Status RecordStore::Remove(absl::string_view path) {
  const std::string name(path);
  if (!Exists(DirectoryOf(name))) return absl::OkStatus();
  absl::StatusOr<LockFile> lock = LockFile::Acquire(name + ".lock");
  if (!lock.ok()) return Annotate(lock.status(), absl::StrCat("remove store ", name));
  // The -wal before the file: a crash in between must not leave it alone.
  for (const char* suffix : {"-wal", "-shm", ""}) RETURN_IF_ERROR(RemoveIfExists(name + suffix));
  RETURN_IF_ERROR(RecordFile::RemoveUnfinished(name));
  RETURN_IF_ERROR(lock->ReleaseAndRemove());
  return SyncDirectory(DirectoryOf(name));
}

RecordStore::RecordStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RecordStore::~RecordStore() = default;

void RecordStore::Commit(StoreBatch batch, absl::AnyInvocable<void(absl::Status)> done) {
  impl_->Commit(std::move(batch), std::move(done));
}

void RecordStore::Flush() { impl_->Flush(); }

absl::StatusOr<std::map<std::string, std::string>> RecordStore::ReadAll() { return impl_->ReadAll(); }

RecordStore::Stats RecordStore::stats() const { return impl_->stats(); }

const std::string& RecordStore::path() const { return impl_->path(); }

}  // namespace weave
