#include "sleeve/os/bridge_tap.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sleeve/os/await_writable.h"
#include "sleeve/os/mapped_region.h"
#include "sleeve/sleeve_codec.h"

namespace weave {
namespace {

constexpr int kFrameCount = 32;
constexpr std::size_t kMacsSize = 12;              // in front of a tag
constexpr std::size_t kFrameSlotSize = 68 * 1024;  // the largest frame there can be, and a tag in front

// virtio_net_hdr of linux/virtio_net.h, which C++ cannot read, in the machine's byte order.
struct VirtioHeader {
  std::uint8_t flags;
  std::uint8_t gso_type;
  std::uint16_t hdr_len;
  std::uint16_t gso_size;
  std::uint16_t csum_start;
  std::uint16_t csum_offset;
};
static_assert(sizeof(VirtioHeader) == 10);
constexpr std::uint8_t kNeedsChecksum = 1;
constexpr std::uint8_t kOneSegment = 0;
constexpr std::uint8_t kTcp4Segments = 1;
constexpr std::uint8_t kTcp6Segments = 4;
constexpr std::uint8_t kUdpSegments = 5;
constexpr std::uint8_t kEcnBit = 0x80;

// None: segments of a kind that we cannot cut.
std::optional<FrameOffload> FromKernel(const VirtioHeader& header) {
  FrameOffload offload;
  offload.needs_checksum = (header.flags & kNeedsChecksum) != 0;
  if (offload.needs_checksum) {
    offload.checksum_start = header.csum_start;
    offload.checksum_offset = header.csum_offset;
  }
  offload.segment_size = header.gso_size;
  switch (header.gso_type & ~kEcnBit) {
    case kOneSegment:
      offload.segment_size = 0;
      return offload;
    case kTcp4Segments:
      offload.segments = FrameOffload::Segments::kTcp4;
      return offload;
    case kTcp6Segments:
      offload.segments = FrameOffload::Segments::kTcp6;
      return offload;
    case kUdpSegments:
      offload.segments = FrameOffload::Segments::kUdp;
      return offload;
    default:
      return std::nullopt;
  }
}

VirtioHeader ToKernel(const FrameOffload& offload) {
  VirtioHeader header = {};
  if (offload.needs_checksum) {
    header.flags = kNeedsChecksum;
    header.csum_start = offload.checksum_start;
    header.csum_offset = offload.checksum_offset;
  }
  switch (offload.segments) {
    case FrameOffload::Segments::kOne:
      return header;
    case FrameOffload::Segments::kTcp4:
      header.gso_type = kTcp4Segments;
      break;
    case FrameOffload::Segments::kTcp6:
      header.gso_type = kTcp6Segments;
      break;
    case FrameOffload::Segments::kUdp:
      header.gso_type = kUdpSegments;
      break;
  }
  header.gso_size = offload.segment_size;
  header.hdr_len = static_cast<std::uint16_t>(offload.checksum_start + 20);
  return header;
}

}  // namespace

// Where frames are received, with room for a VLAN tag in front, which the kernel takes out.
class BridgeTap::Inbox {
 public:
  Inbox() {
    for (int i = 0; i < kFrameCount; ++i) {
      parts_[i][0] = {&headers_[i], sizeof headers_[i]};
      parts_[i][1] = {region_.data() + i * kFrameSlotSize + kVlanTagSize, kFrameSlotSize - kVlanTagSize};
    }
  }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  int Receive(int fd) {
    for (int i = 0; i < kFrameCount; ++i) {
      msghdr& message = messages_[i].msg_hdr;
      message = {};
      message.msg_name = &addresses_[i];
      message.msg_namelen = sizeof addresses_[i];
      message.msg_iov = parts_[i].data();
      message.msg_iovlen = parts_[i].size();
      message.msg_control = controls_[i].bytes;
      message.msg_controllen = sizeof controls_[i].bytes;
    }
    return recvmmsg(fd, messages_.data(), kFrameCount, MSG_DONTWAIT, nullptr);
  }

