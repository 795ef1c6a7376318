#include "sim/frame_book.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "overlay/checksum.h"
#include "overlay/frame.h"

namespace weave::sim {
namespace {

constexpr std::uint64_t kEtherType = 0x88b5;  // for experiments: IEEE 802
constexpr std::uint64_t kIpv4EtherType = 0x0800, kIpv6EtherType = 0x86dd;
constexpr std::size_t kFrameSize = 60;  // bytes, the least of Ethernet
constexpr std::size_t kIpv4HeaderSize = 20, kIcmpHeaderSize = 8;
constexpr std::uint8_t kProtocol = 253;  // for experiments: RFC 3692
constexpr std::uint8_t kIcmp = 1, kIcmpv6 = 58;
constexpr std::uint16_t kDontFragment = 0x4000;

// A container's addresses follow from the last bytes of its MAC.
std::uint32_t Ipv4Of(const MacAddress& mac) {
  return 0x0a20'0000 | static_cast<std::uint32_t>(mac.bytes()[4] << 8 | mac.bytes()[5]);
}
void WriteIpv6Of(const MacAddress& mac, std::uint8_t* out) {
  out[0] = 0xfd;
  std::copy(mac.bytes().begin(), mac.bytes().end(), out + 10);
}

Bytes EthernetFrame(const MacAddress& source, const MacAddress& destination, std::uint64_t type, std::size_t size) {
  Bytes frame(size);
  std::copy(destination.bytes().begin(), destination.bytes().end(), frame.begin());
  std::copy(source.bytes().begin(), source.bytes().end(), frame.begin() + 6);
  WriteBigEndian(type, 2, frame.data() + 12);
  return frame;
}

}  // namespace

Bytes FrameBook::Write(HostId from, const MacAddress& source, const MacAddress& destination, bool answer) {
  stories_.push_back({from, source, destination, answer, FrameKind::kSmall, kFrameSize - kEthernetHeaderSize});
  Bytes frame = EthernetFrame(source, destination, kEtherType, kFrameSize);
  WriteBigEndian(last(), 8, frame.data() + kEthernetHeaderSize);
  trace_.Note(from, "frame", last(), source.ToString(), destination.ToString());
  return frame;
}

Bytes FrameBook::WritePacket(HostId from, const MacAddress& source, const MacAddress& destination, FrameKind kind,
                             std::size_t packet_size) {
  CHECK(packet_size >= kLeastPacketSize && kind != FrameKind::kSmall);
  stories_.push_back({from, source, destination, false, kind, packet_size});
  trace_.Note(from, "packet", last(), static_cast<int>(kind), packet_size, source.ToString(), destination.ToString());
  const bool six = kind == FrameKind::kIpv6;
  Bytes frame =
      EthernetFrame(source, destination, six ? kIpv6EtherType : kIpv4EtherType, kEthernetHeaderSize + packet_size);
  std::uint8_t* ip = frame.data() + kEthernetHeaderSize;
  if (six) {
    ip[0] = 0x60;
    Write16(static_cast<std::uint16_t>(packet_size - kIpv6HeaderSize), ip + 4);
    ip[6] = kProtocol;
    ip[7] = 64;
    WriteIpv6Of(source, ip + 8);
    WriteIpv6Of(destination, ip + 24);
    WriteBigEndian(last(), 8, ip + kIpv6HeaderSize);
    return frame;
  }
  const auto ip_id = static_cast<std::uint16_t>(last());
  by_ip_id_[ip_id] = last();
  ip[0] = 0x45;
  Write16(static_cast<std::uint16_t>(packet_size), ip + 2);
  Write16(ip_id, ip + 4);
  Write16(kind == FrameKind::kIpv4Whole ? kDontFragment : 0, ip + 6);
  ip[8] = 64;
  ip[9] = kProtocol;
  Write32(Ipv4Of(source), ip + 12);
  Write32(Ipv4Of(destination), ip + 16);
  WriteIpv4Checksum(kIpv4HeaderSize, MutableBytes(frame));
  return frame;
}

std::optional<FrameBook::Content> FrameBook::Read(ByteView frame) const {
  const std::uint64_t type = ReadBigEndian(frame.subspan(12, 2));
  if (type == kEtherType && frame.size() == kFrameSize)
    return Content{ReadBigEndian(frame.subspan(kEthernetHeaderSize, 8)), kFrameSize - kEthernetHeaderSize};
  if (type == kIpv4EtherType) return ReadIpv4(frame);
  const std::optional<InnerIpv6> ip = ReadInnerIpv6(frame);
  if (!ip.has_value()) return std::nullopt;
  const ByteView payload = frame.subspan(kEthernetHeaderSize + kIpv6HeaderSize);
  if (ip->next_header == kProtocol) return Content{ReadBigEndian(payload.first(8)), payload.size()};
  const std::size_t id_at = kIcmpHeaderSize + kIpv6HeaderSize;
  if (ip->next_header != kIcmpv6 || payload[0] != 2 || payload.size() < id_at + 8) return std::nullopt;
  return Content{ReadBigEndian(payload.subspan(id_at, 8)), 0, true, Read32(payload.data() + 4)};
}

std::optional<FrameId> FrameBook::IdOfIpv4(const std::uint8_t* header) const {
  const auto found = by_ip_id_.find(Read16(header + 4));
  if (header[9] != kProtocol || found == by_ip_id_.end()) return std::nullopt;
  return found->second;
}

std::optional<FrameBook::Content> FrameBook::ReadIpv4(ByteView frame) const {
  const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame);
  if (!ip.has_value()) return std::nullopt;
  const std::uint8_t* header = frame.data() + kEthernetHeaderSize;
  if (const std::optional<FrameId> id = IdOfIpv4(header))
    return Content{*id, ip->packet_size - ip->header_size, ip->fragment_offset == 0};
  const std::uint8_t* icmp = header + ip->header_size;
  if (ip->protocol != kIcmp || ip->packet_size < ip->header_size + kIcmpHeaderSize + kIpv4HeaderSize || icmp[0] != 3 ||
      icmp[1] != 4)
    return std::nullopt;
  const std::optional<FrameId> id = IdOfIpv4(icmp + kIcmpHeaderSize);
  if (!id.has_value()) return std::nullopt;
  return Content{*id, 0, true, Read16(icmp + 6)};
}

