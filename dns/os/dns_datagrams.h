// Datagrams of a name server's UDP socket: received and sent in batches, a system call each. Private to
// dns/os/dns_server.cc.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/bytes.h"
#include "base/socket_address.h"

namespace weave {

// Whom to answer, and from which of our addresses: of a socket that listens on all of them, the one that was asked.
struct DnsReturnPath {
  sockaddr_storage client = {};
  socklen_t client_size = 0;
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo))> control = {};
  std::size_t control_size = 0;
};

class DnsDatagrams {
 public:
  static constexpr int kBatchCount = 32;
  // No query is larger: a name, a type, and what EDNS adds. What is cut off is answered as malformed.
  static constexpr std::size_t kMaxQuerySize = 4096;

  explicit DnsDatagrams(int fd);
  DnsDatagrams(const DnsDatagrams&) = delete;
  DnsDatagrams& operator=(const DnsDatagrams&) = delete;

  // Takes what has come, a batch at most, and gives each to `handle`, which appends the answer to `out` or leaves it.
  // Then sends the answers. How many came.
  int Serve(absl::FunctionRef<void(ByteView query, const DnsReturnPath& path, Bytes& out)> handle);

  // A client that cannot take it now goes without.
  void Send(const DnsReturnPath& path, ByteView answer) const;

 private:
  const int fd_;
  std::vector<std::uint8_t> buffers_;
  std::array<DnsReturnPath, kBatchCount> paths_;
  std::array<mmsghdr, kBatchCount> messages_ = {};
  std::array<iovec, kBatchCount> parts_ = {};
  std::array<mmsghdr, kBatchCount> answers_ = {};
  std::array<iovec, kBatchCount> answer_parts_ = {};
  std::array<std::pair<std::size_t, std::size_t>, kBatchCount> extents_;  // of answers in out_
  Bytes out_;
};

}  // namespace weave
