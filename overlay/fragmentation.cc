#include "overlay/fragmentation.h"

#include <algorithm>

#include "base/check.h"
#include "overlay/frame.h"

namespace weave {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint8_t kTimeToLive = 64;
constexpr std::size_t kIpHeaderSize = 20;
constexpr std::size_t kIcmpHeaderSize = 8;
constexpr std::size_t kQuotedSize = 8;  // of the payload (RFC 792)
constexpr std::uint8_t kIcmpv6 = 58;

bool IsOneHost(std::uint32_t address) {
  const std::uint32_t first = address >> 24;
  return first != 0 && first != 127 && first < 224;
}

// Echo and its like; every other type tells of an error, or may.
bool IsIcmpQuery(ByteView frame, const InnerIpv4& ip) {
  const std::size_t type_at = kEthernetHeaderSize + ip.header_size;
  if (ip.packet_size == ip.header_size) return false;
  const std::uint8_t type = frame[type_at];
  return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

bool IsOneHostV6(ByteView address) {
  const bool unspecified = std::all_of(address.begin(), address.end(), [](std::uint8_t byte) { return byte == 0; });
  return !unspecified && address[0] != 0xff;
}

// Of a packet whose headers may have extensions in between (RFC 8200 section 4); types below 128 tell of errors.
bool IsIcmpv6Error(ByteView packet, std::uint8_t next_header) {
  std::size_t at = kIpv6HeaderSize;
  while (next_header == 0 || next_header == 43 || next_header == 44 || next_header == 60) {
    if (at + 8 > packet.size()) return false;
    const bool fragment = next_header == 44;
    if (fragment && (Read16(packet.data() + at + 2) & 0xfff8) != 0) return false;
    next_header = packet[at];
    at += fragment ? 8 : std::size_t{8} * (packet[at + 1] + 1);
  }
  return next_header == kIcmpv6 && at < packet.size() && packet[at] < 128;
}

// The Ethernet header of an answer to `frame`, which goes back to where that came from.
void WriteAnswerHeader(ByteView frame, Bytes& answer) {
  std::copy_n(frame.begin() + 6, 6, answer.begin());
  std::copy_n(frame.begin(), 6, answer.begin() + 6);
  std::copy_n(frame.begin() + 12, 2, answer.begin() + 12);
}

// Options that are for the first fragment only become padding in the others (RFC 791 section 3.1).
void DropFirstOnlyOptions(MutableBytes options) {
  std::size_t at = 0;
  while (at < options.size()) {
    const std::uint8_t kind = options[at];
    if (kind == 0) return;
    std::size_t size = 1;
    if (kind != 1) {
      if (at + 1 >= options.size() || options[at + 1] < 2) return;
      size = std::min<std::size_t>(options[at + 1], options.size() - at);
    }
    if ((kind & 0x80) == 0) std::fill_n(options.begin() + static_cast<std::ptrdiff_t>(at), size, std::uint8_t{1});
    at += size;
  }
}

}  // namespace

std::optional<Bytes> FragmentationNeeded(ByteView frame, const InnerIpv4& ip, std::size_t mtu) {
  const std::uint8_t* theirs = frame.data() + kEthernetHeaderSize;
  const std::uint32_t source = Read32(theirs + 12);
  const std::uint32_t destination = Read32(theirs + 16);
  const bool group = ((frame[0] | frame[6]) & 1) != 0;
  if (group || ip.fragment_offset != 0 || !IsOneHost(source) || !IsOneHost(destination) ||
      (ip.protocol == kIcmp && !IsIcmpQuery(frame, ip)))
    return std::nullopt;
  const std::size_t quoted = std::min(ip.packet_size, ip.header_size + kQuotedSize);
  const std::size_t size = kIpHeaderSize + kIcmpHeaderSize + quoted;
  Bytes answer(kEthernetHeaderSize + size);
  WriteAnswerHeader(frame, answer);
  std::uint8_t* out = answer.data() + kEthernetHeaderSize;
  out[0] = 0x45;
  Write16(static_cast<std::uint16_t>(size), out + 2);
  out[8] = kTimeToLive;
  out[9] = kIcmp;
  Write32(destination, out + 12);
  Write32(source, out + 16);
  WriteIpv4Checksum(kIpHeaderSize, MutableBytes(answer));
  std::uint8_t* icmp = out + kIpHeaderSize;
  icmp[0] = 3;  // destination unreachable
  icmp[1] = 4;  // fragmentation needed and DF set
  Write16(static_cast<std::uint16_t>(std::min<std::size_t>(mtu, 65535)), icmp + 6);
  std::copy_n(theirs, quoted, icmp + kIcmpHeaderSize);
  const ByteView message(icmp, kIcmpHeaderSize + quoted);
  Write16(static_cast<std::uint16_t>(~OnesComplementSum(message)), icmp + 2);
  return answer;
}

std::optional<Bytes> PacketTooBig(ByteView frame, std::size_t mtu) {
  const std::optional<InnerIpv6> ip = ReadInnerIpv6(frame);
  if (!ip.has_value() || mtu < kMinIpv6Mtu) return std::nullopt;
  const ByteView theirs = frame.subspan(kEthernetHeaderSize, ip->packet_size);
  const ByteView source = theirs.subspan(8, 16);
  const ByteView destination = theirs.subspan(24, 16);
  const bool group = ((frame[0] | frame[6]) & 1) != 0;
  if (group || !IsOneHostV6(source) || !IsOneHostV6(destination) || IsIcmpv6Error(theirs, ip->next_header))
    return std::nullopt;
  const std::size_t quoted = std::min(ip->packet_size, kMinIpv6Mtu - kIpv6HeaderSize - kIcmpHeaderSize);
  const std::size_t message_size = kIcmpHeaderSize + quoted;
  Bytes answer(kEthernetHeaderSize + kIpv6HeaderSize + message_size);
  WriteAnswerHeader(frame, answer);
  std::uint8_t* out = answer.data() + kEthernetHeaderSize;
  out[0] = 0x60;
  Write16(static_cast<std::uint16_t>(message_size), out + 4);
  out[6] = kIcmpv6;
  out[7] = kTimeToLive;
  std::copy(destination.begin(), destination.end(), out + 8);
  std::copy(source.begin(), source.end(), out + 24);
  std::uint8_t* icmp = out + kIpv6HeaderSize;
  icmp[0] = 2;  // packet too big
  Write32(static_cast<std::uint32_t>(mtu), icmp + 4);
  std::copy_n(theirs.data(), quoted, icmp + kIcmpHeaderSize);
  // Addresses, length and protocol, then the message (RFC 4443 section 2.3).
  const std::uint16_t pseudo_header =
      OnesComplementSum(ByteView(out + 8, 32), static_cast<std::uint32_t>(message_size) + kIcmpv6);
  Write16(static_cast<std::uint16_t>(~OnesComplementSum(ByteView(icmp, message_size), pseudo_header)), icmp + 2);
  return answer;
}

std::optional<Bytes> AnswerTooLarge(ByteView frame, std::size_t mtu) {
  const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame);
  return ip.has_value() ? FragmentationNeeded(frame, *ip, mtu) : PacketTooBig(frame, mtu);
}

