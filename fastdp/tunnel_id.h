// How a tunnel's header names the two peers of a frame (spec/overlay.md section 3.1).
#pragma once

#include <cstdint>

#include "wire/topology.h"

namespace weave {

// 24 bits: the source's short id below, the destination's above.
constexpr std::uint32_t MakeVni(ShortId source, ShortId destination) {
  return static_cast<std::uint32_t>(source) | static_cast<std::uint32_t>(destination) << 12;
}
constexpr ShortId SourceOfVni(std::uint32_t vni) { return static_cast<ShortId>(vni & kMaxShortId); }
constexpr ShortId DestinationOfVni(std::uint32_t vni) { return static_cast<ShortId>(vni >> 12 & kMaxShortId); }

}  // namespace weave
