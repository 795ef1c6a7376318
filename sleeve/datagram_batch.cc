#include "sleeve/datagram_batch.h"

#include "base/check.h"

namespace weave {

absl::Span<std::uint8_t> DatagramBatch::Begin(const DatagramRoute& route, bool dont_fragment, std::size_t size) {
  CHECK(Fits(size)) << size;
  datagrams_.push_back({&route, dont_fragment, used_, 0});
  return Extend(size);
}

absl::Span<std::uint8_t> DatagramBatch::Extend(std::size_t size) {
  CHECK(!datagrams_.empty() && used_ + size <= kCapacity) << size;
  const std::size_t offset = used_;
  used_ += size;
  datagrams_.back().size += size;
  return {memory_.get() + offset, size};
}

void DatagramBatch::Clear() {
  datagrams_.clear();
  used_ = 0;
}

}  // namespace weave
