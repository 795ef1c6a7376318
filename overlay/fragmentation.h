// What a data path does with an IP packet that is too large for the way it has to take (spec/overlay.md section 2.7):
// tells its sender, or cuts it.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "overlay/checksum.h"

namespace weave {

inline constexpr std::size_t kMinIpv6Mtu = 1280;  // bytes; RFC 8200 section 5

// The answer "fragmentation needed and DF set" with `mtu` for the next hop (RFC 1191), as a frame to the sender of
// `frame`. None where RFC 1812 section 4.3.2.7 forbids it: the packet is itself an ICMP error, not the first fragment,
// or does not name one host as its sender or receiver.
std::optional<Bytes> FragmentationNeeded(ByteView frame, const InnerIpv4& ip, std::size_t mtu);

// The answer "packet too big" (RFC 4443 section 3.2) to an IPv6 packet, as a frame to the sender of `frame`, quoting as
// much as kMinIpv6Mtu holds. None: the frame holds no IPv6 packet or an ICMPv6 error, its sender or receiver is not one
// host, or `mtu` is below kMinIpv6Mtu, which every IPv6 host may send.
std::optional<Bytes> PacketTooBig(ByteView frame, std::size_t mtu);

// The one or the other of these, by what the frame holds; none also for what is no IP packet.
std::optional<Bytes> AnswerTooLarge(ByteView frame, std::size_t mtu);

// The fragments of an IPv4 packet whose checksums are complete, for an MTU of at least 68 bytes.
class Ipv4Fragmenter {
 public:
  // `frame` outlives the fragmenter.
  Ipv4Fragmenter(ByteView frame, const InnerIpv4& ip, std::size_t mtu);

  bool done() const { return offset_ == payload_size_; }
  // Of the next fragment as a frame, in bytes.
  std::size_t next_size() const;
  // Writes it; `out` has next_size() bytes.
  void WriteNext(MutableBytes out);

 private:
  std::size_t NextPayloadSize() const;

  const ByteView frame_;
  const InnerIpv4 ip_;
  const std::size_t payload_size_;
  const std::size_t max_payload_size_;  // of a fragment; a multiple of 8
  std::size_t offset_ = 0;              // in the payload
};

}  // namespace weave
