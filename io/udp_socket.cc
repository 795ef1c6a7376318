#include "io/udp_socket.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

constexpr std::size_t kPageSize = 4096;
constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in_pktinfo));

int KernelMode(MtuDiscover mode) {
  switch (mode) {
    case MtuDiscover::kDont:
      return IP_PMTUDISC_DONT;
    case MtuDiscover::kWant:
      return IP_PMTUDISC_WANT;
    case MtuDiscover::kDo:
      return IP_PMTUDISC_DO;
    case MtuDiscover::kProbe:
      return IP_PMTUDISC_PROBE;
  }
  CHECK(false) << "mode " << static_cast<int>(mode);
  return -1;
}

absl::Status SendError(int err, const SocketAddress& to, std::size_t size) {
  const std::string what = absl::StrCat("send ", size, " bytes to ", to.ToString());
  switch (err) {
    case EMSGSIZE:
      return absl::OutOfRangeError(absl::StrCat(what, ": larger than the path can carry"));
    case EAGAIN:
    case ENOBUFS:
      return absl::ResourceExhaustedError(absl::StrCat(what, ": the buffer of the socket is full"));
    default:
      return ErrnoError(err, what);
  }
}

}  // namespace

// Where a batch of datagrams is received. Addresses for the largest batch there can be; memory only for what came, as
// the kernel gives a page when it is first written to, and what only large datagrams use is given back at once.
class UdpSocket::Batch {
 public:
  Batch() {
    void* const memory =
        mmap(nullptr, kRegionSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED) << "no address space for " << kRegionSize << " bytes: errno " << errno;
    region_ = static_cast<std::uint8_t*>(memory);
    for (int i = 0; i < kBatchCount; ++i) parts_[i] = {region_ + i * kSlotSize, kMaxDatagramSize};
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() { munmap(region_, kRegionSize); }

  // Empty: nothing waits. Errors of earlier datagrams are dropped: those of sleeve come from anywhere.
  absl::Span<const UdpDatagram> Receive(int fd) {
    for (int i = 0; i < kBatchCount; ++i) {
      messages_[i].msg_hdr = {};
      messages_[i].msg_hdr.msg_name = &sources_[i];
      messages_[i].msg_hdr.msg_namelen = sizeof sources_[i];
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
      messages_[i].msg_hdr.msg_control = controls_[i].bytes;
      messages_[i].msg_hdr.msg_controllen = sizeof controls_[i].bytes;
    }
    const int count = recvmmsg(fd, messages_.data(), kBatchCount, MSG_DONTWAIT, nullptr);
    largest_size_ = 0;
    for (int i = 0; i < count; ++i) {
      const std::size_t size = messages_[i].msg_len;
      largest_size_ = std::max(largest_size_, size);
      datagrams_[i] = {FromKernel(sources_[i]), DestinationOf(messages_[i].msg_hdr),
                       ByteView(region_ + i * kSlotSize, size)};
    }
    return absl::MakeConstSpan(datagrams_.data(), static_cast<std::size_t>(std::max(count, 0)));
  }

  // After a batch of which nothing is needed any more.
  void Trim() {
    if (largest_size_ > kPageSize) madvise(region_, kRegionSize, MADV_DONTNEED);
  }

 private:
  static constexpr std::size_t kSlotSize = 64 * 1024;
  static constexpr std::size_t kRegionSize = kSlotSize * kBatchCount;

  struct alignas(cmsghdr) Control {
    char bytes[kControlSize];
  };

  static IpAddress DestinationOf(msghdr& message) {
    for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
      if (control->cmsg_level != IPPROTO_IP || control->cmsg_type != IP_PKTINFO) continue;
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      return IpAddress::V4(ntohl(info.ipi_addr.s_addr));
    }
    return IpAddress();
  }

