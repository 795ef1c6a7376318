#include "wire/bolt_file.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

// bbolt's page.go, db.go and bucket.go; sizes in bytes.
constexpr std::size_t kPageHeaderSize = 16;  // id (8), flags (2), count (2), overflow (4)
constexpr std::size_t kElementSize = 16;     // of a branch page: pos, ksize, page; of a leaf: flags, pos, ksize, vsize
constexpr std::size_t kBucketSize = 16;      // root page (8), sequence (8)
constexpr std::size_t kMetaSize = 64;
constexpr std::uint32_t kBoltMagic = 0xed0cdaed;
constexpr std::uint32_t kVersion = 2;
constexpr std::uint16_t kBranchPage = 0x01;
constexpr std::uint16_t kLeafPage = 0x02;
constexpr std::uint32_t kBucketElement = 0x01;
constexpr int kMaxDepth = 32;  // a tree of pages with two entries each has a page more than 2^32 by then

// `at` lies inside `bytes` with as many bytes behind it as the integer has.
template <typename T>
T Load(ByteView bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = sizeof(T); i > 0; --i) value = static_cast<T>(value << 8 | bytes[at + i - 1]);
  return value;
}

// FNV-1a, 64 bits, of what stands before the checksum.
std::uint64_t MetaChecksum(ByteView meta) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::uint8_t byte : meta.first(kMetaSize - 8)) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

struct Meta {
  std::size_t page_size = 0;
  std::uint64_t root = 0;
  std::uint64_t transaction = 0;
};

// The meta page at `offset`; none when that is not one, whole and of our version.
std::optional<Meta> MetaAt(ByteView file, std::size_t offset) {
  if (file.size() < offset + kPageHeaderSize + kMetaSize) return std::nullopt;
  const ByteView meta = file.subspan(offset + kPageHeaderSize, kMetaSize);
  if (Load<std::uint32_t>(meta, 0) != kBoltMagic || Load<std::uint32_t>(meta, 4) != kVersion) return std::nullopt;
  if (Load<std::uint64_t>(meta, kMetaSize - 8) != MetaChecksum(meta)) return std::nullopt;
  const std::size_t page_size = Load<std::uint32_t>(meta, 8);
  if (page_size < 512 || page_size > 65536 || (page_size & (page_size - 1)) != 0) return std::nullopt;
  return Meta{
      .page_size = page_size, .root = Load<std::uint64_t>(meta, 16), .transaction = Load<std::uint64_t>(meta, 48)};
}

// Pages 0 and 1 are written in turns: the later one that is whole counts. When the first is not, the page size is
// unknown too.
std::optional<Meta> LatestMeta(ByteView file) {
  std::optional<Meta> latest = MetaAt(file, 0);
  for (std::size_t page_size = 512; page_size <= 65536; page_size *= 2) {
    const std::optional<Meta> second = MetaAt(file, page_size);
    if (!second.has_value() || second->page_size != page_size) continue;
    if (!latest.has_value() || second->transaction > latest->transaction) latest = second;
  }
  return latest;
}

class Walk {
 public:
  Walk(ByteView file, std::size_t page_size)
      : file_(file), page_size_(page_size), pages_left_(file.size() / page_size) {}

  struct Element {
    bool bucket = false;
    absl::string_view key;
    ByteView value;
  };

  absl::Status Tree(std::uint64_t root, std::vector<Element>& elements) { return Subtree(root, 0, elements); }

  // A page that stands inside a bucket's value.
  absl::Status Inline(ByteView page, std::vector<Element>& elements) {
    if (page.size() < kPageHeaderSize) return Damaged("an inline bucket is cut short");
    if ((Load<std::uint16_t>(page, 8) & kLeafPage) == 0) return Damaged("an inline bucket is no leaf");
    return Leaf(page, elements);
  }

