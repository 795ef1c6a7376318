// Datagrams that are about to leave, one behind the other in one block of memory, so that equal ones to one peer can be
// given to the kernel in one piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/socket_address.h"

namespace weave {

// Where datagrams of a connection go, and from where.
struct DatagramRoute {
  std::optional<IpAddress> local;  // the address of ours to send from; none: the kernel chooses
  SocketAddress remote;

  friend bool operator==(const DatagramRoute&, const DatagramRoute&) = default;
};

inline constexpr std::size_t kMaxDatagramPayloadSize = 65507;  // bytes; what IPv4 can carry over UDP

class DatagramBatch {
 public:
  static constexpr std::size_t kCapacity = 512 * 1024;  // bytes
  static constexpr std::size_t kMaxCount = 1024;

  struct Datagram {
    const DatagramRoute* route = nullptr;  // not owned
    // false: DF is never set. true: always, and the driver reports what is refused as too big.
    bool dont_fragment = false;
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  DatagramBatch() : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(kCapacity)) {}

  // Room for another datagram of `size` bytes, behind the others.
  bool Fits(std::size_t size) const { return datagrams_.size() < kMaxCount && used_ + size <= kCapacity; }
  // Adds bytes behind the last: those of a new datagram, or more of the last. The batch must have room.
  absl::Span<std::uint8_t> Begin(const DatagramRoute& route, bool dont_fragment, std::size_t size);
  absl::Span<std::uint8_t> Extend(std::size_t size);
  absl::Span<std::uint8_t> last() { return BytesOf(datagrams_.back()); }

  const std::vector<Datagram>& datagrams() const { return datagrams_; }
  absl::Span<std::uint8_t> BytesOf(const Datagram& datagram) {
    return {memory_.get() + datagram.offset, datagram.size};
  }
  bool empty() const { return datagrams_.empty(); }
  void Clear();

 private:
  const std::unique_ptr<std::uint8_t[]> memory_;  // untouched until it is needed
  std::size_t used_ = 0;
  std::vector<Datagram> datagrams_;
};

}  // namespace weave
