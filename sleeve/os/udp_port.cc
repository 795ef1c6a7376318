#include "sleeve/os/udp_port.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "sleeve/os/await_writable.h"
#include "sleeve/os/mapped_region.h"

namespace weave {
namespace {

constexpr int kDatagramCount = 32;                    // messages a system call
constexpr std::size_t kDatagramSlotSize = 64 * 1024;  // a datagram, or several in one piece
constexpr int kBufferSize = 8 * 1024 * 1024;          // bytes, of the socket, each way
constexpr std::size_t kMaxSegmentCount = 64;          // UDP_MAX_SEGMENTS of every kernel that has any

sockaddr_in ToKernel(const SocketAddress& address) {
  sockaddr_in kernel = {};
  kernel.sin_family = AF_INET;
  kernel.sin_port = htons(address.port);
  kernel.sin_addr.s_addr = htonl(address.ip.v4());
  return kernel;
}

SocketAddress FromKernel(const sockaddr_in& kernel) {
  return {IpAddress::V4(ntohl(kernel.sin_addr.s_addr)), ntohs(kernel.sin_port)};
}

bool IsOneHost(const IpAddress& address) { return address.v4() >> 28 < 0xe && address.v4() != 0; }

void SetBuffer(int fd, int forced, int modest) {
  if (setsockopt(fd, SOL_SOCKET, forced, &kBufferSize, sizeof kBufferSize) != 0)
    setsockopt(fd, SOL_SOCKET, modest, &kBufferSize, sizeof kBufferSize);
}

template <typename Value>
cmsghdr* AddControl(msghdr& message, cmsghdr* after, int level, int type, const Value& value) {
  cmsghdr* const header = after == nullptr ? CMSG_FIRSTHDR(&message) : CMSG_NXTHDR(&message, after);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
  return header;
}

}  // namespace

// Where datagrams are received.
class UdpPort::Inbox {
 public:
  Inbox() {
    for (int i = 0; i < kDatagramCount; ++i) parts_[i] = {region_.data() + i * kDatagramSlotSize, kDatagramSlotSize};
  }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Errors of earlier datagrams are dropped: those of sleeve come from anywhere.
  int Receive(int fd) {
    for (int i = 0; i < kDatagramCount; ++i) {
      msghdr& message = messages_[i].msg_hdr;
      message = {};
      message.msg_name = &sources_[i];
      message.msg_namelen = sizeof sources_[i];
      message.msg_iov = &parts_[i];
      message.msg_iovlen = 1;
      message.msg_control = controls_[i].bytes;
      message.msg_controllen = sizeof controls_[i].bytes;
    }
    return recvmmsg(fd, messages_.data(), kDatagramCount, MSG_DONTWAIT, nullptr);
  }

  // The datagrams of message `i`, which may be several of one size behind each other.
  void Read(int i, OnDatagram on_datagram) {
    IpAddress local;
    std::size_t segment_size = messages_[i].msg_len;
    msghdr& message = messages_[i].msg_hdr;
    for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
      if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(control), sizeof info);
        local = IpAddress::V4(ntohl(info.ipi_addr.s_addr));
      } else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
        int size;
        std::memcpy(&size, CMSG_DATA(control), sizeof size);
        if (size > 0) segment_size = static_cast<std::size_t>(size);
      }
    }
    if (!IsOneHost(local)) return;  // it becomes the address we answer from
    const SocketAddress remote = FromKernel(sources_[i]);
    ByteView rest(region_.data() + i * kDatagramSlotSize, messages_[i].msg_len);
    do {
      const ByteView datagram = rest.subspan(0, segment_size);
      on_datagram(local, remote, datagram);
      rest.remove_prefix(datagram.size());
    } while (!rest.empty());
  }

 private:
  static constexpr std::size_t kRegionSize = kDatagramSlotSize * kDatagramCount;

  struct alignas(cmsghdr) Control {
    char bytes[CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(int))];
  };

  const MappedRegion region_{kRegionSize};
  std::array<mmsghdr, kDatagramCount> messages_ = {};
  std::array<iovec, kDatagramCount> parts_;
  std::array<sockaddr_in, kDatagramCount> sources_ = {};
  std::array<Control, kDatagramCount> controls_ = {};
};

