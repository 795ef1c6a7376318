#include "io/lock_file.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "io/file.h"
#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {
namespace {

// A child process that holds a lock until it is killed.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      const auto lock = LockFile::Acquire(path);
      const char byte = lock.ok() ? 'y' : 'n';
      (void)!::write(ready[1], &byte, 1);
      while (true) ::pause();
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    REQUIRE(byte == 'y');
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { Kill(); }

  pid_t pid() const { return pid_; }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

TEST_CASE("A lock held by another process names its pid, and is free once that is killed", "[io]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "lock";
  CHECK(*HolderOf(path) == std::nullopt);
  CHECK(scratch.List().empty());
  Holder holder(path);

  const absl::Status refused = LockFile::Acquire(path).status();
  CHECK(refused.code() == absl::StatusCode::kAlreadyExists);
  CHECK(refused.message() == absl::StrCat(path, " is held by process ", holder.pid()));
  CHECK(*HolderOf(path) == holder.pid());
  CHECK(*HolderOf(path) == holder.pid());  // asking does not disturb it

  holder.Kill();
  CHECK(*HolderOf(path) == std::nullopt);
  CHECK(LockFile::Acquire(path).ok());
}

TEST_CASE("A process cannot take its own lock twice, and asking does not lose it", "[io]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "lock";
  absl::StatusOr<LockFile> lock = LockFile::Acquire(path);
  REQUIRE(lock.ok());
  CHECK(LockFile::Acquire(path).status().code() == absl::StatusCode::kAlreadyExists);
  CHECK(*HolderOf(path) == 0);
  CHECK(LockFile::Acquire(path).status().code() == absl::StatusCode::kAlreadyExists);
  CHECK(lock->ReleaseAndRemove().ok());
  CHECK(scratch.List().empty());
  CHECK(LockFile::Acquire(path).ok());
}

TEST_CASE("A lock whose file was removed is taken on the file that is there now", "[io]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "lock";
  Holder holder(path);
  REQUIRE(RemoveIfExists(path).ok());
  const auto lock = LockFile::Acquire(path);
  REQUIRE(lock.ok());
  CHECK(LockFile::Acquire(path).status().code() == absl::StatusCode::kAlreadyExists);
}

TEST_CASE("A lock in a directory that is not there is NotFound", "[io]") {
  const ScratchDirectory scratch;
  CHECK(LockFile::Acquire(scratch / "no/lock").status().code() == absl::StatusCode::kNotFound);
  CHECK(*HolderOf(scratch / "no/lock") == std::nullopt);
}

}  // namespace
}  // namespace weave
