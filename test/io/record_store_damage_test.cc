// Damage to the file of a record store: noticed, set aside, reported by name; never a wrong value, never a crash.
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <map>

#include "absl/strings/match.h"
#include "base/random.h"
#include "io/file.h"
#include "io/record_store.h"
#include "test/io/scratch.h"
#include "test/support/catch.h"
#include "test/support/seeds.h"

namespace weave {
namespace {

using Records = std::map<std::string, std::string>;

// From the environment to replay a failure, else new in every run.
std::uint64_t SeedOfThisRun() { return GivenSeed().value_or(static_cast<std::uint64_t>(std::time(nullptr))); }

Records SomeRecords(int count) {
  Records records;
  for (int i = 0; i < count; ++i)
    records[absl::StrCat("container-", i)] = std::string(static_cast<std::size_t>(i), 'v');
  return records;
}

void Fill(const std::string& path, const Records& records) {
  NullLogger log;
  auto opened = RecordStore::Open(path, log);
  REQUIRE(opened.status() == absl::OkStatus());
  for (const auto& [key, value] : records) opened->store->Commit({{key, value}}, [](absl::Status) {});
  opened->store->Flush();
  CHECK(*opened->store->ReadAll() == records);
}

void FlipBit(Random& random, std::string& bytes, std::size_t reach) {
  bytes[random.Below(reach)] ^= static_cast<char>(1 << random.Below(8));
}

// Opens what must be damaged: empty, writable, the damaged file kept under the reported name.
void CheckSetAside(const std::string& path, const std::string& damaged) {
  RememberingLogger log;
  auto opened = RecordStore::Open(path, log);
  REQUIRE(opened.status() == absl::OkStatus());
  REQUIRE(absl::StartsWith(opened->set_aside_path, path + ".damaged-2"));
  CHECK(Content(opened->set_aside_path) == damaged);
  CHECK(opened->store->ReadAll()->empty());
  CHECK(log.CountOf("error: the record store is damaged") == 1);
  CHECK(log.CountOf(opened->set_aside_path) == 1);
  opened->store->Commit({{"works", "again"}}, [](absl::Status status) { CHECK(status.ok()); });
}

TEST_CASE("Flipped bits never give a wrong value: all records, or the file set aside", "[io][store]") {
  const std::uint64_t seed = SeedOfThisRun();
  INFO("WEAVE_TEST_SEED=" << seed);
  Random random(seed);
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  const Records records = SomeRecords(120);
  Fill(path, records);
  const std::string intact = Content(path);
  int set_aside = 0, refused = 0;
  constexpr int kRounds = 75;
  for (int round = 0; round < kRounds; ++round) {
    std::string damaged = intact;
    // A third of the rounds aim at the file's header, which random positions would rarely meet.
    const std::size_t reach = round % 3 == 0 ? 100 : damaged.size();
    for (std::uint64_t flips = random.Below(3) + 1; flips > 0; --flips) FlipBit(random, damaged, reach);
    REQUIRE(WriteFileAtomically(path, damaged).ok());
    INFO("round " << round);
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    if (opened.status().code() == absl::StatusCode::kFailedPrecondition) {
      // The header claims a newer version and nothing else proves the contrary: refused rather than touched.
      REQUIRE(damaged.substr(60, 4) != intact.substr(60, 4));
      REQUIRE(Content(path) == damaged);
      ++refused;
      continue;
    }
    REQUIRE(opened.status() == absl::OkStatus());
    const auto read = opened->store->ReadAll();
    REQUIRE(read.status() == absl::OkStatus());
    if (opened->set_aside_path.empty()) {
      REQUIRE(*read == records);
    } else {
      ++set_aside;
      REQUIRE(read->empty());
      REQUIRE(Content(opened->set_aside_path) == damaged);
      opened->store.reset();
      REQUIRE(RemoveIfExists(opened->set_aside_path).ok());
    }
  }
  CHECK(set_aside > kRounds / 4);
  CHECK(refused < kRounds / 8);
}

TEST_CASE("Truncated, emptied and foreign files are set aside", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  Fill(path, SomeRecords(50));
  const std::string intact = Content(path);
  const std::string damaged =
      GENERATE_COPY(intact.substr(0, intact.size() - 4096), intact.substr(0, 4096), intact.substr(0, 50), std::string(),
                    std::string("not a data base\n"), std::string(100'000, '\0'));
  REQUIRE(WriteFileAtomically(path, damaged).ok());
  CheckSetAside(path, damaged);
}

TEST_CASE("Records changed, removed or added behind our back are damage", "[io][store]") {
  const char* sql =
      GENERATE("UPDATE records SET value = x'00' WHERE key = 'container-7'",
               "UPDATE records SET key = 'container-x' WHERE key = 'container-7'",
               "DELETE FROM records WHERE key = 'container-7'", "DELETE FROM records WHERE key = ''",
               "INSERT INTO records SELECT 'new', value, checksum FROM records WHERE key = 'container-7'",
               "PRAGMA application_id = 1", "PRAGMA user_version = 0", "PRAGMA user_version = 2", "DROP TABLE records",
               "CREATE TABLE other (a)", "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE");
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  Fill(path, SomeRecords(20));
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(db) == SQLITE_OK);
  INFO(sql);
  CheckSetAside(path, Content(path));
}

TEST_CASE("Files set aside within one second keep names of their own", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(WriteFileAtomically(path, absl::StrCat("damaged ", i)).ok());
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    REQUIRE(opened.ok());
    names.push_back(opened->set_aside_path);
  }
  for (int i = 0; i < 3; ++i) CHECK(Content(names[i]) == absl::StrCat("damaged ", i));
}

TEST_CASE("A write-ahead log without its file is not played into a new one", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  const std::string kept = scratch / "kept-wal";
  {
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    REQUIRE(opened.ok());
    opened->store->Commit({{"old", "record"}}, [](absl::Status) {});
    opened->store->Flush();
    REQUIRE(WriteFileAtomically(kept, Content(path + "-wal")).ok());
  }
  REQUIRE(::unlink(path.c_str()) == 0);
  REQUIRE(::rename(kept.c_str(), (path + "-wal").c_str()) == 0);
  NullLogger log;
  auto opened = RecordStore::Open(path, log);
  REQUIRE(opened.status() == absl::OkStatus());
  CHECK(opened->store->ReadAll()->empty());
  CHECK(opened->set_aside_path != "");
  CHECK(std::filesystem::exists(opened->set_aside_path + "-wal"));
}

TEST_CASE("A flipped bit in the log of a killed process never hides a commit but the last", "[io][store]") {
  const std::uint64_t seed = SeedOfThisRun();
  INFO("WEAVE_TEST_SEED=" << seed);
  Random random(seed);
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  constexpr int kCommits = 30;
  std::string main_file, log_file;
  {
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    REQUIRE(opened.ok());
    for (int i = 1; i <= kCommits; ++i) {
      opened->store->Commit({{"last", absl::StrCat(i)}, {absl::StrCat(i), std::string(300, 'v')}}, [](absl::Status) {});
      opened->store->Flush();
    }
    main_file = Content(path);
    log_file = Content(path + "-wal");
  }
  int set_aside = 0, without_last = 0;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = log_file;
    const std::size_t reach = round % 5 == 0 ? 32 : damaged.size();  // a fifth of the rounds aim at the log's header
    FlipBit(random, damaged, reach);
    REQUIRE(WriteFileAtomically(path, main_file).ok());
    REQUIRE(WriteFileAtomically(path + "-wal", damaged).ok());
    INFO("round " << round);
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    REQUIRE(opened.status() == absl::OkStatus());
    const Records records = *opened->store->ReadAll();
    if (opened->set_aside_path.empty()) {
      const int last = std::stoi(records.at("last"));
      REQUIRE(last >= kCommits - 1);
      REQUIRE(records.size() == static_cast<std::size_t>(last) + 1);
      without_last += last < kCommits ? 1 : 0;
    } else {
      ++set_aside;
      REQUIRE(records.empty());
      opened->store.reset();
      REQUIRE(RemoveIfExists(opened->set_aside_path).ok());
      REQUIRE(RemoveIfExists(opened->set_aside_path + "-wal").ok());
    }
  }
  CHECK(set_aside > 40);
  CHECK(without_last < 20);
}

TEST_CASE("The torn end of a log is no damage: what was acknowledged before it is there", "[io][store]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  std::string main_file, log_file;
  {
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    REQUIRE(opened.ok());
    for (const char* key : {"one", "two", "torn"}) {
      if (absl::string_view(key) == "torn") log_file = Content(path + "-wal");
      opened->store->Commit({{key, std::string(9000, 'v')}}, [](absl::Status) {});
      opened->store->Flush();
    }
    main_file = Content(path);
    log_file = absl::StrCat(log_file, Content(path + "-wal").substr(log_file.size(), GENERATE(1, 100, 5000, 9000)));
  }
  REQUIRE(WriteFileAtomically(path, main_file).ok());
  REQUIRE(WriteFileAtomically(path + "-wal", log_file).ok());
  NullLogger log;
  auto opened = RecordStore::Open(path, log);
  REQUIRE(opened.status() == absl::OkStatus());
  CHECK(opened->set_aside_path == "");
  CHECK(opened->store->ReadAll()->size() == 2);
}

// Commits records until it is killed: batch n sets `last` to n and `slot-<n mod 40>` to n, or erases that slot when n
// is a multiple of 7. Says n on `acknowledged` once the store did.
[[noreturn]] void CommitUntilKilled(const std::string& path, int acknowledged) {
  NullLogger log;
  auto opened = RecordStore::Open(path, log);
  if (!opened.ok() || !opened->set_aside_path.empty()) ::_exit(1);
  const Records before = *opened->store->ReadAll();
  int n = before.empty() ? 0 : std::stoi(before.at("last"));
  while (true) {
    ++n;
    const std::string slot = absl::StrCat("slot-", n % 40);
    StoreBatch batch = {{"last", absl::StrCat(n)}, {slot, absl::StrCat(n, std::string(200, '.'))}};
    if (n % 7 == 0) batch.back().value = std::nullopt;
    opened->store->Commit(std::move(batch), [acknowledged, n](absl::Status status) {
      if (!status.ok() || ::write(acknowledged, &n, sizeof n) != sizeof n) ::_exit(1);
    });
    if (n % 8 == 0) opened->store->Flush();
  }
}

Records ExpectedAfter(int last) {
  Records records;
  if (last > 0) records["last"] = absl::StrCat(last);
  for (int n = std::max(1, last - 39); n <= last; ++n)
    if (n % 7 != 0) records[absl::StrCat("slot-", n % 40)] = absl::StrCat(n, std::string(200, '.'));
  return records;
}

TEST_CASE("Whatever was acknowledged is there after the process is killed at any moment", "[io][store]") {
  const std::uint64_t seed = SeedOfThisRun();
  INFO("WEAVE_TEST_SEED=" << seed);
  Random random(seed);
  const ScratchDirectory scratch;
  const std::string path = scratch / "weave.db";
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) CommitUntilKilled(path, ends[1]);
    ::close(ends[1]);
    // Sometimes before it has opened the store, sometimes far into it.
    int acknowledged = 0, n = 0;
    for (std::uint64_t left = random.Below(round % 3 == 0 ? 3 : 150); left > 0 && ::read(ends[0], &n, sizeof n) > 0;
         --left)
      acknowledged = n;
    REQUIRE(::kill(child, SIGKILL) == 0);
    while (::read(ends[0], &n, sizeof n) == sizeof n) acknowledged = n;
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));

    INFO("round " << round << ", acknowledged " << acknowledged);
    NullLogger log;
    auto opened = RecordStore::Open(path, log);
    REQUIRE(opened.status() == absl::OkStatus());
    REQUIRE(opened->set_aside_path == "");
    const auto records = opened->store->ReadAll();
    REQUIRE(records.ok());
    const int last = records->empty() ? 0 : std::stoi(records->at("last"));
    REQUIRE(last >= acknowledged);
    REQUIRE(*records == ExpectedAfter(last));
  }
}

}  // namespace
}  // namespace weave