// Datagrams as messages of one system call. Those of one size behind each other to one remote become one message, which
// the kernel cuts: late, or not at all when the other end takes them whole.
class UdpPort::Outbox {
 public:
  struct Run {
    std::size_t first = 0;  // in the batch
    std::size_t end = 0;
  };

  void Clear() { count_ = 0; }
  bool full() const { return count_ == kDatagramCount; }
  int count() const { return count_; }
  const Run& run(int i) const { return runs_[i]; }
  mmsghdr* messages() { return messages_.data(); }

  void Add(DatagramBatch& batch, const Run& run) {
    const int i = count_++;
    const DatagramBatch::Datagram& first = batch.datagrams()[run.first];
    const DatagramBatch::Datagram& last = batch.datagrams()[run.end - 1];
    runs_[i] = run;
    parts_[i] = {batch.BytesOf(first).data(), last.offset + last.size - first.offset};
    remotes_[i] = ToKernel(first.route->remote);
    messages_[i] = {};
    msghdr& message = messages_[i].msg_hdr;
    message.msg_name = &remotes_[i];
    message.msg_namelen = sizeof remotes_[i];
    message.msg_iov = &parts_[i];
    message.msg_iovlen = 1;
    message.msg_control = controls_[i].bytes;
    message.msg_controllen = sizeof controls_[i].bytes;
    std::memset(controls_[i].bytes, 0, sizeof controls_[i].bytes);
    std::size_t size = 0;
    cmsghdr* control = nullptr;
    if (first.route->local.has_value()) {
      in_pktinfo info = {};
      info.ipi_spec_dst.s_addr = htonl(first.route->local->v4());
      control = AddControl(message, control, IPPROTO_IP, IP_PKTINFO, info);
      size += CMSG_SPACE(sizeof info);
    }
    if (run.end - run.first > 1) {
      const std::uint16_t segment_size = static_cast<std::uint16_t>(first.size);
      AddControl(message, control, IPPROTO_UDP, UDP_SEGMENT, segment_size);
      size += CMSG_SPACE(sizeof segment_size);
    }
    message.msg_controllen = size;
    if (size == 0) message.msg_control = nullptr;
  }

 private:
  struct alignas(cmsghdr) Control {
    char bytes[CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(std::uint16_t))];
  };

  int count_ = 0;
  std::array<Run, kDatagramCount> runs_;
  std::array<mmsghdr, kDatagramCount> messages_ = {};
  std::array<iovec, kDatagramCount> parts_;
  std::array<sockaddr_in, kDatagramCount> remotes_ = {};
  std::array<Control, kDatagramCount> controls_ = {};
};

absl::StatusOr<std::unique_ptr<UdpPort>> UdpPort::Open(const std::optional<IpAddress>& host, std::uint16_t port) {
  const SocketAddress wanted{host.value_or(IpAddress()), port};
  const std::string what = absl::StrCat("bind UDP ", wanted.ToString());
  if (!wanted.ip.IsV4()) return absl::InvalidArgumentError(absl::StrCat(what, ": want an IPv4 address"));
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, what);
  const int on = 1;
  const int never_df = IP_PMTUDISC_DONT;
  setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  setsockopt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, &never_df, sizeof never_df);
  setsockopt(fd.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on);  // a kernel without it gives datagrams one by one
  SetBuffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  SetBuffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  sockaddr_in kernel = ToKernel(wanted);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) != 0) return ErrnoError(errno, what);
  socklen_t size = sizeof kernel;
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&kernel), &size) != 0) return ErrnoError(errno, what);
  return std::unique_ptr<UdpPort>(new UdpPort(std::move(fd), FromKernel(kernel)));
}

UdpPort::UdpPort(Fd fd, const SocketAddress& address)
    : fd_(std::move(fd)), address_(address), inbox_(std::make_unique<Inbox>()), outbox_(std::make_unique<Outbox>()) {}

UdpPort::~UdpPort() = default;

bool UdpPort::Receive(OnDatagram on_datagram) {
  const int count = inbox_->Receive(fd_.get());
  for (int i = 0; i < count; ++i) inbox_->Read(i, on_datagram);
  return count > 0;
}

