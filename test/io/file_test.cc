#include "io/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "io/fd.h"
#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("A descriptor is closed by its last owner, once", "[io]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Fd reader(ends[0]), writer(ends[1]);
  Fd moved = std::move(writer);
  CHECK_FALSE(writer.valid());
  char byte;
  moved = Fd();
  CHECK(::read(reader.get(), &byte, 1) == 0);  // the writer is gone
  const int released = reader.release();
  CHECK_FALSE(reader.valid());
  CHECK(::close(released) == 0);
}

TEST_CASE("An errno becomes the code a caller acts on, with its text", "[io]") {
  const auto [err, code] = GENERATE(table<int, absl::StatusCode>({
      {ENOSPC, absl::StatusCode::kResourceExhausted},
      {EDQUOT, absl::StatusCode::kResourceExhausted},
      {EACCES, absl::StatusCode::kPermissionDenied},
      {EROFS, absl::StatusCode::kPermissionDenied},
      {ENOENT, absl::StatusCode::kNotFound},
      {EADDRINUSE, absl::StatusCode::kAlreadyExists},
      {ECONNREFUSED, absl::StatusCode::kUnavailable},
      {EAGAIN, absl::StatusCode::kUnavailable},
      {EINVAL, absl::StatusCode::kInvalidArgument},
      {EIO, absl::StatusCode::kInternal},
  }));
  CHECK(ErrnoError(err, "open /x").code() == code);
  CHECK(ErrnoError(ENOENT, "open /x").message() == "open /x: No such file or directory");
}

TEST_CASE("A file is replaced whole, with its mode, and nothing is left beside it", "[io]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "file";
  REQUIRE(WriteFileAtomically(path, "old", 0644).ok());
  REQUIRE(WriteFileAtomically(path, "new content", 0640).ok());
  CHECK(*ReadSmallFile(path) == "new content");
  struct stat info;
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0640);
  CHECK(scratch.List() == Names{"file"});
}

TEST_CASE("Writing where it cannot be says where and leaves nothing", "[io]") {
  const ScratchDirectory scratch;
  const absl::Status absent = WriteFileAtomically(scratch / "no/file", "x");
  CHECK(absent.code() == absl::StatusCode::kNotFound);
  CHECK(absl::StrContains(absent.message(), scratch / "no/file"));
  REQUIRE(EnsureDirectory(scratch / "directory/inner").ok());
  CHECK_FALSE(WriteFileAtomically(scratch / "directory", "x").ok());
  CHECK(scratch.List() == Names{"directory"});
}

TEST_CASE("Files are read whole or not at all", "[io]") {
  const ScratchDirectory scratch;
  const std::string path = scratch / "file";
  REQUIRE(WriteFileAtomically(path, std::string(10'000, 'x')).ok());
  CHECK(ReadSmallFile(path, 10'000)->size() == 10'000);
  CHECK(ReadSmallFile(path, 9'999).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(ReadSmallFile(scratch / "absent").status().code() == absl::StatusCode::kNotFound);
  CHECK(ReadSmallFile(scratch.path()).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_FALSE(ReadSmallFile("/proc/self/status")->empty());
}

TEST_CASE("Directories are made with their parents; a file in the way is named", "[io]") {
  const ScratchDirectory scratch;
  CHECK(EnsureDirectory(scratch / "a/b/c/", 0700).ok());
  CHECK(EnsureDirectory(scratch / "a/b/c").ok());
  REQUIRE(WriteFileAtomically(scratch / "file", "").ok());
  const absl::Status status = EnsureDirectory(scratch / "file");
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(status.message(), scratch / "file"));
  CHECK_FALSE(EnsureDirectory(scratch / "file/below").ok());
}

TEST_CASE("Removing what is gone succeeds", "[io]") {
  const ScratchDirectory scratch;
  REQUIRE(WriteFileAtomically(scratch / "file", "").ok());
  CHECK(RemoveIfExists(scratch / "file").ok());
  CHECK(RemoveIfExists(scratch / "file").ok());
  CHECK_FALSE(RemoveIfExists(scratch.path()).ok());
}

TEST_CASE("The directory of a path", "[io]") {
  CHECK(DirectoryOf("/a/b") == "/a");
  CHECK(DirectoryOf("/a") == "/");
  CHECK(DirectoryOf("a") == ".");
}

}  // namespace
}  // namespace weave