 private:
  static absl::Status Damaged(absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("bbolt file is damaged: ", what));
  }

  absl::Status Subtree(std::uint64_t id, int depth, std::vector<Element>& elements) {
    if (depth > kMaxDepth) return Damaged("its pages are nested too deeply");
    // Every page belongs to one tree, once: whoever asks for more than there are goes in a circle.
    if (pages_left_ == 0) return Damaged(absl::StrCat("page ", id, " is part of a circle"));
    --pages_left_;
    if (id < 2 || id >= file_.size() / page_size_) return Damaged(absl::StrCat("there is no page ", id));
    ByteView page = file_.subspan(id * page_size_);
    const std::uint64_t size = (std::uint64_t{Load<std::uint32_t>(page, 12)} + 1) * page_size_;
    if (size > page.size()) return Damaged(absl::StrCat("page ", id, " is cut short"));
    page = page.first(size);
    const auto flags = Load<std::uint16_t>(page, 8);
    if ((flags & kLeafPage) != 0) return Leaf(page, elements);
    if ((flags & kBranchPage) == 0) return Damaged(absl::StrCat("page ", id, " is neither branch nor leaf"));
    const std::size_t count = Load<std::uint16_t>(page, 10);
    if (kPageHeaderSize + count * kElementSize > page.size())
      return Damaged(absl::StrCat("page ", id, " is cut short"));
    for (std::size_t i = 0; i < count; ++i)
      RETURN_IF_ERROR(Subtree(Load<std::uint64_t>(page, kPageHeaderSize + i * kElementSize + 8), depth + 1, elements));
    return absl::OkStatus();
  }

  static absl::Status Leaf(ByteView page, std::vector<Element>& elements) {
    const std::size_t count = Load<std::uint16_t>(page, 10);
    if (kPageHeaderSize + count * kElementSize > page.size()) return Damaged("a leaf is cut short");
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = kPageHeaderSize + i * kElementSize;
      // Positions count from the element itself. No sum of 32-bit numbers overflows here.
      const std::size_t key = at + Load<std::uint32_t>(page, at + 4);
      const std::size_t key_size = Load<std::uint32_t>(page, at + 8);
      const std::size_t value_size = Load<std::uint32_t>(page, at + 12);
      if (key + key_size + value_size > page.size()) return Damaged("an entry reaches beyond its page");
      elements.push_back({.bucket = (Load<std::uint32_t>(page, at) & kBucketElement) != 0,
                          .key = AsText(page.subspan(key, key_size)),
                          .value = page.subspan(key + key_size, value_size)});
    }
    return absl::OkStatus();
  }

  const ByteView file_;
  const std::size_t page_size_;
  std::size_t pages_left_;
};

}  // namespace

absl::StatusOr<std::vector<BoltEntry>> ReadBoltBucket(ByteView file, absl::string_view bucket) {
  const std::optional<Meta> meta = LatestMeta(file);
  if (!meta.has_value())
    return absl::InvalidArgumentError("no bbolt file of version 2, or both its meta pages are damaged");
  Walk walk(file, meta->page_size);
  std::vector<Walk::Element> buckets;
  RETURN_IF_ERROR(walk.Tree(meta->root, buckets));
  for (const Walk::Element& element : buckets) {
    if (!element.bucket || element.key != bucket) continue;
    if (element.value.size() < kBucketSize)
      return absl::InvalidArgumentError(absl::StrCat("bbolt file is damaged: bucket \"", bucket, "\" is cut short"));
    std::vector<Walk::Element> elements;
    const auto root = Load<std::uint64_t>(element.value, 0);
    RETURN_IF_ERROR(root == 0 ? walk.Inline(element.value.subspan(kBucketSize), elements) : walk.Tree(root, elements));
    std::vector<BoltEntry> entries;
    for (const Walk::Element& entry : elements)
      if (!entry.bucket) entries.push_back({entry.key, entry.value});
    return entries;
  }
  return absl::NotFoundError(absl::StrCat("bbolt file has no bucket \"", bucket, "\""));
}

}  // namespace weave