// Those with DF and those without apart: the socket sets DF or does not. Their order among each other is of no use.
void UdpPort::Send(DatagramBatch& batch, OnTooBig on_too_big) {
  std::vector<SocketAddress> told;
  const auto once = [&](const SocketAddress& remote, std::size_t path_mtu) {
    if (std::find(told.begin(), told.end(), remote) != told.end()) return;
    told.push_back(remote);
    on_too_big(remote, path_mtu);
  };
  const std::size_t count = batch.datagrams().size();
  for (std::size_t first = 0; first < count;) {
    const bool dont_fragment = batch.datagrams()[first].dont_fragment;
    std::size_t end = first + 1;
    while (end < count && batch.datagrams()[end].dont_fragment == dont_fragment) ++end;
    if (SetDontFragment(dont_fragment))
      SendRange(batch, first, end, once);
    else
      stats_.send_failures += end - first;
    first = end;
  }
}

void UdpPort::SendRange(DatagramBatch& batch, std::size_t first, std::size_t end, OnTooBig on_too_big) {
  const std::vector<DatagramBatch::Datagram>& datagrams = batch.datagrams();
  const auto run_end = [&](std::size_t from, bool alone) {
    std::size_t to = from + 1;
    // Without DF the kernel would not cut by datagrams, but by fragments.
    if (alone || !segments_ || !datagrams[from].dont_fragment) return to;
    std::size_t total = datagrams[from].size;
    while (to < end && to - from < kMaxSegmentCount && datagrams[to].route == datagrams[from].route &&
           datagrams[to - 1].size == datagrams[from].size && datagrams[to].size <= datagrams[from].size &&
           total + datagrams[to].size <= kMaxDatagramPayloadSize) {
      total += datagrams[to].size;
      ++to;
    }
    return to;
  };
  std::size_t alone_until = first;  // what the kernel refused in one piece
  while (first < end) {
    outbox_->Clear();
    for (std::size_t next = first; next < end && !outbox_->full();) {
      const Outbox::Run run{next, run_end(next, next < alone_until)};
      outbox_->Add(batch, run);
      next = run.end;
    }
    const int sent = sendmmsg(fd_.get(), outbox_->messages(), static_cast<unsigned>(outbox_->count()), MSG_DONTWAIT);
    if (sent > 0) {
      first = outbox_->run(sent - 1).end;
      continue;
    }
    const Outbox::Run refused = outbox_->run(0);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS) {
      const bool full_elsewhere = errno == ENOBUFS;  // a device's queue, of which the socket knows nothing
      if (AwaitWritable(fd_.get()) && !full_elsewhere) continue;
    } else if (refused.end - refused.first > 1) {
      if (errno == EIO || errno == EOPNOTSUPP) segments_ = false;  // a device that cannot complete checksums
      alone_until = refused.end;
      continue;
    } else if (errno == EMSGSIZE) {
      const DatagramRoute& route = *datagrams[refused.first].route;
      const absl::StatusOr<std::size_t> path_mtu = PathMtu(route);
      if (path_mtu.ok()) on_too_big(route.remote, *path_mtu);
    }
    stats_.send_failures += refused.end - refused.first;
    first = refused.end;
  }
}

bool UdpPort::SetDontFragment(bool on) {
  if (on == sets_df_) return true;
  const int mode = on ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
  if (setsockopt(fd_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode) != 0) return false;
  sets_df_ = on;
  return true;
}

// IP_MTU is known to connected sockets only; what routers told is kept by destination, not by socket.
absl::StatusOr<std::size_t> UdpPort::PathMtu(const DatagramRoute& to) const {
  const std::string what = absl::StrCat("path MTU to ", to.remote.ToString());
  const Fd probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return ErrnoError(errno, what);
  const sockaddr_in local = ToKernel({to.local.value_or(address_.ip), 0});
  const sockaddr_in remote = ToKernel(to.remote);
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0 ||
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&remote), sizeof remote) != 0 ||
      getsockopt(probe.get(), IPPROTO_IP, IP_MTU, &mtu, &size) != 0)
    return ErrnoError(errno, what);
  return static_cast<std::size_t>(mtu);
}

}  // namespace weave
