// Short ways to write rings and ranges down in tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipam/ring.h"
#include "ipam/space.h"

namespace weave::test {

inline IpAddress Ip(const std::string& text) { return IpAddress::Parse(text).value(); }

inline AddressRange Subnet(const std::string& text) { return Cidr::Parse(text).value().Range(); }

// From `start` up to, not including, `end`.
inline AddressRange Between(const std::string& start, const std::string& end) {
  return {Ip(start), Ip(end).value() - Ip(start).value()};
}

// `10.0.0.<number>`, the addresses of most tests.
inline IpAddress At(std::uint64_t number) { return IpAddress::V4(0x0a00'0000 + static_cast<std::uint32_t>(number)); }
inline AddressRange Between(std::uint64_t start, std::uint64_t end) { return {At(start), end - start}; }

constexpr PeerName kA(1);
constexpr PeerName kB(2);
constexpr PeerName kC(3);
constexpr PeerName kD(4);

inline RingEntry Entry(std::uint64_t token, PeerName peer, std::uint32_t version, AddressCount free) {
  return {At(token), peer, version, free};
}

// Of 10.0.0.0/24, without seeds.
inline Ring RingOf(std::vector<RingEntry> entries, std::vector<PeerName> seeds = {}) {
  return Ring::Make(Subnet("10.0.0.0/24"), std::move(entries), std::move(seeds)).value();
}

// What `peer` owns in `ring`, all of it free.
inline Space SpaceOf(const Ring& ring, PeerName peer) {
  Space space;
  space.SetOwned(ring.RangesOf(peer));
  return space;
}

}  // namespace weave::test

namespace weave {

inline std::ostream& operator<<(std::ostream& out, const AddressRange& range) {
  return out << range.start << "+" << range.size;
}
inline std::ostream& operator<<(std::ostream& out, const RingEntry& entry) {
  return out << entry.token << " " << entry.peer << "(v" << entry.version << ", " << entry.free << " free)";
}

}  // namespace weave