void FrameBook::OnReceived(HostId host, const MacAddress& nic, ByteView frame) {
  const std::optional<Content> content = Read(frame);
  if (!content.has_value()) return;
  FrameStory& story = stories_[content->id];
  if (content->told_mtu.has_value()) {
    trace_.Note(host, "frame refused", content->id, nic.ToString(), *content->told_mtu);
    if (nic == story.source) story.told_mtu = content->told_mtu;
    return;
  }
  trace_.Note(host, "frame received", content->id, nic.ToString());
  const std::size_t headers = story.kind == FrameKind::kSmall  ? 0
                              : story.kind == FrameKind::kIpv6 ? kIpv6HeaderSize
                                                               : kIpv4HeaderSize;
  std::size_t& size = story.pieces[nic];
  size += content->payload_size;
  if (size < story.packet_size - headers) return;
  size -= story.packet_size - headers;
  if (size == 0) story.pieces.erase(nic);
  ++story.received[nic];
  if (on_receipt_) on_receipt_(host, nic, story);
}

void FrameBook::OnDelivered(HostId, ByteView frame) {
  const std::optional<Content> content = Read(frame);
  if (content.has_value() && content->first && !content->told_mtu.has_value()) ++stories_[content->id].delivered;
}

bool FrameBook::OnTunnelled(HostId host, ByteView frame, bool clear) {
  const std::optional<Content> content = Read(frame);
  if (!content.has_value()) return true;
  const FrameId id = content->id;
  trace_.Note(host, "frame tunnelled", id, clear);
  if (clear && sealed_) trace_.Violation(host, absl::StrCat("frame ", id, " leaves in clear"));
  if (!content->first || content->told_mtu.has_value()) return true;
  if (++stories_[id].tunnelled <= kMaxTunnelled) return true;
  trace_.Violation(host, absl::StrCat("frame ", id, " goes more than ", kMaxTunnelled, " ways"));
  return false;
}

void FrameBook::OnSeenByPeer(HostId host, ByteView frame) {
  const std::optional<Content> content = Read(frame);
  if (!content.has_value()) return;
  trace_.Note(host, "frame seen by the peer", content->id);
  ++stories_[content->id].seen_by_peers;
}

}  // namespace weave::sim
