#include "io/record_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <latch>
#include <map>
#include <thread>

#include "absl/strings/match.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Records = std::map<std::string, std::string>;
using Names = std::vector<std::string>;

std::unique_ptr<RecordStore> OpenIntact(const std::string& path) {
  NullLogger log;
  absl::StatusOr<RecordStore::OpenResult> opened = RecordStore::Open(path, log);
  REQUIRE(opened.status() == absl::OkStatus());
  CHECK(opened->set_aside_path == "");
  return std::move(opened->store);
}

absl::Status OpenError(const std::string& path) {
  NullLogger log;
  return RecordStore::Open(path, log).status();
}

absl::Status CommitAndWait(RecordStore& store, StoreBatch batch) {
  absl::Status result;
  store.Commit(std::move(batch), [&](absl::Status status) { result = status; });
  store.Flush();
  return result;
}

Records ReadAll(RecordStore& store) {
  absl::StatusOr<Records> records = store.ReadAll();
  REQUIRE(records.status() == absl::OkStatus());
  return *records;
}

void RunSql(const std::string& path, const char* sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

TEST_CASE("What was committed is there after reopening, byte for byte", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "deep/er/weave.db";
  const std::string every_byte = [] {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
    return bytes;
  }();
  const Records expected = {
      {"empty", ""}, {"binary", every_byte}, {every_byte, "odd key"}, {"large", std::string(300'000, 'x')}};
  {
    const auto store = OpenIntact(path);
    CHECK(ReadAll(*store).empty());
    StoreBatch batch;
    for (const auto& [key, value] : expected) batch.push_back({key, value});
    CHECK(CommitAndWait(*store, batch).ok());
    CHECK(CommitAndWait(*store, {{"gone", "soon"}}).ok());
    CHECK(CommitAndWait(*store, {{"gone", std::nullopt}, {"never was", std::nullopt}}).ok());
    CHECK(ReadAll(*store) == expected);
  }
  CHECK(ReadAll(*OpenIntact(path)) == expected);

  struct stat info;
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  REQUIRE(::stat((scratch / "deep").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);
}

TEST_CASE("A batch applies in order: the last word on a key counts", "[io][store]") {
  const ScratchDirectory scratch;
  const auto store = OpenIntact(scratch / "weave.db");
  CHECK(
      CommitAndWait(*store, {{"a", "1"}, {"b", "1"}, {"a", "2"}, {"b", std::nullopt}, {"c", std::nullopt}, {"c", "3"}})
          .ok());
  CHECK(ReadAll(*store) == Records{{"a", "2"}, {"c", "3"}});
  CHECK(CommitAndWait(*store, {}).ok());
}

TEST_CASE("Concurrent commits share transactions and are answered in order", "[io][store]") {
  constexpr int kThreads = 8, kCommits = 50;
  const ScratchDirectory scratch;
  const auto store = OpenIntact(scratch / "weave.db");
  std::vector<std::vector<int>> order(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCommits; ++i)
        store->Commit({{absl::StrCat("t", t, "-", i), "value"}}, [&, t, i](absl::Status status) {
          if (status.ok()) order[t].push_back(i);
        });
    });
  for (std::thread& thread : threads) thread.join();
  store->Flush();

  std::vector<int> ascending;
  for (int i = 0; i < kCommits; ++i) ascending.push_back(i);
  for (int t = 0; t < kThreads; ++t) CHECK(order[t] == ascending);
  CHECK(ReadAll(*store).size() == kThreads * kCommits);
  CHECK(store->stats().batch_count == kThreads * kCommits);
  CHECK(store->stats().failed_batch_count == 0);
  CHECK(store->stats().commit_count < kThreads * kCommits / 4);
}

TEST_CASE("Batches that wait behind a slow commit become one transaction", "[io][store]") {
  const ScratchDirectory scratch;
  const auto store = OpenIntact(scratch / "weave.db");
  std::latch first_done(1), release(1);
  store->Commit({{"first", "1"}}, [&](absl::Status) {
    first_done.count_down();
    release.wait();
  });
  first_done.wait();
  for (int i = 0; i < 100; ++i) store->Commit({{absl::StrCat(i), "x"}}, [](absl::Status) {});
  release.count_down();
  store->Flush();
  CHECK(store->stats().commit_count == 2);
  CHECK(store->stats().batch_count == 101);
}

TEST_CASE("Closing commits and answers what was submitted", "[io][store]") {
  const ScratchDirectory scratch;
  int answered = 0;
  {
    const auto store = OpenIntact(scratch / "weave.db");
    for (int i = 0; i < 20; ++i)
      store->Commit({{absl::StrCat(i), "x"}}, [&](absl::Status status) { answered += status.ok() ? 1 : 0; });
  }
  CHECK(answered == 20);
  CHECK(ReadAll(*OpenIntact(scratch / "weave.db")).size() == 20);
  CHECK(scratch.List() == Names{"weave.db", "weave.db.lock"});
}

TEST_CASE("A second process is told which one has the store open, and changes nothing", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  int ready[2], release[2];
  REQUIRE((::pipe(ready) == 0 && ::pipe(release) == 0));
  const pid_t holder = ::fork();
  REQUIRE(holder >= 0);
  if (holder == 0) {
    ::close(release[1]);
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    char byte = opened.ok() ? 'y' : 'n';
    (void)!::write(ready[1], &byte, 1);
    (void)!::read(release[0], &byte, 1);
    ::_exit(0);
  }
  ::close(release[0]);
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  REQUIRE(byte == 'y');

  const absl::Status status = OpenError(path);
  CHECK(status.code() == absl::StatusCode::kAlreadyExists);
  CHECK(absl::StrContains(status.message(), path));
  CHECK(absl::StrContains(status.message(), absl::StrCat("process ", holder)));
  CHECK(RecordStore::Remove(path).code() == absl::StatusCode::kAlreadyExists);
  CHECK(*HolderOf(path + ".lock") == holder);

  ::close(release[1]);
  REQUIRE(::waitpid(holder, nullptr, 0) == holder);
  OpenIntact(path);
  for (const int fd : {ready[0], ready[1]}) ::close(fd);
}

TEST_CASE("The same process cannot open a store twice, and the first one keeps it", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  const auto store = OpenIntact(path);
  CHECK(OpenError(path).code() == absl::StatusCode::kAlreadyExists);
  CHECK(OpenError(path).code() == absl::StatusCode::kAlreadyExists);
  CHECK(CommitAndWait(*store, {{"a", "1"}}).ok());
}

TEST_CASE("A file of Weave Net 2.8 is refused by name and left alone", "[io][store]") {
  const std::size_t page_size = GENERATE(std::size_t{4096}, std::size_t{16384}, std::size_t{65536});
  const bool first_meta_intact = GENERATE(true, false);
  const ScratchDirectory scratch;
  const std::string path = scratch / "weavedata.db";
  std::string bolt(4 * page_size, '\0');
  const std::string magic = "\xed\xda\x0c\xed";
  if (first_meta_intact) bolt.replace(16, 4, magic);
  bolt.replace(page_size + 16, 4, magic);
  REQUIRE(WriteFileAtomically(path, bolt).ok());

  const absl::Status status = OpenError(path);
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(status.message(), path));
  CHECK(absl::StrContains(status.message(), "2.8"));
  CHECK(scratch.List() == Names{"weavedata.db"});
  CHECK(Content(path) == bolt);
}

// As bbolt marks its files; nobody reads more of it here.
std::string BoltFile() {
  std::string bolt(4 * 4096, '\0');
  bolt.replace(16, 4, "\xed\xda\x0c\xed");
  return bolt;
}

TEST_CASE("A file of Weave Net 2.8 is imported once and kept under another name", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weavedata.db";
  REQUIRE(WriteFileAtomically(path, BoltFile()).ok());
  int imports = 0;
  const auto import = [&imports](ByteView file) -> absl::StatusOr<StoreBatch> {
    ++imports;
    CHECK(AsText(file) == BoltFile());
    return StoreBatch{{"ring", "1"}, {"address", "2"}};
  };
  NullLogger log;
  for (int start = 0; start < 2; ++start) {
    auto opened = RecordStore::Open(path, log, import);
    REQUIRE(opened.ok());
    CHECK(opened->imported_path == (start == 0 ? path + ".weave-2.8" : ""));
    CHECK(opened->store->ReadAll().value() == Records{{"address", "2"}, {"ring", "1"}});
  }
  CHECK(imports == 1);
  CHECK(Content(path + ".weave-2.8") == BoltFile());
  CHECK(scratch.List() == Names{"weavedata.db", "weavedata.db.lock", "weavedata.db.weave-2.8"});
}

TEST_CASE("An import that was cut short is done again", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weavedata.db";
  REQUIRE(WriteFileAtomically(path, BoltFile()).ok());
  REQUIRE(::link(path.c_str(), (path + ".weave-2.8").c_str()) == 0);
  NullLogger log;
  auto opened = RecordStore::Open(path, log, [](ByteView) -> absl::StatusOr<StoreBatch> {
    return StoreBatch{{"a", "1"}};
  });
  REQUIRE(opened.ok());
  CHECK(opened->imported_path == path + ".weave-2.8");
  CHECK(opened->store->ReadAll().value() == Records{{"a", "1"}});
}

TEST_CASE("A file of Weave Net 2.8 that cannot be read, or is in use, stays as it is", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weavedata.db";
  REQUIRE(WriteFileAtomically(path, BoltFile()).ok());
  const bool in_use = GENERATE(true, false);
  const Fd holder(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::flock(holder.get(), in_use ? LOCK_EX : LOCK_UN) == 0);
  NullLogger log;
  const auto opened = RecordStore::Open(
      path, log, [](ByteView) -> absl::StatusOr<StoreBatch> { return absl::InvalidArgumentError("page 3 is torn"); });
  CHECK(opened.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(opened.status().message(), in_use ? "stop it first" : "page 3 is torn"));
  CHECK(absl::StrContains(opened.status().message(), path));
  CHECK(Content(path) == BoltFile());
  CHECK(scratch.List() == Names{"weavedata.db"});
}

TEST_CASE("A file of a newer version is refused by name and left alone", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  OpenIntact(path);
  // What a successor would leave: other tables, a higher version.
  RunSql(path, "ALTER TABLE records ADD COLUMN owner TEXT; PRAGMA user_version = 7");
  const std::string before = Content(path);
  REQUIRE(::unlink((path + ".lock").c_str()) == 0);

  const absl::Status status = OpenError(path);
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(status.message(), path));
  CHECK(absl::StrContains(status.message(), "version 7"));
  CHECK(scratch.List() == Names{"weave.db"});
  CHECK(Content(path) == before);
}

TEST_CASE("What is no regular file is refused by name", "[io][store]") {
  const ScratchDirectory scratch;
  const absl::Status directory = OpenError(scratch.path());
  CHECK(directory.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(directory.message(), absl::StrCat(scratch.path(), ": is a directory")));
  CHECK(OpenError("/dev/null").code() == absl::StatusCode::kFailedPrecondition);
  CHECK_FALSE(std::filesystem::exists("/dev/null.lock"));

  REQUIRE(WriteFileAtomically(scratch / "file", "").ok());
  const absl::Status below_file = OpenError(scratch / "file/weave.db");
  CHECK_FALSE(below_file.ok());
  CHECK(absl::StrContains(below_file.message(), scratch / "file/weave.db"));
  CHECK(scratch.List() == Names{"file"});
}

TEST_CASE("A file another program has locked is unavailable, not damaged", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  CHECK(CommitAndWait(*OpenIntact(path), {{"a", "1"}}).ok());
  int ready[2], release[2];
  REQUIRE((::pipe(ready) == 0 && ::pipe(release) == 0));
  const pid_t other = ::fork();
  if (other == 0) {
    ::close(release[1]);
    sqlite3* db = nullptr;
    sqlite3_open(path.c_str(), &db);
    sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", nullptr, nullptr, nullptr);
    char byte = 'y';
    (void)!::write(ready[1], &byte, 1);
    (void)!::read(release[0], &byte, 1);
    sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr);
    sqlite3_close(db);
    ::_exit(0);
  }
  ::close(release[0]);
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const absl::Status status = OpenError(path);
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK(absl::StrContains(status.message(), path));
  ::close(release[1]);
  REQUIRE(::waitpid(other, nullptr, 0) == other);
  CHECK(ReadAll(*OpenIntact(path)) == Records{{"a", "1"}});
  for (const int fd : {ready[0], ready[1]}) ::close(fd);
}

TEST_CASE("Removing a store leaves none of its files, and is fine without one", "[io][store]") {
  const ScratchDirectory scratch;
  OpenIntact(scratch / "weave.db");
  CHECK(RecordStore::Remove(scratch / "weave.db").ok());
  CHECK(RecordStore::Remove(scratch / "weave.db").ok());
  CHECK(scratch.List().empty());
  CHECK(RecordStore::Remove(scratch / "no/such/weave.db").ok());
  // Of a process that was killed while it made the store.
  for (const char* left : {"weave.db.new", "weave.db.new-wal", "weave.db.new-shm"})
    REQUIRE(WriteFileAtomically(scratch / left, "").ok());
  CHECK(RecordStore::Remove(scratch / "weave.db").ok());
  CHECK(scratch.List().empty());
}

}  // namespace
}  // namespace weave
