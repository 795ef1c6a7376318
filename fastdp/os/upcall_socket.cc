#include "fastdp/os/upcall_socket.h"

#include <linux/sock_diag.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/status.h"

namespace weave {
namespace {

// Of what waits for us, counted with the kernel's own structures: about 3,000 packets of full size.
constexpr int kReceiveBufferSize = 8 * 1024 * 1024;
// A frame in an attribute is below 64 KiB; headers and its key come on top.
constexpr std::size_t kMaxMessageSize = (64 + 4) * 1024;

}  // namespace

// The memory of messages: pages that no message has reached cost nothing.
struct UpcallSocket::Batch {
  std::unique_ptr<std::uint8_t[]> bytes{new std::uint8_t[kBatchCount * kMaxMessageSize]};
  std::array<mmsghdr, kBatchCount> headers = {};
  std::array<iovec, kBatchCount> parts = {};
  std::array<sockaddr_nl, kBatchCount> senders = {};

  Batch() {
    for (std::size_t i = 0; i < kBatchCount; ++i) {
      parts[i] = {bytes.get() + i * kMaxMessageSize, kMaxMessageSize};
      headers[i].msg_hdr.msg_name = &senders[i];
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
  }

  int Read(int fd) {
    for (mmsghdr& header : headers) header.msg_hdr.msg_namelen = sizeof(sockaddr_nl);
    return ::recvmmsg(fd, headers.data(), kBatchCount, MSG_DONTWAIT, nullptr);
  }
};

void UpcallSocket::DeleteBatch::operator()(Batch* batch) const { delete batch; }

UpcallSocket::UpcallSocket(Fd fd, std::uint32_t pid) : fd_(std::move(fd)), pid_(pid), batch_(new Batch) {}

absl::StatusOr<UpcallSocket> UpcallSocket::Open() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC));
  if (!fd.valid()) return ErrnoError(errno, "a netlink socket");
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), generic, size) != 0 || ::getsockname(fd.get(), generic, &size) != 0)
    return ErrnoError(errno, "a netlink socket's port");
  // Without the right to a large buffer the small one does.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferSize, sizeof kReceiveBufferSize) != 0)
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBufferSize, sizeof kReceiveBufferSize);
  return UpcallSocket(std::move(fd), address.nl_pid);
}

void UpcallSocket::Receive(absl::FunctionRef<void(const nlmsghdr&)> visit) {
  int count = batch_->Read(fd());
  if (count < 0 && errno == ENOBUFS) {  // said once, then come those that had room
    ++overrun_count_;
    count = batch_->Read(fd());
  }
  for (int i = 0; i < count; ++i) {
    if (batch_->senders[i].nl_pid != 0) continue;  // what a process sent us is not the kernel's word
    const auto* header = static_cast<const nlmsghdr*>(batch_->parts[i].iov_base);
    for (int left = static_cast<int>(batch_->headers[i].msg_len); nlmsg_ok(header, left);
         header = nlmsg_next(const_cast<nlmsghdr*>(header), &left)) {
      visit(*header);
    }
  }
}

std::uint64_t UpcallSocket::lost() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory = {};
  socklen_t size = sizeof memory;
  const bool told = ::getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size) == 0;
  return std::max<std::uint64_t>(told ? memory[SK_MEMINFO_DROPS] : 0, overrun_count_);
}

}  // namespace weave