Ipv4Fragmenter::Ipv4Fragmenter(ByteView frame, const InnerIpv4& ip, std::size_t mtu)
    : frame_(frame),
      ip_(ip),
      payload_size_(ip.packet_size - ip.header_size),
      max_payload_size_((mtu - std::min(mtu, ip.header_size)) / 8 * 8) {
  CHECK(max_payload_size_ >= 8 && payload_size_ > 0) << mtu << " " << ip.packet_size;
}

std::size_t Ipv4Fragmenter::NextPayloadSize() const { return std::min(max_payload_size_, payload_size_ - offset_); }

std::size_t Ipv4Fragmenter::next_size() const { return kEthernetHeaderSize + ip_.header_size + NextPayloadSize(); }

void Ipv4Fragmenter::WriteNext(MutableBytes out) {
  const std::size_t size = NextPayloadSize();
  const std::size_t headers = kEthernetHeaderSize + ip_.header_size;
  CHECK(size > 0 && out.size() == headers + size) << out.size();
  std::copy_n(frame_.data(), headers, out.data());
  std::copy_n(frame_.data() + headers + offset_, size, out.data() + headers);
  std::uint8_t* ip = out.data() + kEthernetHeaderSize;
  const bool more = ip_.more_fragments || offset_ + size < payload_size_;
  const std::size_t place = (ip_.fragment_offset + offset_) / 8;
  Write16(static_cast<std::uint16_t>(ip_.header_size + size), ip + 2);
  Write16(static_cast<std::uint16_t>((more ? kMoreFragments : 0) | (place & 0x1fff)), ip + 6);
  if (offset_ > 0)
    DropFirstOnlyOptions(out.subspan(kEthernetHeaderSize + kIpHeaderSize, ip_.header_size - kIpHeaderSize));
  WriteIpv4Checksum(ip_.header_size, out);
  offset_ += size;
}

}  // namespace weave
