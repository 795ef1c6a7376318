// What the kernel's datapath is told to do without us: packets that match a key get these actions (spec/overlay.md
// section 3.5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "base/mac.h"

namespace weave {

// A port of one datapath. 0 is the device that has the datapath's name.
using VportNumber = std::uint32_t;

// The outer headers of a packet in a VXLAN tunnel, as far as they are ours to choose. IPv4.
struct TunnelKey {
  std::uint32_t vni = 0;  // 24 bits
  IpAddress source;
  IpAddress destination;

  friend bool operator==(const TunnelKey&, const TunnelKey&) = default;
  friend bool operator<(const TunnelKey& a, const TunnelKey& b) {
    return std::tie(a.vni, a.source, a.destination) < std::tie(b.vni, b.source, b.destination);
  }
};

// Every flow of ours matches exactly this much: the port of entry, both MAC addresses and, out of a tunnel, the tunnel.
struct FlowKey {
  VportNumber in_port = 0;
  std::optional<TunnelKey> tunnel;  // none: not out of a tunnel
  MacAddress source;
  MacAddress destination;

  friend bool operator==(const FlowKey&, const FlowKey&) = default;
  friend bool operator<(const FlowKey& a, const FlowKey& b) {
    return std::tie(a.in_port, a.source, a.destination, a.tunnel) <
           std::tie(b.in_port, b.source, b.destination, b.tunnel);
  }
};

// For the next output to a VXLAN port: time to live 64, type of service 0, DF set, no UDP checksum.
struct SetTunnel {
  TunnelKey tunnel;

  friend bool operator==(const SetTunnel&, const SetTunnel&) = default;
};
struct Output {
  VportNumber port = 0;

  friend bool operator==(const Output&, const Output&) = default;
};
// Through this tunnel out of this VXLAN port, unless the frame, or what its segments will be, is larger: then it comes
// up (Upcall::too_large_for). Where the kernel can do that (Dpif::can_check_sizes).
struct SizedOutput {
  TunnelKey tunnel;
  VportNumber port = 0;
  std::uint16_t max_frame_size = 0;  // bytes

  friend bool operator==(const SizedOutput&, const SizedOutput&) = default;
};
using FlowAction = std::variant<SetTunnel, Output, SizedOutput>;
// In order. None: the packet is dropped.
using FlowActions = std::vector<FlowAction>;

// in_port(1),eth(src=..,dst=..): for logs and test failures.
std::string ToString(const FlowKey& key);
std::string ToString(const FlowActions& actions);

}  // namespace weave
