#include "io/record_format.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "io/fd.h"

namespace weave::record_format {
namespace {

// https://www.sqlite.org/fileformat2.html section 1.3
constexpr absl::string_view kSqliteMagic("SQLite format 3\0", 16);
constexpr std::size_t kHeaderSize = 100;
constexpr std::size_t kWriteVersionOffset = 18, kReadVersionOffset = 19;
constexpr std::uint8_t kWalVersion = 2;
constexpr std::size_t kUserVersionOffset = 60, kApplicationIdOffset = 68;

// bbolt, page.go and db.go: a page header of 16 bytes, then the meta page's magic, in host order (little endian on all
// platforms of 2.8); pages 0 and 1 are meta pages, of the size of the machine's pages.
constexpr std::array<std::uint8_t, 4> kBoltMagic = {0xed, 0xda, 0x0c, 0xed};
constexpr off_t kBoltMagicOffset = 16;
constexpr std::array<off_t, 6> kBoltPageOffsets = {0, 4096, 8192, 16384, 32768, 65536};

// splitmix64's finalizer: spreads a checksum, so that sums of them do not cancel out.
std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e37'79b9'7f4a'7c15;
  value = (value ^ (value >> 30)) * 0xbf58'476d'1ce4'e5b9;
  value = (value ^ (value >> 27)) * 0x94d0'49bb'1331'11eb;
  return value ^ (value >> 31);
}

std::uint32_t BigEndian32(const std::uint8_t* bytes) {
  return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
         static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
}

bool IsBolt(int fd) {
  for (const off_t page : kBoltPageOffsets) {
    std::array<std::uint8_t, 4> magic;
    if (::pread(fd, magic.data(), magic.size(), page + kBoltMagicOffset) == static_cast<ssize_t>(magic.size()) &&
        magic == kBoltMagic)
      return true;
  }
  return false;
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

std::uint32_t Checksum(absl::string_view key, absl::string_view value) {
  std::array<Bytef, 8> size;
  for (std::size_t i = 0; i < size.size(); ++i) size[i] = static_cast<Bytef>(std::uint64_t{key.size()} >> (8 * i));
  uLong crc = ::crc32_z(0, size.data(), size.size());
  crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(key.data()), key.size());
  // A null buffer would ask zlib for the initial value.
  if (!value.empty()) crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(value.data()), value.size());
  return static_cast<std::uint32_t>(crc);
}

void Summary::Add(std::uint32_t checksum) {
  ++record_count;
  digest += Mix(checksum);
}

void Summary::Remove(std::uint32_t checksum) {
  --record_count;
  digest -= Mix(checksum);
}

std::string Summary::ToValue() const {
  return absl::StrFormat("version %d count %d digest %016x", kVersion, record_count, digest);
}

absl::StatusOr<FileKind> Inspect(const std::string& path, std::uint32_t* newer_version) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return ErrnoError(errno, absl::StrCat("open store ", path));
    // SQLite would play an orphaned -wal into whatever file appears beside it.
    return Exists(path + "-wal") ? FileKind::kDamaged : FileKind::kAbsent;
  }
  if (!S_ISREG(info.st_mode))
    return absl::FailedPreconditionError(absl::StrCat("open store ", path, ": is a ",
                                                      S_ISDIR(info.st_mode) ? "directory" : "special file",
                                                      ", want a regular file or none"));
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, absl::StrCat("open store ", path));

  std::array<std::uint8_t, kHeaderSize> header = {};
  const ssize_t size = ::pread(fd.get(), header.data(), header.size(), 0);
  if (size < 0) return ErrnoError(errno, absl::StrCat("read store ", path));
  if (std::memcmp(header.data(), kSqliteMagic.data(), kSqliteMagic.size()) != 0) {
    if (IsBolt(fd.get())) return FileKind::kBolt;
    return FileKind::kDamaged;
  }
  if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0)
    return ErrnoError(errno, absl::StrCat("write store ", path));
  if (size < static_cast<ssize_t>(kHeaderSize)) return FileKind::kDamaged;
  if (BigEndian32(&header[kApplicationIdOffset]) != kApplicationId) return FileKind::kDamaged;
  const std::uint32_t version = BigEndian32(&header[kUserVersionOffset]);
  if (version > kVersion) {
    *newer_version = version;
    return FileKind::kPresent;
  }
  const bool intact =
      version == kVersion && header[kWriteVersionOffset] == kWalVersion && header[kReadVersionOffset] == kWalVersion;
  return intact ? FileKind::kPresent : FileKind::kDamaged;
}

}  // namespace weave::record_format
