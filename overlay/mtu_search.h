// Finds the largest frame that a path carries without fragmentation (spec/overlay.md section 2.5): the kernel's word
// for the path MTU first, then tests that the other end confirms, halving the interval until it is closed.
#pragma once

#include <cstddef>
#include <optional>

#include "base/time.h"

namespace weave {

// MTUs here are those of the overlay, in bytes: the largest IP packet inside a frame (a frame is an Ethernet header
// larger), unless they are said to be the path's.
class MtuSearch {
 public:
  static constexpr std::size_t kUnknownMtu = 65535;  // until the kernel refuses a datagram, everything may pass
  static constexpr std::size_t kAssumedGood = 552;   // sleeve's tests go no lower
  static constexpr std::size_t kLeast = 68;          // RFC 791: what every link carries; never a heartbeat's size
  static constexpr int kAttemptCount = 8;

  // `overhead`: the difference between the path's MTU and the overlay's. `assumed_good`: what needs no test.
  explicit MtuSearch(std::size_t overhead, std::size_t assumed_good = kAssumedGood)
      : overhead_(overhead), assumed_good_(assumed_good) {}

  // What data may use now.
  std::size_t mtu() const { return mtu_; }
  // The largest UDP payload that fits the same path.
  std::size_t max_payload_size() const;
  bool searching() const { return candidate_.has_value(); }
  // Of what has been tested since the last word of the kernel: what passes, and what does not.
  std::size_t highest_good() const { return highest_good_; }
  std::size_t lowest_bad() const { return lowest_bad_; }

  // Each returns the MTU to test now, if one is to be tested: a frame of that many zero bytes and an Ethernet header
  // more, with DF.

  // The kernel refused a datagram because the path carries only packets of `path_mtu` bytes.
  std::optional<std::size_t> OnMessageTooBig(Now now, std::size_t path_mtu);
  // The other end has received the test of `mtu`.
  std::optional<std::size_t> OnVerified(Now now, std::size_t mtu);
  std::optional<std::size_t> OnTimer(Now now);

  std::optional<MonotonicTime> NextDeadline() const { return deadline_; }

 private:
  std::size_t Test(Now now);
  std::optional<std::size_t> Narrow(Now now);

  std::size_t overhead_;
  std::size_t assumed_good_;
  std::size_t mtu_ = kUnknownMtu;
  std::size_t highest_good_ = 0;
  std::size_t lowest_bad_ = 0;
  std::optional<std::size_t> candidate_;
  int tests_sent_ = 0;  // of the candidate
  std::optional<MonotonicTime> deadline_;
};

}  // namespace weave
