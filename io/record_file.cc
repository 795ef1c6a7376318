#include "io/record_file.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/fd.h"
#include "io/file.h"

namespace weave {
namespace {

using record_format::Summary;

constexpr char kFind[] = "SELECT checksum FROM records WHERE key = ?1";
constexpr char kPut[] = "INSERT OR REPLACE INTO records (key, value, checksum) VALUES (?1, ?2, ?3)";
constexpr char kErase[] = "DELETE FROM records WHERE key = ?1";
constexpr char kSelectAll[] = "SELECT key, value, checksum FROM records";

// Behind the name of a store that is being made.
constexpr char kBuilding[] = ".new";

// How long another program (sqlite3 in a terminal) may keep the file before opening fails.
constexpr int kBusyMilliseconds = 2000;

absl::StatusCode CodeOf(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_TOOBIG:
      return absl::StatusCode::kInvalidArgument;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR:  // our statements are right: the schema is not the one they are for
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::string_view TextColumn(sqlite3_stmt* statement, int column) {
  // The pointer first: asking for it may convert, and that changes the size.
  const void* data = sqlite3_column_blob(statement, column);
  return {static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

// `file:` form of a path, for the options only that form takes.
std::string ToUri(const std::string& path, absl::string_view options) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      absl::StrAppend(&uri, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      uri.push_back(c);
    }
  }
  return absl::StrCat(uri, "?", options);
}

}  // namespace

// A prepared statement, finalized or (a borrowed one) reset when it goes.
class RecordFile::Statement {
 public:
  Statement(RecordFile& file, const char* sql) : file_(file), owned_(true) {
    code_ = sqlite3_prepare_v2(file.db_, sql, -1, &statement_, nullptr);
  }
  Statement(RecordFile& file, sqlite3_stmt* statement) : file_(file), owned_(false), statement_(statement) {}
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() {
    if (owned_) {
      sqlite3_finalize(statement_);
    } else {
      sqlite3_reset(statement_);
      sqlite3_clear_bindings(statement_);
    }
  }

