#include "io/record_wal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "io/fd.h"

namespace weave {
namespace {

// https://www.sqlite.org/fileformat2.html section 4
constexpr std::size_t kHeaderSize = 32, kFrameHeaderSize = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // plus 1: checksums take big-endian words
constexpr std::size_t kPageSizeOffset = 8, kSaltOffset = 16, kHeaderChecksumOffset = 24;
constexpr std::size_t kFrameSizeOffset = 4, kFrameSaltOffset = 8, kFrameChecksumOffset = 16;
constexpr std::size_t kFrameChecksummed = 8;  // bytes of a frame's header that its checksum covers

std::uint32_t BigEndian32(ByteView bytes, std::size_t offset) {
  return static_cast<std::uint32_t>(bytes[offset]) << 24 | static_cast<std::uint32_t>(bytes[offset + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[offset + 2]) << 8 | bytes[offset + 3];
}

std::uint64_t BigEndian64(ByteView bytes, std::size_t offset) {
  return static_cast<std::uint64_t>(BigEndian32(bytes, offset)) << 32 | BigEndian32(bytes, offset + 4);
}

// The running checksum of section 4.2.
class WalChecksum {
 public:
  explicit WalChecksum(bool big_endian) : big_endian_(big_endian) {}

  // `bytes` is a multiple of 8 long.
  void Add(ByteView bytes) {
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
      first_ += Word(bytes, i) + second_;
      second_ += Word(bytes, i + 4) + first_;
    }
  }

  std::uint64_t value() const { return static_cast<std::uint64_t>(first_) << 32 | second_; }

 private:
  std::uint32_t Word(ByteView bytes, std::size_t offset) const {
    const std::uint32_t word = BigEndian32(bytes, offset);
    return big_endian_ ? word : __builtin_bswap32(word);
  }

  const bool big_endian_;
  std::uint32_t first_ = 0, second_ = 0;
};

bool ReadAt(const Fd& fd, std::vector<std::uint8_t>& bytes, std::size_t offset) {
  return ::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(bytes.size());
}

}  // namespace

absl::Status CheckWal(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT ? absl::OkStatus() : ErrnoError(errno, absl::StrCat("open ", path));
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  const auto size = static_cast<std::size_t>(info.st_size);
  std::vector<std::uint8_t> header(kHeaderSize);
  // Shorter than one frame: nothing was ever committed to it.
  if (size <= kHeaderSize + kFrameHeaderSize || !ReadAt(fd, header, 0)) return absl::OkStatus();

  // The header is one sector, written and synced before any frame: it does not tear.
  const std::uint32_t magic = BigEndian32(header, 0), page_size = BigEndian32(header, kPageSizeOffset);
  WalChecksum checksum((magic & 1) != 0);
  checksum.Add(absl::MakeConstSpan(header).first(kHeaderChecksumOffset));
  if ((magic & ~1U) != kMagic || page_size < 512 || page_size > 65536 ||
      checksum.value() != BigEndian64(header, kHeaderChecksumOffset))
    return absl::DataLossError(absl::StrCat(path, ": the header does not match its checksum"));

  bool fits = true;              // no misfit so far
  bool passed_a_commit = false;  // a transaction ended at or behind the misfit
  std::vector<std::uint8_t> frame(kFrameHeaderSize + page_size);
  for (std::size_t at = kHeaderSize; at + frame.size() <= size && ReadAt(fd, frame, at); at += frame.size()) {
    const ByteView bytes = frame;
    const bool of_this_log = BigEndian64(bytes, kFrameSaltOffset) == BigEndian64(header, kSaltOffset);
    if (fits) {
      checksum.Add(bytes.first(kFrameChecksummed));
      checksum.Add(bytes.subspan(kFrameHeaderSize));
      fits = of_this_log && checksum.value() == BigEndian64(bytes, kFrameChecksumOffset);
      if (fits) continue;
    }
    if (!of_this_log) continue;
    if (passed_a_commit)
      return absl::DataLossError(absl::StrCat(path, ": a transaction before the frame at byte ", at, " is damaged"));
    passed_a_commit = BigEndian32(bytes, kFrameSizeOffset) != 0;
  }
  return absl::OkStatus();
}

}  // namespace weave
