// Address space for batches of large frames. The kernel gives a page of it when it is first written to.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace weave {

class MappedRegion {
 public:
  // `size` bytes, zero.
  explicit MappedRegion(std::size_t size) : size_(size) {
    void* const memory =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED) << "no address space for " << size << " bytes: errno " << errno;
    data_ = static_cast<std::uint8_t*>(memory);
  }
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;
  ~MappedRegion() { munmap(data_, size_); }

  std::uint8_t* data() const { return data_; }

 private:
  const std::size_t size_;
  std::uint8_t* data_ = nullptr;
};

}  // namespace weave