  std::uint8_t* region_ = nullptr;
  std::array<mmsghdr, kBatchCount> messages_;
  std::array<iovec, kBatchCount> parts_;
  std::array<sockaddr_storage, kBatchCount> sources_;
  std::array<Control, kBatchCount> controls_;
  std::array<UdpDatagram, kBatchCount> datagrams_;
  std::size_t largest_size_ = 0;
};

absl::StatusOr<std::unique_ptr<UdpSocket>> UdpSocket::Bind(EventLoop& loop, const std::optional<IpAddress>& host,
                                                           std::uint16_t port, OnReceived on_received) {
  const SocketAddress wanted{host.value_or(IpAddress()), port};
  const std::string what = absl::StrCat("bind UDP ", wanted.ToString());
  if (!wanted.ip.IsV4()) return absl::InvalidArgumentError(absl::StrCat(what, ": want an IPv4 address"));
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, what);
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  const KernelAddress kernel(wanted);
  if (bind(fd.get(), kernel.get(), kernel.size()) != 0) return ErrnoError(errno, what);
  ASSIGN_OR_RETURN(const SocketAddress address, LocalAddressOf(fd.get()));

  std::unique_ptr<UdpSocket> socket(new UdpSocket(std::move(fd), address, std::move(on_received)));
  RETURN_IF_ERROR(socket->SetMtuDiscover(MtuDiscover::kDont));
  socket->watch_ = loop.WatchReadable(socket->fd_.get(), [socket = socket.get()] { socket->OnReadable(); });
  return socket;
}

UdpSocket::UdpSocket(Fd fd, const SocketAddress& address, OnReceived on_received)
    : fd_(std::move(fd)), address_(address), on_received_(std::move(on_received)), batch_(std::make_unique<Batch>()) {}

UdpSocket::~UdpSocket() = default;

absl::Status UdpSocket::SetMtuDiscover(MtuDiscover mode) {
  const int value = KernelMode(mode);
  if (setsockopt(fd_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &value, sizeof value) == 0) return absl::OkStatus();
  return ErrnoError(errno, absl::StrCat("set IP_MTU_DISCOVER of ", address_.ToString()));
}

absl::Status UdpSocket::Send(const SocketAddress& to, ByteView bytes, const std::optional<IpAddress>& source) {
  if (!to.ip.IsV4() || (source && !source->IsV4()))
    return absl::InvalidArgumentError(absl::StrCat("send to ", to.ToString(), ": want IPv4 addresses"));
  const KernelAddress kernel(to);
  iovec part = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[kControlSize] = {};
  msghdr message = {};
  message.msg_name = const_cast<sockaddr*>(kernel.get());
  message.msg_namelen = kernel.size();
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (source) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info = {};
    info.ipi_spec_dst.s_addr = htonl(source->v4());
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
  }
  if (sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return absl::OkStatus();
  return SendError(errno, to, bytes.size());
}

absl::StatusOr<std::size_t> UdpSocket::PathMtu(const SocketAddress& to) const {
  const std::string what = absl::StrCat("path MTU to ", to.ToString());
  if (!to.ip.IsV4()) return absl::InvalidArgumentError(absl::StrCat(what, ": want an IPv4 address"));
  // IP_MTU is known to connected sockets only; what routers told is kept by destination, not by socket.
  const Fd probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return ErrnoError(errno, what);
  const KernelAddress local({address_.ip, 0}), remote(to);
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (bind(probe.get(), local.get(), local.size()) != 0 || connect(probe.get(), remote.get(), remote.size()) != 0 ||
      getsockopt(probe.get(), IPPROTO_IP, IP_MTU, &mtu, &size) != 0)
    return ErrnoError(errno, what);
  return static_cast<std::size_t>(mtu);
}

void UdpSocket::OnReadable() {
  const absl::Span<const UdpDatagram> datagrams = batch_->Receive(fd_.get());
  if (datagrams.empty()) return;
  on_received_(datagrams);
  batch_->Trim();
}

}  // namespace weave
