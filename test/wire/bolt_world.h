// Small bbolt files for tests: a page at a time, with whatever is wrong with it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace weave {

class BoltWorld {
 public:
  static constexpr std::size_t kPageSize = 512;  // bytes; the least

  struct Entry {
    std::string key;
    std::string value;
    bool bucket = false;
  };

  // Two meta pages whose root is page `root`, the second of the later transaction.
  explicit BoltWorld(std::uint64_t root = 2) : file_(2 * kPageSize, 0) {
    PutMeta(0, root, 1);
    PutMeta(1, root, 2);
  }

  // A meta page in place of page 0 or 1.
  void PutMeta(std::size_t page, std::uint64_t root, std::uint64_t transaction) {
    Bytes meta;
    Append(meta, 0xed0cdaed, 4);
    Append(meta, 2, 4);
    Append(meta, kPageSize, 4);
    Append(meta, 0, 4);
    Append(meta, root, 8);
    Append(meta, 0, 8);
    Append(meta, 0, 8);  // free pages: nobody asks
    Append(meta, 0, 8);
    Append(meta, transaction, 8);
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::uint8_t byte : meta) hash = (hash ^ byte) * 0x100000001b3;
    Append(meta, hash, 8);
    std::copy(meta.begin(), meta.end(), file_.begin() + static_cast<std::ptrdiff_t>(page * kPageSize + 16));
  }

  // Each adds the next page, from 2 on.
  void AddLeaf(const std::vector<Entry>& entries) { AddPage(Leaf(file_.size() / kPageSize, entries)); }
  void AddBranch(const std::vector<std::uint64_t>& children) {
    Bytes page = Header(file_.size() / kPageSize, 0x01, children.size());
    for (const std::uint64_t child : children) {
      Append(page, 0, 8);
      Append(page, child, 8);
    }
    AddPage(std::move(page));
  }

  // The value of a bucket whose tree begins at page `root`, or that is so small that it has none.
  static std::string Bucket(std::uint64_t root) {
    Bytes value;
    Append(value, root, 8);
    Append(value, 0, 8);
    return std::string(AsText(value));
  }
  static std::string InlineBucket(const std::vector<Entry>& entries) {
    return Bucket(0) + std::string(AsText(Leaf(0, entries)));
  }

  Bytes& file() { return file_; }

 private:
  static void Append(Bytes& out, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }

  static Bytes Header(std::uint64_t id, std::uint16_t flags, std::size_t count) {
    Bytes page;
    Append(page, id, 8);
    Append(page, flags, 2);
    Append(page, count, 2);
    Append(page, 0, 4);
    return page;
  }

  static Bytes Leaf(std::uint64_t id, const std::vector<Entry>& entries) {
    Bytes page = Header(id, 0x02, entries.size());
    std::size_t behind = entries.size() * 16;  // bytes from the element at hand to its key
    for (const Entry& entry : entries) {
      Append(page, entry.bucket ? 1 : 0, 4);
      Append(page, behind, 4);
      Append(page, entry.key.size(), 4);
      Append(page, entry.value.size(), 4);
      behind += entry.key.size() + entry.value.size() - 16;
    }
    for (const Entry& entry : entries) {
      page.insert(page.end(), entry.key.begin(), entry.key.end());
      page.insert(page.end(), entry.value.begin(), entry.value.end());
    }
    return page;
  }

  // Over as many pages as it takes.
  void AddPage(Bytes page) {
    const std::size_t count = (page.size() + kPageSize - 1) / kPageSize;
    page[12] = static_cast<std::uint8_t>(count - 1);
    page.resize(count * kPageSize);
    file_.insert(file_.end(), page.begin(), page.end());
  }

  Bytes file_;
};

}  // namespace weave