  // None: not a frame for us.
  std::optional<Frame> Read(int i) {
    const std::size_t size = messages_[i].msg_len;
    if (addresses_[i].sll_pkttype == PACKET_OUTGOING || size < sizeof headers_[i] + kMacsSize + 2 ||
        (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
      return std::nullopt;
    const std::optional<FrameOffload> offload = FromKernel(headers_[i]);
    if (!offload.has_value()) return std::nullopt;
    std::uint8_t* const bytes = region_.data() + i * kFrameSlotSize + kVlanTagSize;
    Frame frame{ByteView(bytes, size - sizeof headers_[i]), *offload};
    RestoreTag(messages_[i].msg_hdr, bytes, frame);
    return frame;
  }

 private:
  static constexpr std::size_t kRegionSize = kFrameSlotSize * kFrameCount;

  struct alignas(cmsghdr) Control {
    char bytes[CMSG_SPACE(sizeof(tpacket_auxdata))];
  };

  static void RestoreTag(msghdr& message, std::uint8_t* bytes, Frame& frame) {
    for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
      if (control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA) continue;
      tpacket_auxdata data;
      std::memcpy(&data, CMSG_DATA(control), sizeof data);
      if ((data.tp_status & TP_STATUS_VLAN_VALID) == 0) continue;
      const bool knows_kind = (data.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
      std::memmove(bytes - kVlanTagSize, bytes, kMacsSize);
      Write16At(bytes + kMacsSize - kVlanTagSize, knows_kind ? data.tp_vlan_tpid : std::uint16_t{ETH_P_8021Q});
      Write16At(bytes + kMacsSize - kVlanTagSize + 2, data.tp_vlan_tci);
      frame.bytes = ByteView(bytes - kVlanTagSize, frame.bytes.size() + kVlanTagSize);
      if (frame.offload.needs_checksum)
        frame.offload.checksum_start = static_cast<std::uint16_t>(frame.offload.checksum_start + kVlanTagSize);
    }
  }
  static void Write16At(std::uint8_t* at, std::uint16_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
  }

  const MappedRegion region_{kRegionSize};
  std::array<mmsghdr, kFrameCount> messages_ = {};
  std::array<VirtioHeader, kFrameCount> headers_ = {};
  std::array<std::array<iovec, 2>, kFrameCount> parts_;
  std::array<sockaddr_ll, kFrameCount> addresses_ = {};
  std::array<Control, kFrameCount> controls_ = {};
};

class BridgeTap::Outbox {
 public:
  // Up to a batch of `frames`, from `first` on.
  int Fill(const std::vector<Frame>& frames, std::size_t first) {
    int count = 0;
    for (std::size_t i = first; i < frames.size() && count < kFrameCount; ++i, ++count) {
      headers_[count] = ToKernel(frames[i].offload);
      parts_[count][0] = {&headers_[count], sizeof headers_[count]};
      parts_[count][1] = {const_cast<std::uint8_t*>(frames[i].bytes.data()), frames[i].bytes.size()};
      messages_[count] = {};
      messages_[count].msg_hdr.msg_iov = parts_[count].data();
      messages_[count].msg_hdr.msg_iovlen = parts_[count].size();
    }
    return count;
  }
  mmsghdr* messages() { return messages_.data(); }

 private:
  std::array<mmsghdr, kFrameCount> messages_ = {};
  std::array<VirtioHeader, kFrameCount> headers_ = {};
  std::array<std::array<iovec, 2>, kFrameCount> parts_;
};

absl::StatusOr<std::unique_ptr<BridgeTap>> BridgeTap::Open(absl::string_view interface, std::size_t buffer_size) {
  const std::string name(interface);
  const std::string what = absl::StrCat("capture on ", name);
  const unsigned index = if_nametoindex(name.c_str());
  if (index == 0) return ErrnoError(errno, what);
  // No protocol yet: it would see every interface until it is bound.
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, what);
  const int on = 1;
  if (setsockopt(fd.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0)
    return ErrnoError(errno, absl::StrCat(what, ": PACKET_VNET_HDR"));
  setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);  // else the packet type tells
  setsockopt(fd.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
  const int size = static_cast<int>(std::min<std::size_t>(buffer_size, std::numeric_limits<int>::max() / 2));
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  packet_mreq membership = {};
  membership.mr_ifindex = static_cast<int>(index);
  membership.mr_type = PACKET_MR_PROMISC;
  if (setsockopt(fd.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) != 0)
    return ErrnoError(errno, absl::StrCat(what, ": promiscuous mode"));
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return ErrnoError(errno, what);
  return std::unique_ptr<BridgeTap>(new BridgeTap(std::move(fd), interface));
}

BridgeTap::BridgeTap(Fd fd, absl::string_view interface)
    : fd_(std::move(fd)),
      interface_(interface),
      inbox_(std::make_unique<Inbox>()),
      outbox_(std::make_unique<Outbox>()) {}

BridgeTap::~BridgeTap() = default;

bool BridgeTap::Receive(OnFrame on_frame) {
  const int count = inbox_->Receive(fd_.get());
  if (count < 0 && errno == ENETDOWN) down_ = true;  // told once, whether it was deleted or not
  if (count > 0) down_ = false;
  for (int i = 0; i < count; ++i)
    if (const std::optional<Frame> frame = inbox_->Read(i)) on_frame(*frame);
  return count > 0;
}

// A socket whose interface was deleted is bound to none.
bool BridgeTap::dead() const {
  if (!down_) return false;
  sockaddr_ll address = {};
  socklen_t size = sizeof address;
  return getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sll_ifindex <= 0;
}

void BridgeTap::Inject(const FrameBatch& batch) {
  const std::vector<Frame>& frames = batch.frames();
  for (std::size_t first = 0; first < frames.size();) {
    const int count = outbox_->Fill(frames, first);
    const int sent = sendmmsg(fd_.get(), outbox_->messages(), static_cast<unsigned>(count), MSG_DONTWAIT);
    if (sent > 0) {
      first += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN && AwaitWritable(fd_.get())) continue;
    ++stats_.injection_failures;
    ++first;
  }
}

const BridgeTap::Stats& BridgeTap::stats() {
  tpacket_stats now = {};
  socklen_t size = sizeof now;
  if (getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &now, &size) == 0) {  // since the last call
    stats_.received += now.tp_packets;
    stats_.dropped += now.tp_drops;
  }
  return stats_;
}

}  // namespace weave
