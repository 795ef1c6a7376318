// What fits through a tunnel: its headers' part of the path's MTU (spec/overlay.md section 3.6), and how it is found
// what the path really carries.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "base/time.h"
#include "overlay/frame.h"
#include "overlay/mtu_search.h"

namespace weave {

// Of Weave Net 2.8, and of containers' interfaces unless more is known to pass.
inline constexpr std::size_t kDefaultTunnelMtu = 1376;  // bytes

// Bytes of frames' payload; 0: nothing passes. `path_mtu`: of IPv4 packets, headers included. `sealed`: inside ESP.
constexpr std::size_t TunnelMtu(std::size_t path_mtu, bool sealed) {
  constexpr std::size_t kIpv4 = 20, kUdp = 8, kVxlan = 8;
  // Header with sequence number and nonce, and the check value; two bytes in the end make it a multiple of 4 (RFC
  // 4303).
  constexpr std::size_t kEspOutside = 8 + 8 + 16, kEspTrailer = 2, kEspAlign = 4;
  std::size_t overhead = kIpv4 + kUdp + kVxlan + kEthernetHeaderSize;
  if (sealed) {
    if (path_mtu < kIpv4 + kEspOutside) return 0;
    path_mtu -= (path_mtu - kIpv4 - kEspOutside) % kEspAlign;
    overhead += kEspOutside + kEspTrailer;
  }
  return path_mtu > overhead ? path_mtu - overhead : 0;
}
static_assert(TunnelMtu(1460, /*sealed=*/true) == kDefaultTunnelMtu);

// The largest MTU that tests of the other end confirm, between a floor, which the heartbeats prove, and what the
// kernel's word for the path leaves. What is in use is tested again and again; what turns out to be lost is not used
// any more, and what is larger only once it has passed.
class TunnelMtuFinder {
 public:
  // After a search that did not reach the kernel's word, again and again, each time twice as late: the path may have
  // become better, or answers only came too late.
  static constexpr Duration kSearchAgainFirst = absl::Seconds(30);
  static constexpr Duration kSearchAgainLast = absl::Minutes(5);

  explicit TunnelMtuFinder(std::size_t floor) : floor_(floor), mtu_(floor), search_(0, floor) {}

  // What data may use now, in bytes of frames' payload.
  std::size_t mtu() const { return mtu_; }
  bool searching() const { return search_.searching(); }

  // Each returns the MTU to test now, if one is to be tested.

  // The other end answers tests from now on.
  std::optional<std::size_t> Begin(Now now);
  // The kernel's word leaves so much.
  std::optional<std::size_t> OnCeiling(Now now, std::size_t ceiling);
  // The other end has received the test of `mtu`.
  std::optional<std::size_t> OnVerified(Now now, std::size_t mtu);
  // There is reason to hope for more.
  std::optional<std::size_t> Retry(Now now);
  // Does what is in use still pass? For whenever it is time to ask.
  std::optional<std::size_t> Verify(Now now);
  std::optional<std::size_t> OnTimer(Now now);
  std::optional<MonotonicTime> NextDeadline() const;

 private:
  std::optional<std::size_t> FirstSearch(Now now);
  std::optional<std::size_t> SearchForMore(Now now);
  std::optional<std::size_t> Search(Now now, std::size_t from);
  std::optional<std::size_t> Adopt(Now now, std::optional<std::size_t> test);

  std::size_t floor_;
  std::size_t mtu_;
  bool begun_ = false;
  std::optional<std::size_t> ceiling_;  // none: the kernel has not said
  MtuSearch search_;
  std::optional<MonotonicTime> again_at_;
  Duration again_in_ = kSearchAgainFirst;
};

}  // namespace weave
