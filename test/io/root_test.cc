// What of io needs root: a full disk, a read-only one, a network namespace; all in namespaces this process makes.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <latch>
#include <map>

#include "absl/strings/match.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/record_store.h"
#include "io/subprocess.h"
#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Records = std::map<std::string, std::string>;

void NeedRoot() {
  if (::geteuid() == 0) return;
  std::puts("skipped: needs root to mount and to make namespaces");
  std::exit(77);
}

// A file system of its own size, seen by this process only.
class SmallDisk {
 public:
  explicit SmallDisk(const char* options) {
    NeedRoot();
    REQUIRE(::unshare(CLONE_NEWNS) == 0);
    REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    REQUIRE(::mount("small", scratch_.path().c_str(), "tmpfs", 0, options) == 0);
  }
  ~SmallDisk() { ::umount2(scratch_.path().c_str(), MNT_DETACH); }

  std::string operator/(absl::string_view name) const { return scratch_ / name; }
  std::vector<std::string> List() const { return scratch_.List(); }

  // Takes all the space that is left.
  void Fill() const {
    const Fd fd(::open((scratch_ / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string block(512, 'x');
    while (::write(fd.get(), block.data(), block.size()) > 0) {
    }
  }
  void Free() const { REQUIRE(RemoveIfExists(scratch_ / "filler").ok()); }

  void MakeReadOnly() const {
    REQUIRE(::mount(nullptr, scratch_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  }

 private:
  ScratchDirectory scratch_;
};

absl::Status CommitAndWait(RecordStore& store, StoreBatch batch) {
  absl::Status result;
  store.Commit(std::move(batch), [&](absl::Status status) { result = status; });
  store.Flush();
  return result;
}

TEST_CASE("Of batches that share a transaction only the one that does not fit fails", "[io][store]") {
  const SmallDisk disk("size=1m");
  const std::string path = disk / "weave.db";
  NullLogger log;
  auto opened = RecordStore::Open(path, log);
  REQUIRE(opened.status() == absl::OkStatus());
  RecordStore& store = *opened->store;

  std::vector<std::string> answers;
  const auto note = [&answers](const char* name) {
    return [&answers, name](absl::Status status) {
      answers.push_back(absl::StrCat(name, status.ok() ? "+" : absl::IsResourceExhausted(status) ? "full" : "other"));
    };
  };
  std::latch first_done(1), release(1);
  store.Commit({{"first", "1"}}, [&](absl::Status) {
    first_done.count_down();
    release.wait();
  });
  first_done.wait();
  store.Commit({{"a", "1"}}, note("a"));
  store.Commit({{"a", "2"}, {"huge", std::string(3'000'000, 'x')}}, note("huge"));
  store.Commit({{"b", "1"}}, note("b"));
  release.count_down();
  store.Flush();
  CHECK(answers == std::vector<std::string>{"a+", "hugefull", "b+"});
  CHECK(*store.ReadAll() == Records{{"a", "1"}, {"b", "1"}, {"first", "1"}});
  CHECK(store.stats().failed_batch_count == 1);
}

TEST_CASE("A full disk fails commits by name and loses nothing; with space they succeed again", "[io][store]") {
  const SmallDisk disk("size=1m");
  const std::string path = disk / "weave.db";
  NullLogger log;
  Records acknowledged;
  {
    auto opened = RecordStore::Open(path, log);
    REQUIRE(opened.status() == absl::OkStatus());
    disk.Fill();
    absl::Status failure;
    for (int i = 0; failure.ok(); ++i) {
      const std::string key = absl::StrCat("key", i), value(1000, 'v');
      failure = CommitAndWait(*opened->store, {{key, value}});
      if (failure.ok()) acknowledged[key] = value;
    }
    CHECK(failure.code() == absl::StatusCode::kResourceExhausted);
    CHECK(absl::StrContains(failure.message(), path));
    CHECK(*opened->store->ReadAll() == acknowledged);
    disk.Free();
    CHECK(CommitAndWait(*opened->store, {{"after", "space"}}).ok());
    acknowledged["after"] = "space";
    disk.Fill();
  }
  // Closed and opened again without any space: readable, and it says why it cannot write.
  auto opened = RecordStore::Open(path, log);
  REQUIRE(opened.status() == absl::OkStatus());
  CHECK(opened->set_aside_path == "");
  CHECK(*opened->store->ReadAll() == acknowledged);
}

TEST_CASE("A store that cannot be made on a full disk says so and leaves nothing", "[io][store]") {
  const SmallDisk disk("size=64k");
  disk.Fill();
  NullLogger log;
  const absl::Status status = RecordStore::Open(disk / "weave.db", log).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(absl::StrContains(status.message(), disk / "weave.db"));
  CHECK(disk.List() == std::vector<std::string>{"filler"});
}

TEST_CASE("A damaged store on a full disk is not lost", "[io][store]") {
  const SmallDisk disk("size=64k");
  REQUIRE(WriteFileAtomically(disk / "weave.db", "damaged").ok());
  disk.Fill();
  RememberingLogger log;
  CHECK(RecordStore::Open(disk / "weave.db", log).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(log.CountOf("set aside") == 1);
  int found = 0;
  for (const std::string& name : disk.List()) found += ReadSmallFile(disk / name).value_or("") == "damaged" ? 1 : 0;
  CHECK(found == 1);
}

TEST_CASE("A read-only directory is refused by name, with a store in it or without", "[io][store]") {
  const SmallDisk disk("size=1m");
  NullLogger log;
  REQUIRE(RecordStore::Open(disk / "weave.db", log).ok());
  const std::vector<std::string> before = disk.List();
  disk.MakeReadOnly();
  for (const char* name : {"weave.db", "other.db"}) {
    const absl::Status status = RecordStore::Open(disk / name, log).status();
    CHECK(status.code() == absl::StatusCode::kPermissionDenied);
    CHECK(absl::StrContains(status.message(), disk / name));
  }
  CHECK(disk.List() == before);
}

TEST_CASE("Replacing a file on a full disk fails and keeps the old one", "[io]") {
  const SmallDisk disk("size=64k");
  REQUIRE(WriteFileAtomically(disk / "file", "old").ok());
  disk.Fill();
  const absl::Status status = WriteFileAtomically(disk / "file", std::string(10'000, 'n'));
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(*ReadSmallFile(disk / "file") == "old");
  CHECK(disk.List() == std::vector<std::string>{"file", "filler"});
}

TEST_CASE("A program runs in the network namespace it is given, its caller stays in its own", "[io]") {
  NeedRoot();
  const auto own = [] { return *RunSuccessfully({.argv = {"readlink", "/proc/self/ns/net"}}); };
  const std::string home = own().output;
  const Fd home_fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  REQUIRE(::unshare(CLONE_NEWNET) == 0);
  const Fd other_fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  const std::string other = own().output;
  REQUIRE(::setns(home_fd.get(), CLONE_NEWNET) == 0);
  REQUIRE(home != other);

  const auto inside = RunSubprocess({.argv = {"readlink", "/proc/self/ns/net"}, .netns_fd = other_fd.get()});
  REQUIRE(inside.ok());
  CHECK(inside->output == other);
  CHECK(own().output == home);

  const Fd no_namespace(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const absl::Status refused = RunSubprocess({.argv = {"true"}, .netns_fd = no_namespace.get()}).status();
  CHECK(refused.code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weave
