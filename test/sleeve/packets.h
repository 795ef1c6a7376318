// Frames with IP packets, made of readable parts, checksums complete.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "base/ip.h"
#include "overlay/checksum.h"
#include "sleeve/frame_offload.h"
#include "sleeve/sleeve_codec.h"

namespace weave {

inline constexpr std::uint32_t kClientIp = 0x0a200101;  // 10.32.1.1
inline constexpr std::uint32_t kServerIp = 0x0a200201;  // 10.32.2.1
inline const std::string kClientMac = "02000000000a";
inline const std::string kServerMac = "02000000000b";

struct Ipv4Spec {
  std::uint8_t protocol = 17;
  bool dont_fragment = false;
  Bytes options = {};
  Bytes payload = {};  // behind the IPv4 header
  std::string to = kServerMac;
  std::string from = kClientMac;
  std::uint16_t fragment = 0;  // the field, without DF
};

inline Bytes MakeIpv4(const Ipv4Spec& spec) {
  Bytes frame = FromHex(spec.to + spec.from + "0800").value();
  Bytes header(20 + spec.options.size());
  header[0] = static_cast<std::uint8_t>(0x40 | header.size() / 4);
  Write16(static_cast<std::uint16_t>(header.size() + spec.payload.size()), header.data() + 2);
  Write16(0x1234, header.data() + 4);
  Write16(static_cast<std::uint16_t>(spec.fragment | (spec.dont_fragment ? 0x4000 : 0)), header.data() + 6);
  header[8] = 64;
  header[9] = spec.protocol;
  Write32(kClientIp, header.data() + 12);
  Write32(kServerIp, header.data() + 16);
  std::copy(spec.options.begin(), spec.options.end(), header.begin() + 20);
  frame.insert(frame.end(), header.begin(), header.end());
  frame.insert(frame.end(), spec.payload.begin(), spec.payload.end());
  WriteIpv4Checksum(header.size(), absl::MakeSpan(frame));
  return frame;
}

// Bytes that differ from their neighbours.
inline Bytes Counting(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  return bytes;
}

// From fd00::a to fd00::b, unless told otherwise.
struct Ipv6Spec {
  std::uint8_t next_header = 17;
  Bytes payload = {};  // behind the IPv6 header
  std::string destination = "fd00000000000000000000000000000b";
  std::string source = "fd00000000000000000000000000000a";
};

inline Bytes MakeIpv6(const Ipv6Spec& spec) {
  Bytes frame = FromHex(kServerMac + kClientMac + "86dd6000000000000040" + spec.source + spec.destination).value();
  Write16(static_cast<std::uint16_t>(spec.payload.size()), frame.data() + 18);
  frame[20] = spec.next_header;
  frame.insert(frame.end(), spec.payload.begin(), spec.payload.end());
  return frame;
}

// A TCP header with timestamps and its payload; the checksum is `checksum` of the whole's size.
template <typename Checksum>
Bytes TcpBytes(std::uint32_t sequence, std::size_t payload_size, std::uint8_t flags, Checksum checksum) {
  Bytes tcp(32);
  Write16(5001, tcp.data());
  Write16(80, tcp.data() + 2);
  Write32(sequence, tcp.data() + 4);
  Write32(77, tcp.data() + 8);
  tcp[12] = 0x80;  // 32 bytes, with timestamps
  tcp[13] = flags;
  Write16(512, tcp.data() + 14);
  tcp[20] = tcp[21] = 1;
  tcp[22] = 8;
  tcp[23] = 10;
  const Bytes payload = Counting(payload_size);
  tcp.insert(tcp.end(), payload.begin(), payload.end());
  Write16(checksum(static_cast<std::uint32_t>(tcp.size())), tcp.data() + 16);
  return tcp;
}

// A TCP segment as the kernel hands it over: the checksum is that of the pseudo header.
inline Bytes MakeTcp(std::uint32_t sequence, std::size_t payload_size, std::uint8_t flags = 0x10) {
  std::array<std::uint8_t, 8> addresses;
  Write32(kClientIp, addresses.data());
  Write32(kServerIp, addresses.data() + 4);
  Ipv4Spec spec;
  spec.protocol = 6;
  spec.dont_fragment = true;
  spec.payload = TcpBytes(sequence, payload_size, flags,
                          [&](std::uint32_t size) { return OnesComplementSum(addresses, size + 6); });
  return MakeIpv4(spec);
}

inline Bytes MakeTcp6(std::uint32_t sequence, std::size_t payload_size, std::uint8_t flags = 0x10) {
  Ipv6Spec spec;
  spec.next_header = 6;
  const Bytes addresses = FromHex(spec.source + spec.destination).value();
  spec.payload = TcpBytes(sequence, payload_size, flags,
                          [&](std::uint32_t size) { return OnesComplementSum(addresses, size + 6); });
  return MakeIpv6(spec);
}

// What the kernel leaves undone on it; `segment_size` 0: the checksum only.
inline FrameOffload TcpOffload(std::uint16_t segment_size) {
  FrameOffload offload;
  offload.needs_checksum = true;
  offload.checksum_start = 34;
  offload.checksum_offset = 16;
  offload.segment_size = segment_size;
  if (segment_size != 0) offload.segments = FrameOffload::Segments::kTcp4;
  return offload;
}

inline FrameOffload Tcp6Offload(std::uint16_t segment_size) {
  FrameOffload offload = TcpOffload(segment_size);
  offload.checksum_start = 54;
  if (segment_size != 0) offload.segments = FrameOffload::Segments::kTcp6;
  return offload;
}

inline Bytes Completed(Bytes frame, const FrameOffload& offload) {
  CompleteChecksum(offload, absl::MakeSpan(frame));
  return frame;
}

}  // namespace weave
