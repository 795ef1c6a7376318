#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/fd.h"

namespace weave {
namespace {

absl::Status WriteAll(int fd, absl::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, absl::StrCat("write ", path));
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status FillAndSync(const Fd& fd, absl::string_view content, mode_t mode, const std::string& path) {
  RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
  if (::fchmod(fd.get(), mode) != 0) return ErrnoError(errno, absl::StrCat("chmod ", path));
  if (::fsync(fd.get()) != 0) return ErrnoError(errno, absl::StrCat("sync ", path));
  return absl::OkStatus();
}

}  // namespace

std::string DirectoryOf(absl::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

absl::StatusOr<std::string> ReadSmallFile(absl::string_view path, std::size_t max_size) {
  const std::string name(path);
  const Fd fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, absl::StrCat("open ", name));
  std::string content;
  char buffer[4096];
  while (true) {
    const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
    if (size == 0) return content;
    if (size < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, absl::StrCat("read ", name));
    }
    if (content.size() + static_cast<std::size_t>(size) > max_size)
      return absl::ResourceExhaustedError(absl::StrCat("read ", name, ": larger than ", max_size, " bytes"));
    content.append(buffer, static_cast<std::size_t>(size));
  }
}

absl::Status SyncDirectory(absl::string_view path) {
  const std::string name(path);
  const Fd fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, absl::StrCat("open ", name));
  if (::fsync(fd.get()) != 0) return ErrnoError(errno, absl::StrCat("sync ", name));
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(absl::string_view path, absl::string_view content, mode_t mode) {
  const std::string target(path);
  std::string temporary = absl::StrCat(target, ".XXXXXX");
  const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, absl::StrCat("create a file beside ", target));
  absl::Status status = FillAndSync(fd, content, mode, target);
  if (status.ok() && ::rename(temporary.c_str(), target.c_str()) != 0)
    status = ErrnoError(errno, absl::StrCat("replace ", target));
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(DirectoryOf(target));
}

absl::Status ReplaceLinkAtomically(absl::string_view path, absl::string_view target) {
  const std::string name(path), leads_to(target);
  std::error_code none;
  if (std::filesystem::read_symlink(name, none) == leads_to) return absl::OkStatus();
  const std::string temporary = absl::StrCat(name, ".", ::getpid());
  ::unlink(temporary.c_str());  // left by a process of that number that was killed
  if (::symlink(leads_to.c_str(), temporary.c_str()) != 0) return ErrnoError(errno, absl::StrCat("link ", temporary));
  if (::rename(temporary.c_str(), name.c_str()) != 0) {
    absl::Status status = ErrnoError(errno, absl::StrCat("replace ", name));
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(DirectoryOf(name));
}

absl::Status EnsureDirectory(absl::string_view path, mode_t mode) {
  std::string name(path);
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  if (::mkdir(name.c_str(), mode) == 0) return absl::OkStatus();
  if (errno == ENOENT && DirectoryOf(name) != name && !name.empty()) {
    RETURN_IF_ERROR(EnsureDirectory(DirectoryOf(name), mode));
    if (::mkdir(name.c_str(), mode) == 0) return absl::OkStatus();
  }
  if (errno != EEXIST) return ErrnoError(errno, absl::StrCat("make directory ", name));
  struct stat info;
  if (::stat(name.c_str(), &info) != 0) return ErrnoError(errno, absl::StrCat("make directory ", name));
  if (!S_ISDIR(info.st_mode)) return ErrnoError(ENOTDIR, absl::StrCat("make directory ", name));
  return absl::OkStatus();
}

absl::Status RemoveIfExists(absl::string_view path) {
  const std::string name(path);
  if (::unlink(name.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoError(errno, absl::StrCat("remove ", name));
}

}  // namespace weave