  // The text must outlive the statement.
  void BindText(int index, const std::string& text) {
    Note(sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  void BindBlob(int index, const std::string& bytes) {
    Note(sqlite3_bind_blob64(statement_, index, bytes.data(), bytes.size(), SQLITE_STATIC));
  }
  void BindInteger(int index, std::int64_t value) { Note(sqlite3_bind_int64(statement_, index, value)); }

  // True for a row, false at the end.
  absl::StatusOr<bool> Step(const char* what) {
    if (code_ == SQLITE_OK) {
      const int code = sqlite3_step(statement_);
      if (code == SQLITE_ROW) return true;
      if (code == SQLITE_DONE) return false;
      code_ = code;
    }
    return file_.Error(code_, what);
  }

  sqlite3_stmt* get() const { return statement_; }

 private:
  void Note(int code) {
    if (code_ == SQLITE_OK) code_ = code;
  }

  RecordFile& file_;
  const bool owned_;
  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
};

RecordFile::~RecordFile() {
  sqlite3_finalize(find_);
  sqlite3_finalize(put_);
  sqlite3_finalize(erase_);
  sqlite3_close(db_);  // plays the -wal into the file and removes it
}

absl::Status RecordFile::Error(int code, const char* what) const {
  const std::string context = absl::StrCat(what, " store ", path_);
  const int err = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
  const int primary = code & 0xff;
  if (err != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) return ErrnoError(err, context);
  return absl::Status(CodeOf(code), absl::StrCat(context, ": ", sqlite3_errstr(code)));
}

absl::Status RecordFile::Connect(const std::string& name, int flags) {
  const int code = sqlite3_open_v2(name.c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (code != SQLITE_OK) return Error(code, "open");
  sqlite3_busy_timeout(db_, kBusyMilliseconds);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // One process only, so no shared memory beside the file; damaged cells are noticed where they are read.
  return Execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY");
}

absl::Status RecordFile::Execute(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, "write");
}

absl::StatusOr<std::string> RecordFile::QueryText(const char* sql) {
  Statement statement(*this, sql);
  ASSIGN_OR_RETURN(const bool row, statement.Step("check"));
  return row ? std::string(TextColumn(statement.get(), 0)) : std::string();
}

absl::Status RecordFile::RemoveUnfinished(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"})
    RETURN_IF_ERROR(RemoveIfExists(absl::StrCat(path, kBuilding, suffix)));
  return absl::OkStatus();
}

absl::Status RecordFile::Create(const std::string& path, const StoreBatch& records) {
  const std::string building = path + kBuilding;
  const auto remove = [&path] { (void)RemoveUnfinished(path); };
  remove();
  absl::Cleanup remove_again = remove;
  {
    RecordFile file(path);
    RETURN_IF_ERROR(file.Connect(building, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    RETURN_IF_ERROR(file.Execute(absl::StrCat("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN; ",
                                              record_format::kCreateTable,
                                              "; PRAGMA application_id = ", record_format::kApplicationId,
                                              "; PRAGMA user_version = ", record_format::kVersion)
                                     .c_str()));
    const std::string state = file.summary_.ToValue();
    {
      Statement put(file, kPut);
      put.BindText(1, "");
      put.BindBlob(2, state);
      put.BindInteger(3, record_format::Checksum("", state));
      RETURN_IF_ERROR(put.Step("write").status());
    }
    RETURN_IF_ERROR(file.Execute("COMMIT"));
    RETURN_IF_ERROR(file.Prepare());
    const StoreBatch* const batch = &records;
    RETURN_IF_ERROR(file.Apply(absl::MakeConstSpan(&batch, 1)));
    RETURN_IF_ERROR(file.Execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  struct stat left;
  if (::stat((building + "-wal").c_str(), &left) == 0)
    return absl::ResourceExhaustedError(absl::StrCat("write store ", path, ": cannot complete a new file"));
  if (::chmod(building.c_str(), 0600) != 0 || ::rename(building.c_str(), path.c_str()) != 0)
    return ErrnoError(errno, absl::StrCat("create store ", path));
  return SyncDirectory(DirectoryOf(path));
}

absl::StatusOr<std::unique_ptr<RecordFile>> RecordFile::Open(const std::string& path) {
  std::unique_ptr<RecordFile> file(new RecordFile(path));
  RETURN_IF_ERROR(file->Connect(path, SQLITE_OPEN_READWRITE));
  ASSIGN_OR_RETURN(const std::string mode, file->QueryText("PRAGMA journal_mode = WAL"));
  if (mode != "wal") return absl::DataLossError(absl::StrCat("check store ", path, ": not in WAL mode"));
  if (sqlite3_db_readonly(file->db_, "main") != 0)
    return absl::PermissionDeniedError(absl::StrCat("open store ", path, ": read-only"));
  RETURN_IF_ERROR(file->Execute("PRAGMA synchronous = FULL"));
  RETURN_IF_ERROR(file->Check());
  // Starts with an empty -wal, where there is room to; without, the next commits will say so.
  (void)file->Execute("PRAGMA wal_checkpoint(TRUNCATE)");
  RETURN_IF_ERROR(file->Prepare());
  return file;
}

absl::Status RecordFile::Prepare() {
  for (const auto& [sql, statement] : {std::pair(kFind, &find_), std::pair(kPut, &put_), std::pair(kErase, &erase_)})
    if (const int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr);
        code != SQLITE_OK)
      return Error(code, "check");
  return absl::OkStatus();
}

bool RecordFile::ProvesOurVersion(const std::string& path) {
  RecordFile file(path);
  return file.Connect(ToUri(path, "immutable=1"), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI).ok() && file.Check().ok();
}

absl::Status RecordFile::Check() {
  ASSIGN_OR_RETURN(
      const std::string schema,
      QueryText("SELECT group_concat(type || ' ' || name || ': ' || coalesce(sql, '')) FROM sqlite_schema"));
  if (schema != absl::StrCat("table records: ", record_format::kCreateTable))
    return absl::DataLossError(absl::StrCat("check store ", path_, ": its tables are not ours"));
  ASSIGN_OR_RETURN(const std::string report, QueryText("PRAGMA integrity_check(1)"));
  if (report != "ok") return absl::DataLossError(absl::StrCat("check store ", path_, ": ", report));
  return ReadAll().status();
}

absl::StatusOr<std::map<std::string, std::string>> RecordFile::ReadAll() {
  std::map<std::string, std::string> records;
  Summary summary;
  std::string state;
  Statement statement(*this, kSelectAll);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, statement.Step("read"));
    if (!row) break;
    std::string key(TextColumn(statement.get(), 0));
    std::string value(TextColumn(statement.get(), 1));
    const std::uint32_t checksum = record_format::Checksum(key, value);
    if (sqlite3_column_int64(statement.get(), 2) != checksum)
      return absl::DataLossError(
          absl::StrCat("read store ", path_, ": record of ", value.size(), " bytes does not match its checksum"));
    if (key.empty()) {
      state = std::move(value);
    } else {
      summary.Add(checksum);
      records.insert_or_assign(std::move(key), std::move(value));
    }
  }
  if (state != summary.ToValue() || records.size() != summary.record_count)
    return absl::DataLossError(
        absl::StrCat("read store ", path_, ": has \"", summary.ToValue(), "\" where \"", state, "\" was written"));
  summary_ = summary;
  return records;
}

absl::Status RecordFile::Apply(absl::Span<const StoreBatch* const> batches) {
  RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  absl::Status status = ApplyInTransaction(batches);
  if (!status.ok() && sqlite3_get_autocommit(db_) == 0) (void)Execute("ROLLBACK");
  return status;
}

absl::Status RecordFile::ApplyInTransaction(absl::Span<const StoreBatch* const> batches) {
  Summary summary = summary_;
  for (const StoreBatch* batch : batches)
    for (const StoreChange& change : *batch)
      RETURN_IF_ERROR(ApplyChange(change.key, change.value.has_value() ? &*change.value : nullptr, summary));
  const std::string state = summary.ToValue();
  RETURN_IF_ERROR(Put("", state, record_format::Checksum("", state)));
  RETURN_IF_ERROR(Execute("COMMIT"));
  summary_ = summary;
  return absl::OkStatus();
}

absl::Status RecordFile::ApplyChange(const std::string& key, const std::string* value, Summary& summary) {
  {
    Statement find(*this, find_);
    find.BindText(1, key);
    ASSIGN_OR_RETURN(const bool found, find.Step("write"));
    if (found) summary.Remove(static_cast<std::uint32_t>(sqlite3_column_int64(find.get(), 0)));
  }
  if (value == nullptr) {
    Statement erase(*this, erase_);
    erase.BindText(1, key);
    return erase.Step("write").status();
  }
  const std::uint32_t checksum = record_format::Checksum(key, *value);
  summary.Add(checksum);
  return Put(key, *value, checksum);
}

absl::Status RecordFile::Put(const std::string& key, const std::string& value, std::uint32_t checksum) {
  Statement put(*this, put_);
  put.BindText(1, key);
  put.BindBlob(2, value);
  put.BindInteger(3, checksum);
  return put.Step("write").status();
}

}  // namespace weave
